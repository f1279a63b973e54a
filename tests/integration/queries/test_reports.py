"""The reports of small shops: against plain calculations, and worked out by hand."""

from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from cache_service.queries.appointment_stats import appointment_stats
from cache_service.queries.reports import RangeArguments
from cache_service.queries.revenue import RevenueArguments, revenue
from cache_service.queries.six_figure import SixFigureArguments, six_figure
from chairside.cache.v1.cache_service_pb2 import GetAnalyticsResponse
from service_kit.errors import NotFound
from service_kit.values import from_money
from tests.integration.analytics.asking import answers, compared, questions
from tests.integration.queries.conftest import Load
from tests.support.plain_reports import REPORTS, Books

WHO = {1: (0, 1001, 1002, 1003), 2: (0, 2001, 2002), 3: (0, 3001)}
RANGES = [
    (date(2018, 3, 1), date(2018, 4, 1)),
    (date(2018, 3, 11), date(2018, 3, 12)),
    (date(2017, 10, 30), date(2018, 4, 4)),
]
DAYS = [date(2018, 4, 1), date(2018, 3, 12), date(2018, 3, 31), date(2019, 1, 15)]


@pytest.mark.parametrize("organization_id", WHO)
@pytest.mark.parametrize("report", REPORTS)
async def test_every_figure_equals_the_plain_calculation(
    reader: AsyncEngine, books: dict[int, Books], report: str, organization_id: int
) -> None:
    """Of shops in two zones and of one without rows, for all and for each barber."""
    requests = questions(report, organization_id, WHO[organization_id], RANGES, DAYS)
    responses = await answers(reader, requests)
    assert compared(books[organization_id], requests, responses) == []


async def test_the_shop_has_the_revenue_that_its_books_say(load: Load) -> None:
    """The plain count itself is right: March of both shops, worked out by hand."""
    # 40.01 + 35 + 80.04 + 200 + 35 + 82.50 + 12.05 of payments, 20.02 + 2.05 + 5 of refunds.
    for organization_id in (1, 2):
        arguments = RevenueArguments(
            organization_id, 0, date(2018, 3, 1), date(2018, 4, 1), "month"
        )
        (payload,) = await load(revenue, arguments)
        total = GetAnalyticsResponse.FromString(payload).revenue.total
        assert from_money(total.revenue) == Decimal("457.53")
        assert total.transactions == 7
        assert from_money(total.average) == Decimal("65.36")
        assert (from_money(total.refunds), total.refund_count) == (Decimal("27.07"), 3)
        assert total.revenue.currency_code == "CAD"


async def test_amounts_are_rounded_half_even(load: Load) -> None:
    """An average of exactly half a cent goes to the even cent, up or down."""
    # Barber 1 on 1 March: 40.01 + 35.00 = 75.01 by two is 37.505.
    arguments = RevenueArguments(1, 1001, date(2018, 3, 1), date(2018, 3, 2), "day")
    (payload,) = await load(revenue, arguments)
    total = GetAnalyticsResponse.FromString(payload).revenue.total
    assert from_money(total.average) == Decimal("37.50")


async def test_clock_changes_count_in_open_minutes(load: Load) -> None:
    """On the day that loses an hour, hours that lie in it are not open."""
    # New York, 2018-03-11: barber 1 has 01:00-04:00 less the missing hour, barber 2 01:30-03:30.
    for barber_id, minutes in ((1001, 120), (1002, 60)):
        arguments = RangeArguments(1, barber_id, date(2018, 3, 11), date(2018, 3, 12))
        (payload,) = await load(appointment_stats, arguments)
        report = GetAnalyticsResponse.FromString(payload).appointment_stats
        assert report.open_minutes == minutes
    # Kolkata has no clock change: the same hours are whole.
    arguments = RangeArguments(2, 2001, date(2018, 3, 11), date(2018, 3, 12))
    (payload,) = await load(appointment_stats, arguments)
    assert GetAnalyticsResponse.FromString(payload).appointment_stats.open_minutes == 180


async def test_an_empty_shop_has_zeros_and_nothing_invented(load: Load) -> None:
    """A shop without a row has zero money and counts, and no ratio at all."""
    (payload,) = await load(six_figure, SixFigureArguments(3, 0, date(2018, 4, 1), 1200.0))
    report = GetAnalyticsResponse.FromString(payload).six_figure
    absent = {
        "average_ticket",
        "visits_per_client",
        "daily_target",
        "clients_needed",
        "recommended_ticket",
        "clients_current",
        "clients_additional",
        "revenue_change",
    }
    assert {name for name in absent if report.HasField(name)} == set()
    assert from_money(report.monthly_revenue) == 0
    assert report.monthly_revenue.currency_code == "EUR"
    assert [action.kind for action in report.actions] == ["pricing", "marketing"]


MADE = {
    "revenue": (revenue, lambda *who: RevenueArguments(*who, *RANGES[0], "day")),
    "appointment_stats": (appointment_stats, lambda *who: RangeArguments(*who, *RANGES[0])),
    "six_figure": (six_figure, lambda *who: SixFigureArguments(*who, date(2018, 4, 1), 1000.0)),
}


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize(
    ("who", "missing"),
    [((9, 0), "organization"), ((1, 2001), "barber"), ((1, 77), "barber"), ((3, 1001), "barber")],
)
async def test_a_report_of_nobody_is_not_found(
    load: Load, name: str, who: tuple[int, int], missing: str
) -> None:
    """An unknown organization, or a barber of another one, is an error and no empty report."""
    query, make = MADE[name]
    with pytest.raises(NotFound) as raised:
        await load(query, make(*who))
    assert raised.value.resource_type == missing
