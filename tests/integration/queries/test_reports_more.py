"""Patterns, comparisons and how barbers do: figures of the small shops, worked out by hand."""

from datetime import date
from decimal import Decimal

import pytest
from google.protobuf.message import Message

from cache_service.queries.barber_performance import barber_performance
from cache_service.queries.comparison import ComparisonArguments, comparison
from cache_service.queries.dashboard import DashboardArguments, dashboard
from cache_service.queries.patterns import patterns
from cache_service.queries.reports import RangeArguments
from chairside.cache.v1 import analytics_pb2
from chairside.cache.v1.cache_service_pb2 import GetAnalyticsResponse
from service_kit.errors import NotFound
from service_kit.values import from_date, from_money
from tests.integration.queries.conftest import Load

MARCH = (date(2018, 3, 1), date(2018, 4, 1))
LAST_OF_MARCH = date(2018, 3, 31)


def money(message: Message, field: str) -> Decimal | None:
    """Read a money field, None if it is absent."""
    return from_money(getattr(message, field)) if message.HasField(field) else None


def present(message: Message) -> set[str]:
    """Name the fields that are not at their zero value, and optional ones that are there."""
    return {field.name for field, _ in message.ListFields()}


async def compared(load: Load, *arguments: object) -> analytics_pb2.ComparisonReport:
    """Load a comparison."""
    (payload,) = await load(comparison, ComparisonArguments(*arguments))
    return GetAnalyticsResponse.FromString(payload).comparison


async def test_patterns_count_what_was_not_called_off(load: Load) -> None:
    """March of both shops: by hour, weekday and month without cancelled ones, by service with."""
    for organization_id in (1, 2):
        (payload,) = await load(patterns, RangeArguments(organization_id, 0, *MARCH))
        report = GetAnalyticsResponse.FromString(payload).patterns
        assert [(h.hour, h.count, h.no_shows) for h in report.by_hour] == [
            (1, 1, 0),
            (9, 2, 0),
            (10, 3, 2),
            (11, 1, 0),
            (12, 2, 0),
            (15, 1, 1),
            (23, 1, 0),
        ]
        assert [(d.weekday, d.count, d.no_shows) for d in report.by_weekday] == [
            (0, 1, 1),
            (1, 1, 0),
            (2, 1, 1),
            (3, 3, 0),
            (4, 2, 1),
            (5, 1, 0),
            (6, 2, 0),
        ]
        assert [(m.month, m.count) for m in report.by_month] == [(3, 11)]
        assert (report.busiest_hour, report.busiest_weekday, report.busiest_month) == (10, 3, 3)
        assert [
            (s.service_id % 1000, s.name, s.count, s.no_shows, s.completion_rate, s.no_show_rate)
            for s in report.by_service
        ] == [
            (1, "Service 1", 6, 2, pytest.approx(100 / 3), pytest.approx(100 / 3)),
            (2, "Service 2", 5, 1, 60, 20),
            (3, "Service 3", 2, 0, 100, 0),
        ]
        # 35 twice; 80.04 and 82.50, what is pending or failed is none; 200 and, in April, 120.55.
        assert [money(s, "mean_payment") for s in report.by_service] == [
            Decimal("35.00"),
            Decimal("81.27"),
            Decimal("160.28"),
        ]


async def test_peaks_go_to_the_earliest_and_are_none_where_all_was_called_off(load: Load) -> None:
    """Equal counts: the earliest hour, weekday, month. Cancelled ones alone make no peak."""
    # 5 March, a Monday, 15:00 and 28 March, a Wednesday, 10:00: one each. 29 March: cancelled.
    arguments = [
        RangeArguments(1, 1003, *MARCH),
        RangeArguments(1, 1003, date(2018, 3, 29), date(2018, 3, 30)),
        RangeArguments(1, 1003, date(2017, 11, 1), date(2018, 4, 1)),
    ]
    both, none, months = [
        GetAnalyticsResponse.FromString(payload).patterns
        for payload in await load(patterns, *arguments)
    ]
    assert (both.busiest_hour, both.busiest_weekday) == (10, 0)
    assert present(none) == {"by_service"}
    (service,) = none.by_service
    assert (service.count, service.completion_rate) == (1, 0)
    assert not service.HasField("mean_payment")
    # Two in March, one in November: of months of the year, March has most.
    assert [(m.month, m.count) for m in months.by_month] == [(3, 2), (11, 1)]
    assert months.busiest_month == 3


async def test_a_barber_is_measured_by_own_work_and_own_money(load: Load) -> None:
    """March of barber 1: own appointments, money that this barber took, services' by anyone."""
    (payload,) = await load(barber_performance, RangeArguments(1, 1001, *MARCH))
    report = GetAnalyticsResponse.FromString(payload).barber_performance
    assert report.total == 6
    assert report.completion_rate == 50
    assert report.cancellation_rate == report.no_show_rate == pytest.approx(100 / 6)
    # 40.01 + 35 + 200 + 12.05 less 2.05 and 5; 80.04 and its refund went through barber 2.
    assert money(report, "revenue") == Decimal("280.01")
    # 30 + 45 + 120 minutes.
    assert report.booked_hours == 3.25
    assert money(report, "revenue_per_booked_hour") == Decimal("86.16")
    assert report.utilisation == pytest.approx(100 * 3.25 / report.open_hours)
    # Two appointments on one day are one visit.
    assert (report.clients, report.repeat_clients) == (2, 0)
    assert (report.peak_hour, report.peak_weekday) == (9, 3)
    assert [(s.service_id, s.count, money(s, "revenue")) for s in report.by_service] == [
        (1001, 3, Decimal("35.00")),
        (1002, 2, Decimal("55.02")),
        (1003, 1, Decimal("0.00")),
    ]


async def test_a_shop_is_measured_over_all_barbers(load: Load) -> None:
    """March of the shop: clients are counted once, walk-ins are none, one came twice."""
    (payload,) = await load(barber_performance, RangeArguments(1, 0, *MARCH))
    report = GetAnalyticsResponse.FromString(payload).barber_performance
    assert (report.total, money(report, "revenue")) == (13, Decimal("457.53"))
    assert (report.clients, report.repeat_clients) == (4, 1)
    assert report.booked_hours == pytest.approx(400 / 60)
    assert (report.peak_hour, report.peak_weekday) == (10, 3)


async def test_a_shop_without_anything_has_no_peaks_and_no_hourly_revenue(load: Load) -> None:
    """Zeros, and nothing that would have to be divided by zero."""
    (payload,) = await load(barber_performance, RangeArguments(3, 0, *MARCH))
    report = GetAnalyticsResponse.FromString(payload).barber_performance
    assert present(report) == {"revenue"}
    assert (money(report, "revenue"), report.revenue.currency_code) == (0, "EUR")
    (payload,) = await load(patterns, RangeArguments(3, 0, *MARCH))
    assert present(GetAnalyticsResponse.FromString(payload).patterns) == set()


async def test_a_month_is_compared_with_as_much_of_the_one_before(load: Load) -> None:
    """Thirty days of March against all of February, which has no thirty."""
    report = await compared(load, 1, 0, LAST_OF_MARCH, "month")
    now, before = report.current, report.previous
    assert (from_date(now.start_date), from_date(now.end_date)) == (MARCH[0], LAST_OF_MARCH)
    assert (from_date(before.start_date), from_date(before.end_date)) == (
        date(2018, 2, 1),
        MARCH[0],
    )
    assert (money(now, "revenue"), money(before, "revenue")) == (
        Decimal("422.53"),
        Decimal("9.99"),
    )
    assert (now.appointments, before.appointments) == (12, 1)
    assert (now.completion_rate, before.completion_rate) == (50, 100)
    assert (now.clients, before.clients) == (4, 1)
    assert report.revenue_change == pytest.approx(100 * 412.54 / 9.99)
    assert report.appointments_change == 1100
    assert report.completion_change == -50
    assert report.clients_change == 300
    assert report.against == analytics_pb2.AGAINST_MONTH


@pytest.mark.parametrize(
    ("against", "start", "before", "end"),
    [
        ("quarter", date(2018, 1, 1), date(2017, 10, 1), date(2017, 12, 29)),
        ("year", date(2018, 1, 1), date(2017, 1, 1), date(2017, 3, 31)),
    ],
)
async def test_quarters_and_years_are_compared_by_as_many_days(
    load: Load, against: str, start: date, before: date, end: date
) -> None:
    """Eighty-nine days of either: one appointment before, of 2017, paid for only in January."""
    report = await compared(load, 1, 0, LAST_OF_MARCH, against)
    assert from_date(report.current.start_date) == start
    assert from_date(report.previous.start_date) == before
    assert from_date(report.previous.end_date) == end
    assert (report.current.appointments, report.previous.appointments) == (13, 1)
    assert report.current.clients == 4
    assert report.previous.clients == 1  # in January one who was deleted since
    paid = {"quarter": Decimal("0.00"), "year": Decimal("30.00")}[against]
    assert money(report.previous, "revenue") == paid
    assert report.HasField("revenue_change") == (against == "year")


@pytest.mark.parametrize(
    ("as_of", "against"),
    [
        (date(2018, 3, 1), "month"),
        (date(2018, 4, 1), "quarter"),
        (date(2018, 1, 1), "year"),
    ],
)
async def test_the_first_of_a_period_compares_nothing_with_nothing(
    load: Load, as_of: date, against: str
) -> None:
    """Zeros on both sides and no change, not even one of no points."""
    report = await compared(load, 1, 0, as_of, against)
    assert present(report) == {"as_of_date", "against", "current", "previous"}
    for side in (report.current, report.previous):
        assert present(side) == {"start_date", "end_date", "revenue"}
        assert side.start_date == side.end_date
        assert money(side, "revenue") == 0


REPORTS = {
    "patterns": (patterns, lambda *who: RangeArguments(*who, *MARCH)),
    "barber_performance": (barber_performance, lambda *who: RangeArguments(*who, *MARCH)),
    "comparison": (comparison, lambda *who: ComparisonArguments(*who, LAST_OF_MARCH, "month")),
    "dashboard": (
        dashboard,
        lambda *who: DashboardArguments(*who, *MARCH, LAST_OF_MARCH, 1200.0),
    ),
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
