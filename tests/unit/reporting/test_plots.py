"""The geometry of a page's charts."""

import re

from booking_service.reporting.blocks import Bars, Column, Grid
from booking_service.reporting.plots import plot


def grid(*values: float, series: bool = True) -> Grid:
    """Make a table of a value a row, with its plot."""
    rows = tuple((f"row {at}", f"{value}") for at, value in enumerate(values))
    columns = (Column("Name", numeric=False), Column("Value"))
    return Grid("Values", columns, rows, Bars(1, values, series=series))


def test_columns_stand_on_zero_and_inside() -> None:
    """Heights are in proportion, losses hang below zero, and nothing leaves the picture."""
    picture = plot(grid(10, 20, -5))
    assert picture
    ten, twenty, loss = picture.marks
    assert abs(twenty.height - 2 * ten.height) < 0.1
    assert ten.y + ten.height == picture.zero == loss.y
    assert (ten.negative, loss.negative) == (False, True)
    for mark in picture.marks:
        assert picture.left <= mark.x
        assert mark.x + mark.width <= picture.right
        assert mark.y >= 0
        assert mark.y + mark.height <= picture.height
    assert {"-5", "0", "20"} & {tick.text for tick in picture.ticks}


def test_parts_lie_beside_one_another() -> None:
    """Parts are bars to the right, as long as their values, each in a row of its own."""
    picture = plot(grid(10, 40, series=False))
    assert picture
    short, long = picture.marks
    assert abs(long.width - 4 * short.width) < 0.1
    assert short.x == long.x == picture.zero
    assert short.y + short.height < long.y
    assert picture.ticks == ()


def test_a_long_name_leaves_its_bar_room() -> None:
    """Beside a bar a name is cut after 32 characters; the table has it whole."""
    rows = (("n" * 300, "1"), ("n" * 32, "2"))
    columns = (Column("Name", numeric=False), Column("Value"))
    picture = plot(Grid("Values", columns, rows, Bars(1, (1, 2), series=False)))
    assert picture
    assert [len(mark.label) for mark in picture.marks] == [32, 32]
    assert picture.marks[0].width > 50


def test_a_long_series_is_an_area_with_few_labels() -> None:
    """Ten years of days are one path through every day, labelled where there is room."""
    picture = plot(grid(*(float(day % 7) for day in range(3660))))
    assert picture
    assert picture.marks == ()
    assert len(re.findall("L", picture.area)) == 3661
    assert 2 <= len(picture.labels) <= 12


def test_nothing_is_drawn_of_nothing() -> None:
    """No rows, only zeros, or no plot asked for: no picture."""
    assert plot(grid()) is None
    assert plot(grid(0, 0)) is None
    assert plot(Grid("Values", (Column("Name"),), (("a",),))) is None
    assert plot(grid(0, 0.01)) is not None  # the control
