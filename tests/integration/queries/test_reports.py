"""The reports, against plain calculations over the same rows."""

from collections import Counter
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from google.protobuf.message import Message

from cache_service.queries.appointment_stats import StatsArguments, appointment_stats
from cache_service.queries.records import status_text
from cache_service.queries.revenue import RevenueArguments, revenue
from cache_service.queries.six_figure import SixFigureArguments, six_figure
from chairside.cache.v1 import analytics_pb2
from chairside.cache.v1.cache_service_pb2 import GetAnalyticsResponse
from service_kit.errors import NotFound
from service_kit.values import from_date, from_money
from tests.integration.queries.conftest import Load
from tests.support.plain_analytics import Books

WHO = [(1, 0), (1, 1001), (1, 1002), (1, 1003), (2, 0), (2, 2001), (2, 2002), (3, 0), (3, 3001)]
RANGES = [
    (date(2018, 3, 1), date(2018, 4, 1)),
    (date(2018, 3, 11), date(2018, 3, 12)),
    (date(2017, 10, 30), date(2018, 4, 4)),
]


def money(message: Message, field: str) -> Decimal | None:
    """Read a money field, None if it is absent."""
    return from_money(getattr(message, field)) if message.HasField(field) else None


def figures(period: analytics_pb2.RevenuePeriod) -> tuple[object, ...]:
    """Read what a period says."""
    return (
        period.period,
        from_date(period.start_date),
        from_date(period.end_date),
        money(period, "revenue"),
        period.transactions,
        money(period, "average"),
        money(period, "refunds"),
        period.refund_count,
    )


def expected(label: str, start: date, end: date, found: dict[str, Any]) -> tuple[object, ...]:
    """Put plain figures in the order of `figures`."""
    names = ("revenue", "transactions", "average", "refunds", "refund_count")
    return (label, start, end, *(found[name] for name in names))


@pytest.mark.parametrize("group", ["day", "week", "month", "year"])
@pytest.mark.parametrize("who", WHO, ids=str)
async def test_revenue_is_payments_less_refunds_on_their_own_days(
    load: Load, books: dict[int, Books], who: tuple[int, int], group: str
) -> None:
    """Total and every period, empty ones included, equal the plain count."""
    organization_id, barber_id = who
    plain = books[organization_id]
    arguments = [RevenueArguments(organization_id, barber_id, *days, group) for days in RANGES]
    for one, payload in zip(arguments, await load(revenue, *arguments), strict=True):
        report = GetAnalyticsResponse.FromString(payload).revenue
        assert [figures(period) for period in report.series] == [
            expected(*period) for period in plain.series(barber_id, one.start, one.end, group)
        ]
        assert figures(report.total) == expected(
            "", one.start, one.end, plain.money(barber_id, one.start, one.end)
        )


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


@pytest.mark.parametrize("who", WHO, ids=str)
async def test_statistics_equal_the_plain_count(
    load: Load, books: dict[int, Books], who: tuple[int, int]
) -> None:
    """Counts, rates, services, hours, booked and open minutes equal the plain count."""
    organization_id, barber_id = who
    arguments = [StatsArguments(organization_id, barber_id, *days) for days in RANGES]
    for one, payload in zip(arguments, await load(appointment_stats, *arguments), strict=True):
        report = GetAnalyticsResponse.FromString(payload).appointment_stats
        plain = books[organization_id].stats(barber_id, one.start, one.end)
        found = {
            "total": report.total,
            "statuses": Counter({status_text(s.status): s.count for s in report.by_status}),
            "rates": pytest.approx(
                (report.completion_rate, report.cancellation_rate, report.no_show_rate)
            ),
            "services": {
                s.service_id: (
                    s.name,
                    s.count,
                    from_money(s.revenue),
                    pytest.approx((s.completion_rate, s.cancellation_rate, s.no_show_rate)),
                )
                for s in report.by_service
            },
            "hours": Counter({h.hour: h.count for h in report.by_hour}),
            "booked": report.booked_minutes,
            "open": report.open_minutes,
            "utilisation": pytest.approx(report.utilisation),
        }
        assert plain == found
        assert [s.status for s in report.by_status] == sorted(s.status for s in report.by_status)


async def test_clock_changes_count_in_open_minutes(load: Load) -> None:
    """On the day that loses an hour, hours that lie in it are not open."""
    # New York, 2018-03-11: barber 1 has 01:00-04:00 less the missing hour, barber 2 01:30-03:30.
    for barber_id, minutes in ((1001, 120), (1002, 60)):
        arguments = StatsArguments(1, barber_id, date(2018, 3, 11), date(2018, 3, 12))
        (payload,) = await load(appointment_stats, arguments)
        report = GetAnalyticsResponse.FromString(payload).appointment_stats
        assert report.open_minutes == minutes
    # Kolkata has no clock change: the same hours are whole.
    arguments = StatsArguments(2, 2001, date(2018, 3, 11), date(2018, 3, 12))
    (payload,) = await load(appointment_stats, arguments)
    assert GetAnalyticsResponse.FromString(payload).appointment_stats.open_minutes == 180


@pytest.mark.parametrize("target", [100.0, 6000.0, 100_000.0, 123_456.78])
@pytest.mark.parametrize("who", WHO, ids=str)
async def test_the_six_figure_report_equals_the_plain_count(
    load: Load, books: dict[int, Books], who: tuple[int, int], target: float
) -> None:
    """Every figure equals the plain one, absent where the data cannot say it."""
    organization_id, barber_id = who
    for as_of in (date(2018, 4, 1), date(2018, 3, 12), date(2019, 1, 15)):
        arguments = SixFigureArguments(organization_id, barber_id, as_of, target)
        (payload,) = await load(six_figure, arguments)
        report = GetAnalyticsResponse.FromString(payload).six_figure
        assert from_date(report.as_of_date) == as_of
        plain = books[organization_id].six_figure(barber_id, as_of, target)
        assert [action.kind for action in report.actions] == plain.pop("actions")
        for name, value in plain.items():
            if isinstance(value, Decimal) or name in {
                "average_ticket",
                "daily_target",
                "recommended_ticket",
            }:
                assert money(report, name) == value, name
            elif value is None:
                assert not report.HasField(name), name
            else:
                assert getattr(report, name) == pytest.approx(value), name


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


REPORTS = {
    "revenue": (revenue, lambda *who: RevenueArguments(*who, *RANGES[0], "day")),
    "appointment_stats": (appointment_stats, lambda *who: StatsArguments(*who, *RANGES[0])),
    "six_figure": (six_figure, lambda *who: SixFigureArguments(*who, date(2018, 4, 1), 1000.0)),
}


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize(
    ("who", "missing"),
    [((9, 0), "organization"), ((1, 2001), "barber"), ((1, 77), "barber"), ((3, 1001), "barber")],
)
async def test_a_report_of_nobody_is_not_found(
    load: Load, name: str, who: tuple[int, int], missing: str
) -> None:
    """An unknown organization, or a barber of another one, is an error and no empty report."""
    query, make = REPORTS[name]
    with pytest.raises(NotFound) as raised:
        await load(query, make(*who))
    assert raised.value.resource_type == missing
