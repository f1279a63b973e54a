"""Results: tables on the terminal and in docs/benchmarks.md, plots in docs/benchmarks/."""

import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.plots import Bars, Plot

__all__ = ["Bound", "Section", "show", "write"]

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
_PACKAGES = ("grpcio", "uvloop", "hiredis", "asyncpg", "sqlalchemy", "protobuf")
_HEADING = re.compile(r"^## ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Bound:
    """What was promised of a figure, what it was, and whether that is within."""

    name: str
    promised: str
    found: str
    met: bool

    @classmethod
    def at_least(cls, name: str, bound: float, found: float) -> "Bound":
        """Compare a figure that must reach `bound`."""
        return cls(name, f"at least {bound:g}", f"{found:.2f}", found >= bound)

    @classmethod
    def at_most(cls, name: str, bound: float, found: float) -> "Bound":
        """Compare a figure that must not pass `bound`."""
        return cls(name, f"at most {bound:g}", f"{found:.2f}", found <= bound)


@dataclass(frozen=True, slots=True)
class Section:
    """One benchmark's results. `about` says in a few lines what was measured and how."""

    title: str
    command: str
    about: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    bounds: Sequence[Bound]
    plots: Sequence[Plot | Bars] = ()

    @property
    def met(self) -> bool:
        """Whether every bound was kept."""
        return all(bound.met for bound in self.bounds)

    def tables(self) -> list[tuple[Sequence[str], Sequence[Sequence[str]]]]:
        """Return the figures, and the bounds, each as a head and rows."""
        bounds = [(b.name, b.promised, b.found, "yes" if b.met else "NO") for b in self.bounds]
        head = ("Bound", "Promised", "Found", "Met")
        return [(self.columns, self.rows), *([(head, bounds)] if bounds else [])]


def show(section: Section, console: Console) -> None:
    """Print a section."""
    console.rule(section.title)
    for head, rows in section.tables():
        table = Table(*head)
        for row in rows:
            table.add_row(*row)
        console.print(table)


def write(section: Section, document: Path = DOCUMENT) -> None:
    """Put a section into the document in place of the one with its title, or at the end."""
    text = document.read_text() if document.exists() else ""
    kept = {part.partition("\n")[0]: part for part in _HEADING.split(text)[1:]}
    kept[section.title] = _markdown(section)
    document.parent.mkdir(exist_ok=True)
    parts = [_introduction(), *(f"## {part.strip()}\n" for part in kept.values())]
    document.write_text("\n".join(parts))
    for plot in section.plots:
        path = document.with_suffix("") / f"{plot.name}.svg"
        path.parent.mkdir(exist_ok=True)
        path.write_text(plot.svg())


def _markdown(section: Section) -> str:
    lines = [section.title, "", section.about, "", f"    {section.command}"]
    for head, rows in section.tables():
        lines += ["", _row(head), _row(["---"] * len(head)), *map(_row, rows)]
    for plot in section.plots:
        lines += ["", f"![{plot.title}](benchmarks/{plot.name}.svg)"]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _introduction() -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return f"""# Benchmarks

Written by `make bench`. Figures are medians; what counts are the ratios, of two sides that
took turns within one run, and beside them how far two equal things differed in it.

Measured on {os.cpu_count()} cores with Python {platform.python_version()}, {versions}.
"""
