"""A report in the terminal: its figures, its bars, what is absent, and no control over it."""

from datetime import UTC, datetime
from io import StringIO

import pytest
from rich.console import Console

from booking_service.reporting.composing import compose
from booking_service.reporting.table import print_report
from chairside.cache.v1 import types_pb2
from tests.unit.reporting.answers import EMPTY, FULL, asked

_NOW = datetime(2018, 5, 26, 12, tzinfo=UTC)
FACTS = {
    "revenue": ("1,234,567.89 CAD", "2018-05-25", "Average (CAD)", "no completed payments"),
    "appointment_stats": ("81.0%", "No show", "1.5 of 10.0 open hours booked", "9,876.54"),
    "six_figure": (
        "36,000.00 CAD",
        "not on track",
        "5,333.33 CAD",
        "4,166.67 CAD",
        "1.25 visits",
        "of_tomorrow",
    ),
    "retention": ("At risk: 31 to 60 days ago", "30.0%", "1 of 4 who came"),
    "lifetime_value": ("VIP", "700.00 CAD a client", "one visit only"),
    "patterns": ("11:00", "Friday", "May", "6.2%"),
    "comparison": ("This quarter against the quarter before", "-25.0%", "+3.2 points"),
    "barber_performance": ("6,584.36 CAD", "Monday", "09:00"),
    "dashboard": ("month on month -25.0%", "31.46 CAD", "61.9%", "At a glance"),
}


def shown(kind: str, *, empty: bool = False, stale: bool = False, width: int = 200) -> str:
    """Print a report as into a terminal of this width without colours."""
    response = type(FULL[kind])()
    response.CopyFrom((EMPTY if empty else FULL)[kind])
    if stale:
        response.cache_info.source, response.cache_info.stale = types_pb2.SOURCE_NEAR, True
    console = Console(file=StringIO(), width=width)
    print_report(console, compose(asked(kind), response, made=_NOW))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("kind", FULL)
def test_every_report_tells_its_figures(kind: str) -> None:
    """Amounts, percentages, names and reasons stand there, and where the answer came from."""
    text = shown(kind)
    missing = [fact for fact in FACTS[kind] if fact not in text]
    assert not missing, text
    assert "Organization 3, barber 7" in text
    assert text.rstrip().endswith("From the database, read just now.")


@pytest.mark.parametrize("kind", FULL)
def test_names_cannot_steer_the_terminal(kind: str) -> None:
    """An escape sequence in a name is shown harmless, and markup as it is."""
    text = shown(kind)
    assert "\x1b" not in text
    if kind in {"appointment_stats", "patterns", "lifetime_value", "barber_performance"}:
        assert "[red]\N{REPLACEMENT CHARACTER}[2J" in text


@pytest.mark.parametrize("kind", EMPTY)
def test_an_empty_shop_has_a_report(kind: str) -> None:
    """Every report of nothing is shown, without a bar."""
    text = shown(kind, empty=True)
    assert "From the database" in text
    assert "\N{FULL BLOCK}" not in text


def test_bars_are_as_long_as_their_figures() -> None:
    """Twice the appointments make twice the bar, and hours between have an empty one."""
    lines = shown("patterns").splitlines()
    bars = {line[:5]: line.count("\N{FULL BLOCK}") for line in lines if line[2:5] == ":00"}
    assert bars == {"09:00": 12, "10:00": 0, "11:00": 24}


def test_in_a_narrow_terminal_the_figures_come_first() -> None:
    """Where figures and bars do not both fit, no figure is cut or broken, and bars are left out."""
    wide, narrow = shown("revenue"), shown("revenue", width=72)
    assert "\N{FULL BLOCK}" in wide
    assert "\N{FULL BLOCK}" not in narrow
    assert max(map(len, narrow.splitlines())) <= 72
    figures = {word for word in wide.split() if word[-1].isdigit()}
    assert "1,234,567.89" in figures
    assert figures <= set(narrow.split())


def test_a_stale_answer_says_so_last() -> None:
    """Stale stands in the last line; without it there is no such word."""
    assert "Stale" in shown("retention", stale=True).splitlines()[-1]
    assert "Stale" not in shown("retention")
