"""The page of a report: its figures, its charts, what is absent, and that nothing escapes."""

from datetime import UTC, datetime

import pytest

from booking_service.reporting.composing import compose
from booking_service.reporting.page import render_page
from chairside.cache.v1 import types_pb2
from tests.support.html_page import Page, read_page
from tests.unit.reporting.answers import EMPTY, FULL, NASTY, asked

_NOW = datetime(2018, 5, 26, 12, tzinfo=UTC)


def shown(kind: str, *, shop: str | None = None, empty: bool = False) -> Page:
    """Render a report and read the page."""
    response = (EMPTY if empty else FULL)[kind]
    return read_page(render_page(compose(asked(kind), response, made=_NOW, shop=shop)))


@pytest.mark.parametrize("kind", FULL)
def test_a_page_is_whole_and_fetches_nothing(kind: str) -> None:
    """Every tag is closed, nothing is fetched, and titles, languages and headings are there."""
    for empty in (False, True):
        page = shown(kind, empty=empty)
        assert page.problems == []
        assert dict(page.tags)["html"] == {"lang": "en"}
        assert page.texts["title"][0].endswith("Organization 3, barber 7")
        assert len(page.texts["h1"]) == 1
        ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
        assert len(ids) == len(set(ids))
        labels = [each["aria-labelledby"] for _, each in page.tags if "aria-labelledby" in each]
        assert labels
        assert set(labels) <= set(ids)


def test_what_a_browser_would_fetch_is_found() -> None:
    """The control of the check above: scripts, pictures, styles and open tags are problems."""
    page = read_page(
        "<body onload='x()'><img src=a><style>@import 'b'</style><a href='http://c'>d</a><p>"
    )
    assert len(page.problems) == 7


@pytest.mark.parametrize("kind", [kind for kind in FULL if kind not in {"revenue", "six_figure"}])
def test_names_out_of_the_books_are_escaped(kind: str) -> None:
    """A service called like a script stands in the page as text, wherever it is named."""
    page = shown(kind, shop=f"The {NASTY}")
    assert "script" not in page.texts
    assert page.texts["p"][0].startswith(f"The {NASTY}, barber 7")
    if kind in {"appointment_stats", "patterns", "lifetime_value", "barber_performance"}:
        assert any(row[0] == NASTY for row in page.rows)


def test_money_and_periods_are_told() -> None:
    """Amounts have their currency, periods their own figures, and a chart stands beside them."""
    page = shown("revenue")
    assert "1,234,567.89 CAD" in page.texts["dd"]
    assert page.row("2018-05-24")[1:] == ["-12.50", "2", "-6.25", "20.50", "1"]
    assert "2018-05-24 to 2018-05-25, 2 days" in page.text
    bars = [each for tag, each in page.tags if tag == "rect"]
    assert [one["class"] for one in bars] == ["bar below", "bar"]
    assert "2018-05-25: 99.00" in page.texts["title"]


def test_what_is_absent_is_a_dash_with_its_meaning() -> None:
    """No average without payments, no ticket, no change: a dash, and why; a zero stays a zero."""
    page = shown("revenue")
    assert page.row("2018-05-25")[3] == "\N{EN DASH}no completed payments"
    six = shown("six_figure")
    assert "no completed payments in the 30 days" in six.text
    assert "no open day in 30" in six.text
    comparison = shown("comparison")
    assert comparison.row("Revenue") == [
        "Revenue",
        "50.00 CAD",
        "0.00 CAD",
        "\N{EN DASH}nothing to compare with",
    ]
    assert comparison.row("This quarter") == ["This quarter", "50.00"]
    assert comparison.row("The quarter before") == ["The quarter before", "0.00"]
    assert comparison.row("Appointments")[3] == "-25.0%"
    assert comparison.row("Completion rate")[3] == "+3.2 points"


@pytest.mark.parametrize("kind", FULL)
def test_every_report_has_a_chart(kind: str) -> None:
    """There is none without a picture of its own figures."""
    assert "svg" in shown(kind).texts


def test_an_empty_shop_has_pages_without_charts() -> None:
    """Nothing is drawn of nothing; the page says so."""
    for kind in EMPTY:
        page = shown(kind, empty=True)
        assert "svg" not in page.texts
    assert "nothing in this range" in shown("patterns", empty=True).text
    assert "svg" in shown("patterns").texts  # the control


def test_a_stale_answer_is_flagged() -> None:
    """A page of a stale answer says so at its head; a fresh one does not."""
    response = type(FULL["retention"]).FromString(FULL["retention"].SerializeToString())
    response.cache_info.source = types_pb2.SOURCE_REDIS
    response.cache_info.age.seconds = 42
    request = asked("retention")
    request.consistency.max_staleness.seconds = 60
    fresh = read_page(render_page(compose(request, response, made=_NOW)))
    assert "filled 42 s ago, unchanged since" in fresh.text
    assert "Up to 60 s old was allowed." in fresh.text
    assert "Stale" not in fresh.text
    response.cache_info.stale = True
    stale = read_page(render_page(compose(request, response, made=_NOW)))
    assert any(each.get("role") == "status" for _, each in stale.tags)
    assert "being refreshed behind" in stale.text
    assert "unchanged" not in stale.text
