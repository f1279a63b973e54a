"""Plots as small SVG files: lines over a linear or logarithmic axis, and bars.

The same figures give the same bytes, and the colours follow the reader's light or dark
scheme. Nothing else is drawn: a plotting library would bring a hundred megabytes for it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Bar", "Bars", "Line", "Plot", "ticks"]

_WIDTH, _HEIGHT = 720, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 170, 44, 52
_BAR, _GAP, _NAMES = 18, 8, 230
_COLOURS = ("c0", "c1", "c2", "c3", "c4", "c5", "c6")
_DASHES = ("", "7 4", "2 3", "10 3 2 3", "", "7 4", "2 3")
"""Lines differ by more than their colour."""
_STYLE = """<style>
text{font:12px system-ui,sans-serif;fill:#1f2328}.t{font-size:14px;font-weight:600}
.g{stroke:#8886;stroke-width:.5}.l{fill:none;stroke-width:2}
.c0{stroke:#0969da;fill:#0969da}.c1{stroke:#bc4c00;fill:#bc4c00}.c2{stroke:#1a7f37;fill:#1a7f37}
.c3{stroke:#8250df;fill:#8250df}.c4{stroke:#bf3989;fill:#bf3989}.c5{stroke:#6e7781;fill:#6e7781}
.c6{stroke:#9a6700;fill:#9a6700}.l{fill:none}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}
.c0{stroke:#58a6ff;fill:#58a6ff}.c1{stroke:#f0883e;fill:#f0883e}.c2{stroke:#3fb950;fill:#3fb950}
.c3{stroke:#a371f7;fill:#a371f7}.c4{stroke:#f778ba;fill:#f778ba}.c5{stroke:#8b949e;fill:#8b949e}
.c6{stroke:#d29922;fill:#d29922}.l{fill:none}}
</style>"""


@dataclass(frozen=True, slots=True)
class Line:
    """A side's points, from left to right."""

    label: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Plot:
    """Lines; `name` is that of the file. The vertical axis begins at 0 or is logarithmic."""

    name: str
    title: str
    x_label: str
    y_label: str
    lines: Sequence[Line]
    log_x: bool = False
    log_y: bool = False

    def svg(self) -> str:
        """Draw it. Raises ValueError without any point, or with one that has no logarithm."""
        points = [point for line in self.lines for point in line.points]
        x_ticks = ticks([x for x, _ in points], log=self.log_x)
        y_ticks = ticks([y for _, y in points], log=self.log_y)
        across = _scale(x_ticks, _LEFT, _WIDTH - _RIGHT, log=self.log_x)
        up = _scale(y_ticks, _HEIGHT - _BOTTOM, _TOP, log=self.log_y)
        parts = [_text(_LEFT, 22, self.title, "t")]
        for value in y_ticks:
            y = up(value)
            parts.append(_rule(_LEFT, y, _WIDTH - _RIGHT, y))
            parts.append(_text(_LEFT - 8, y + 4, _number(value), anchor="end"))
        for value in x_ticks:
            x = across(value)
            parts.append(_rule(x, _TOP, x, _HEIGHT - _BOTTOM))
            parts.append(_text(x, _HEIGHT - _BOTTOM + 18, _number(value), anchor="middle"))
        middle = (_LEFT + _WIDTH - _RIGHT) / 2
        parts.append(_text(middle, _HEIGHT - 12, self.x_label, anchor="middle"))
        parts.append(_text(8, _TOP - 8, self.y_label))
        for number, line in enumerate(self.lines):
            place = [(across(x), up(y)) for x, y in line.points]
            parts += _drawn(line.label, place, number)
        return _document(_WIDTH, _HEIGHT, self.title, parts)


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar; those of one group have one colour."""

    label: str
    value: float
    group: int = 0


@dataclass(frozen=True, slots=True)
class Bars:
    """Horizontal bars from 0, each with its figure; `name` is that of the file."""

    name: str
    title: str
    unit: str
    bars: Sequence[Bar]

    def svg(self) -> str:
        """Draw them. Raises ValueError without any."""
        room = _WIDTH - _NAMES - 90
        most = max(bar.value for bar in self.bars) or 1.0
        parts = [_text(8, 22, f"{self.title} ({self.unit})", "t")]
        for number, bar in enumerate(self.bars):
            y = _TOP - 4 + number * (_BAR + _GAP)
            width = room * bar.value / most
            parts.append(_text(_NAMES - 8, y + 13, bar.label, anchor="end"))
            parts.append(
                f'<rect class="{_COLOURS[bar.group]}" x="{_NAMES}" y="{y}" '
                f'width="{width:.1f}" height="{_BAR}"/>'
            )
            parts.append(_text(_NAMES + width + 6, y + 13, _number(bar.value)))
        height = _TOP + len(self.bars) * (_BAR + _GAP) + 4
        return _document(_WIDTH, height, self.title, parts)


def ticks(values: Sequence[float], *, log: bool) -> list[float]:
    """Return round figures, the first and last of which enclose the values, and 0 if linear."""
    low, high = min(values), max(values)
    if log:
        if low <= 0:
            message = f"{low} has no logarithm"
            raise ValueError(message)
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        return [10.0**power for power in range(first, max(last, first + 1) + 1)]
    step = 10.0 ** math.floor(math.log10((high or 1.0) / 2))
    step *= next(times for times in (1, 2, 5, 10) if (high or 1.0) / (step * times) <= 6)  # noqa: PLR2004 - lines enough
    return [step * number for number in range(max(1, math.ceil(high / step - 1e-9)) + 1)]


def _scale(
    marks: Sequence[float], first: float, last: float, *, log: bool
) -> Callable[[float], float]:
    """Return the function from figures to places between `first` and `last`."""
    change: Callable[[float], float] = math.log10 if log else float
    low, high = change(marks[0]), change(marks[-1])
    return lambda value: first + (change(value) - low) / (high - low) * (last - first)


def _drawn(label: str, place: Sequence[tuple[float, float]], number: int) -> list[str]:
    """Draw a line, its points, and its place in the key."""
    colour, dash = _COLOURS[number], _DASHES[number]
    style = f' stroke-dasharray="{dash}"' if dash else ""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in place)
    at, height = _WIDTH - _RIGHT + 14, _TOP + 8 + 20 * number
    return [
        f'<polyline class="l {colour}"{style} points="{path}"/>',
        *(f'<circle class="{colour}" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in place),
        f'<polyline class="l {colour}"{style} points="{at},{height} {at + 24},{height}"/>',
        _text(at + 30, height + 4, label),
    ]


def _number(value: float) -> str:
    if value >= 1_000_000:  # noqa: PLR2004
        return f"{value / 1_000_000:g}M"
    if value >= 10_000:  # noqa: PLR2004
        return f"{value / 1000:.3g}k"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits


def _text(x: float, y: float, text: str, style: str = "", anchor: str = "start") -> str:
    kind = f' class="{style}"' if style else ""
    place = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text{kind} x="{x:.1f}" y="{y:.1f}"{place}>{escape(text)}</text>'


def _rule(x: float, y: float, x_end: float, y_end: float) -> str:
    return f'<line class="g" x1="{x:.1f}" y1="{y:.1f}" x2="{x_end:.1f}" y2="{y_end:.1f}"/>'


def _document(width: int, height: int, title: str, parts: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" aria-label="{escape(title)}">'
    )
    return "\n".join((head, _STYLE, *parts, "</svg>")) + "\n"
