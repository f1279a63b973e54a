"""What a report is made of, before anybody decides how to show it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

__all__ = [
    "DASH",
    "Absent",
    "Bars",
    "Block",
    "Column",
    "Figure",
    "Figures",
    "Grid",
    "Part",
    "Provenance",
    "Report",
    "Value",
]

DASH = "\N{EN DASH}"
"""Stands where a figure is absent."""
_NARROW = 3


@dataclass(frozen=True, slots=True)
class Absent:
    """A figure that the data cannot say, and why."""

    meaning: str


Value: TypeAlias = str | Absent


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure and what stands below it; `warn` points at it."""

    label: str
    value: Value
    note: str = ""
    warn: bool = False


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures that belong together."""

    title: str
    items: tuple[Figure, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a grid; numbers are set flush right."""

    title: str
    numeric: bool = True


@dataclass(frozen=True, slots=True)
class Bars:
    """A plot of one column: a value for each row, in the column's unit.

    `series`: the rows follow one another, as hours and months do; else they are parts.
    """

    column: int
    values: tuple[float, ...]
    series: bool = True


@dataclass(frozen=True, slots=True)
class Grid:
    """A table, its first column the names of its rows; `empty` stands for one without rows."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    bars: Bars | None = None
    empty: str = "nothing in this range"

    @property
    def narrow(self) -> bool:
        """True if there is room for its plot beside it."""
        return len(self.columns) <= _NARROW

    def meanings(self) -> Iterator[str]:
        """Give each reason for which a figure is absent, once."""
        found = (cell.meaning for row in self.rows for cell in row if isinstance(cell, Absent))
        yield from dict.fromkeys(found)


Block: TypeAlias = Figures | Grid


@dataclass(frozen=True, slots=True)
class Part:
    """Blocks under a heading of their own; an empty title: the report has no parts."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where the answer came from and how old it is; `stale` says so if it may be outdated."""

    source: str
    stale: str = ""
    allowed: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """A report ready to be shown: whose, of when, what it says, and how it was come by."""

    title: str
    subject: str
    when: tuple[str, ...]
    parts: tuple[Part, ...]
    provenance: Provenance
    made: datetime
