"""Show a report in the terminal: tables, and bars beside what can be plotted."""

from __future__ import annotations

from rich.bar import Bar
from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from booking_service.reporting.blocks import DASH, Absent, Bars, Block, Figures, Grid, Report, Value

__all__ = ["print_report"]

_BAR_WIDTH = 24
_UNBOUNDED = 10_000
_ACCENT, _WARN = "cyan", "yellow"


def print_report(console: Console, report: Report) -> None:
    """Print the report and, last, where it came from and how old it is."""
    console.print(_text(report.title, "bold"))
    console.print(_text("; ".join((report.subject, *report.when)), "dim"))
    for part in report.parts:
        if part.title:
            console.print()
            console.print(Rule(_text(part.title, "bold"), align="left", style="dim"))
        for block in part.blocks:
            console.print()
            _print(console, block)
    console.print()
    told = report.provenance
    console.print(_text(" ".join(filter(None, (told.source, told.allowed))), "dim"))
    if told.stale:
        console.print(_text(told.stale, f"bold {_WARN}"))


def _print(console: Console, block: Block) -> None:
    if isinstance(block, Figures):
        console.print(_figures(block))
        return
    shown = _grid(block, _bars(block.bars))
    # Figures matter more than bars where there is no room for both.
    unbounded = console.options.update(width=_UNBOUNDED)
    wide = console.measure(shown, options=unbounded).minimum > console.width
    console.print(_grid(block, []) if wide else shown)


def _figures(block: Figures) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(justify="right")
    table.add_column(style="dim")
    for item in block.items:
        note = item.value.meaning if isinstance(item.value, Absent) else item.note
        style = f"bold {_WARN}" if item.warn else "bold"
        table.add_row(_text(item.label), _cell(item.value, style), _text(note))
    return Group(_text(block.title, f"bold {_ACCENT}"), table)


def _grid(block: Grid, bars: list[Bar]) -> RenderableType:
    title = _text(block.title, f"bold {_ACCENT}")
    if not block.rows:
        return Group(title, _text(block.empty, "dim"))
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for index, column in enumerate(block.columns):
        cells = [_cell(row[index]) for row in block.rows]
        # A figure must not be broken into lines; a title or a name may be.
        least = max(cell.cell_len for cell in cells) if column.numeric else None
        side: JustifyMethod = "right" if column.numeric else "left"
        table.add_column(_text(column.title), justify=side, min_width=least)
    if bars:
        table.add_column(min_width=_BAR_WIDTH, no_wrap=True)
    for index, row in enumerate(block.rows):
        table.add_row(*(_cell(cell) for cell in row), *bars[index : index + 1])
    legend = [_text(f"{DASH} {meaning}", "dim") for meaning in block.meanings()]
    return Group(title, table, *legend)


def _bars(bars: Bars | None) -> list[Bar]:
    """Make a bar for each row, all from one zero; none if there is nothing to plot."""
    if bars is None or not any(bars.values):
        return []
    low, high = min(0.0, *bars.values), max(0.0, *bars.values)
    return [
        Bar(
            high - low,
            min(0.0, value) - low,
            max(0.0, value) - low,
            width=_BAR_WIDTH,
            color=_WARN if value < 0 else _ACCENT,
        )
        for value in bars.values
    ]


def _cell(value: Value, style: str = "") -> Text:
    return _text(DASH, "dim") if isinstance(value, Absent) else _text(value, style)


def _text(value: str, style: str = "") -> Text:
    """Make a text without markup; what could steer the terminal is made visible."""
    shown = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in value)
    return Text(shown, style)
