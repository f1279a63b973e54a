"""The geometry of the charts of a page; the template draws it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from booking_service.reporting.blocks import DASH, Absent, Grid

__all__ = ["Mark", "Plot", "Tick", "plot"]

_WIDTH, _NARROW_WIDTH = 720.0, 480.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 64.0, 8.0, 10.0, 24.0
_HEIGHT = 220.0
_PART, _PART_GAP = 20.0, 12.0
_MOST_BARS = 100
"""More columns than this are too thin to be told apart: they become an area."""
_CHARACTER, _LABEL_GAP = 7.5, 16.0
_LONGEST = 32
"""Characters of a name beside a bar: a longer one would leave the bar no room."""
_STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True, slots=True)
class Mark:
    """A bar, in the units of the picture, and what it stands for."""

    x: float
    y: float
    width: float
    height: float
    label: str
    text: str
    negative: bool


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on an axis and what stands there."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Plot:
    """A picture of `width` by `height`: columns from `zero` upwards, or bars to the right.

    `area` is the path of a long series, which has no marks; `rows` (a plot of parts) has
    neither ticks nor labels, each mark standing beside its own.
    """

    width: float
    height: float
    left: float
    right: float
    zero: float
    rows: bool
    marks: tuple[Mark, ...] = ()
    ticks: tuple[Tick, ...] = ()
    labels: tuple[Tick, ...] = ()
    area: str = ""


def plot(grid: Grid) -> Plot | None:
    """Lay a grid's bars out; None if it has none, or nothing above or below zero."""
    bars = grid.bars
    if bars is None or not any(bars.values):
        return None
    names = [str(row[0]) for row in grid.rows]
    cells = [row[bars.column] for row in grid.rows]
    texts = [DASH if isinstance(cell, Absent) else cell for cell in cells]
    width = _NARROW_WIDTH if grid.narrow else _WIDTH
    return (_columns if bars.series else _rows)(names, texts, bars.values, width)


def _columns(names: list[str], texts: list[str], values: tuple[float, ...], width: float) -> Plot:
    low, high, step = _axis(min(0.0, *values), max(0.0, *values))
    inner = width - _LEFT - _RIGHT
    slot = inner / len(values)

    def across(index: int) -> float:
        return round(_LEFT + (index + 0.5) * slot, 2)

    def down(value: float) -> float:
        return round(_TOP + (high - value) / (high - low) * (_HEIGHT - _TOP - _BOTTOM), 2)

    marks, area = [], ""
    if len(values) > _MOST_BARS:
        points = " ".join(f"L{across(at)} {down(value)}" for at, value in enumerate(values))
        zero = down(0)
        area = f"M{across(0)} {zero} {points} L{across(len(values) - 1)} {zero} Z"
    else:
        thick = round(min(slot * 0.72, 56.0), 2)
        for at, value in enumerate(values):
            top, bottom = down(max(0.0, value)), down(min(0.0, value))
            marks.append(
                Mark(
                    round(across(at) - thick / 2, 2),
                    top,
                    thick,
                    round(bottom - top, 2),
                    names[at],
                    texts[at],
                    negative=value < 0,
                )
            )
    room = _room(names)
    shown = range(0, len(names), math.ceil(room / slot))
    ticks = [low + step * number for number in range(round((high - low) / step) + 1)]
    return Plot(
        width=width,
        height=_HEIGHT,
        left=_LEFT,
        right=width - _RIGHT,
        zero=down(0),
        rows=False,
        marks=tuple(marks),
        ticks=tuple(Tick(down(value), f"{value:,.10g}") for value in ticks),
        labels=tuple(
            Tick(across(at), names[at])
            for at in shown
            if across(at) + room / 2 <= width + _LABEL_GAP
        ),
        area=area,
    )


def _rows(names: list[str], texts: list[str], values: tuple[float, ...], width: float) -> Plot:
    low, high = min(0.0, *values), max(0.0, *values)
    names = [_shortened(name) for name in names]
    left = _room(names)
    inner = width - left - _room(texts)

    def across(value: float) -> float:
        return left + (value - low) / (high - low) * inner

    marks = tuple(
        Mark(
            round(across(min(0.0, value)), 2),
            at * (_PART + _PART_GAP) + _PART_GAP / 2,
            round(abs(across(value) - across(0.0)), 2),
            _PART,
            names[at],
            texts[at],
            negative=value < 0,
        )
        for at, value in enumerate(values)
    )
    return Plot(
        width=width,
        height=len(values) * (_PART + _PART_GAP),
        left=left,
        right=width,
        zero=round(across(0.0), 2),
        rows=True,
        marks=marks,
    )


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}\N{HORIZONTAL ELLIPSIS}"


def _room(texts: list[str]) -> float:
    """Give about the width of the longest text and a gap."""
    return max(map(len, texts)) * _CHARACTER + _LABEL_GAP


def _axis(low: float, high: float) -> tuple[float, float, float]:
    """Choose round bounds and a step for about four ticks."""
    rough = (high - low) / 4
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(each * unit for each in _STEPS if each * unit >= rough * (1 - 1e-9))
    return math.floor(low / step) * step, math.ceil(high / step) * step, step
