"""`python -m booking_service report` against the running system."""

import asyncio
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from google.protobuf.json_format import Parse

from chairside.cache.v1 import cache_service_pb2 as cache
from chairside.cache.v1.cache_service_pb2_grpc import CacheServiceStub
from devstack.services import environment
from service_kit.values import to_date
from tests.e2e.programs import Ran, run
from tests.support.html_page import read_page
from tests.support.stack import System

TODAY = datetime.now(UTC).date()
RANGE = ("--from", str(TODAY - timedelta(days=90)), "--to", str(TODAY))
AS_OF = ("--as-of", str(TODAY))
OPTIONS: dict[str, tuple[str, ...]] = {
    "revenue": (*RANGE, "--group-by", "month"),
    "appointment_stats": RANGE,
    "six_figure": (*AS_OF, "--target", "300000"),
    "retention": AS_OF,
    "lifetime_value": AS_OF,
    "patterns": RANGE,
    "comparison": (*AS_OF, "--against", "quarter"),
    "barber_performance": (*RANGE, "--barber", "2"),
    "dashboard": (*RANGE, *AS_OF),
}
TITLES = {
    "revenue": "Revenue",
    "appointment_stats": "Appointments",
    "six_figure": "The way to the target",
    "retention": "Retention",
    "lifetime_value": "Lifetime value",
    "patterns": "Patterns",
    "comparison": "Comparison",
    "barber_performance": "Performance",
    "dashboard": "Dashboard",
}


async def report(town: System, *arguments: str) -> Ran:
    """Ask for a report; the service's address comes from the environment."""
    variables = environment({"CHAIRSIDE_BOOKING_CACHE_TARGET": town.cache.address})
    return await run([sys.executable, "-m", "booking_service", "report", *arguments], variables)


def read(text: str) -> cache.GetAnalyticsResponse:
    """Read what --format json prints: the response and nothing beside it."""
    return Parse(text, cache.GetAnalyticsResponse())


@pytest.mark.parametrize("kind", ["revenue", "comparison", "dashboard"])
async def test_the_formats_of_a_report_agree(town: System, kind: str) -> None:
    """The three formats succeed, say nothing on stderr and agree; the page fetches nothing."""
    asked = (kind, *OPTIONS[kind], "--shop", "Nord & Süd")
    table, page, plain = await asyncio.gather(
        report(town, *asked),
        report(town, *asked, "--format", "html"),
        report(town, *asked, "--format", "json"),
    )
    assert [table.err, page.err, plain.err] == ["", "", ""]
    assert plain.json()[kind]
    answer = read(plain.out)
    assert answer.WhichOneof("report") == kind
    assert answer.HasField("cache_info")
    assert table.code == 0
    assert table.out.startswith(f"{TITLES[kind]}\nNord & Süd, ")
    assert "\nFrom the " in table.out
    figures = _figures_of(page, kind)
    shown = [figure for figure in figures if figure[:1].isdigit() and figure not in table.out]
    assert not shown, "the page has figures that the table has not"


@pytest.mark.parametrize("kind", sorted(set(OPTIONS) - {"revenue", "comparison", "dashboard"}))
async def test_every_other_kind_makes_a_page(town: System, kind: str) -> None:
    """Each has figures of the shop, and charts."""
    _figures_of(
        await report(town, kind, *OPTIONS[kind], "--shop", "Nord & Süd", "--format", "html"), kind
    )


def _figures_of(page: Ran, kind: str) -> set[str]:
    """Check a page, and return the figures that it shows."""
    assert (page.code, page.err) == (0, "")
    html = read_page(page.out)
    assert html.problems == []
    assert html.texts["h1"] == [TITLES[kind]]
    assert "Nord & Süd" in html.texts["title"][0]
    assert "svg" in html.texts
    figures = {value.strip() for value in html.texts.get("dd", [])}
    figures |= {cell for row in html.rows for cell in row}
    assert sum(figure[:1].isdigit() for figure in figures) > 5
    return figures


async def test_revenue_is_what_the_service_says(town: System) -> None:
    """JSON is the answer of GetAnalytics field by field, zeros included."""
    request = cache.GetAnalyticsRequest(
        organization_id=1,
        start_date=to_date(date.fromisoformat(RANGE[1])),
        end_date=to_date(date.fromisoformat(RANGE[3])),
    )
    request.revenue.SetInParent()
    said = await CacheServiceStub(town.cache_channel).GetAnalytics(request, timeout=30)
    told = await report(town, "revenue", *RANGE, "--format", "json")
    assert read(told.out).revenue == said.revenue
    assert len(said.revenue.series) == 90
    assert all("refund_count" in period for period in told.json()["revenue"]["series"])


async def test_a_file_takes_the_report_and_stdout_nothing(town: System, tmp_path: Path) -> None:
    """--output writes a page; a folder that is not there is told, with exit code 1."""
    target = tmp_path / "report.html"
    ran = await report(town, "retention", "--format", "html", "--output", str(target))
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert read_page(target.read_text()).texts["h1"] == ["Retention"]
    lost = await report(town, "retention", "--output", str(tmp_path / "nowhere" / "report"))
    assert lost.code == 1
    assert "nowhere" in lost.err


async def test_a_wall_display_is_told_what_is_stale(town: System) -> None:
    """After an invalidation an old answer is taken and flagged, and without leave it is not."""
    asked = ("patterns", *RANGE)
    drop = cache.InvalidateRequest(scope=cache.Scope(organization_id=1))
    assert (await report(town, *asked)).code == 0  # filled
    await CacheServiceStub(town.cache_channel).Invalidate(drop, timeout=10)
    stale = await report(town, *asked, "--max-staleness", "3600")
    assert "Up to 3,600 s old was allowed." in stale.out
    assert stale.out.rstrip().endswith("it is being refreshed behind.")
    await CacheServiceStub(town.cache_channel).Invalidate(drop, timeout=10)
    strict = await report(town, *asked, "--format", "json")
    assert strict.json()["cache_info"] == {
        "source": "SOURCE_DATABASE",
        "age": "0s",
        "stale": False,
    }


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("profit",), ("KIND", "lifetime_value")),
        (
            ("revenue", "--from", "2018-05-24", *AS_OF, "--barber", "-1"),
            ("end_date: is required (--to)", "as_of_date: ", "barber_id: "),
        ),
        (
            ("six_figure", "--target", "nan", "--max-staleness", "-1"),
            ("six_figure.target_annual_income: ", "consistency.max_staleness: "),
        ),
        (("retention", "--barber", "4711"), ("barber 4711",)),
    ],
    ids=["kind", "fields", "options", "unknown"],
)
async def test_a_bad_question_is_told_in_lines(
    town: System, arguments: tuple[str, ...], told: tuple[str, ...]
) -> None:
    """Exit code 2, every wrong field as the service names it, nothing on stdout, no traceback."""
    ran = await report(town, *arguments, "--format", "json")
    assert ran.code == 2
    assert ran.out == ""
    assert "Traceback" not in ran.err
    assert all(words in ran.err for words in told), ran.err


async def test_a_service_that_is_not_there_is_told(town: System) -> None:
    """Exit code 1 and one line with the address and why; --cache-target wins over the variable."""
    ran = await report(town, "retention", "--cache-target", "127.0.0.1:1")
    assert ran.code == 1
    assert ran.out == ""
    (line,) = ran.err.splitlines()
    assert "127.0.0.1:1" in line
    assert "UNAVAILABLE" in line
