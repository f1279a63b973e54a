"""The dashboard of the small shops, worked out by hand."""

from datetime import date
from decimal import Decimal

import pytest
from google.protobuf.message import Message

from cache_service.queries.dashboard import DashboardArguments, dashboard
from chairside.cache.v1 import analytics_pb2
from chairside.cache.v1.cache_service_pb2 import GetAnalyticsResponse
from service_kit.values import from_date, from_money
from tests.integration.queries.conftest import Load

MARCH = (date(2018, 3, 1), date(2018, 4, 1))
LAST_OF_MARCH = date(2018, 3, 31)


def money(message: Message, field: str) -> Decimal | None:
    """Read a money field, None if it is absent."""
    return from_money(getattr(message, field)) if message.HasField(field) else None


async def shown(
    load: Load, who: tuple[int, int], start: date, end: date
) -> analytics_pb2.DashboardReport:
    """Load a dashboard of a range as of the last of March."""
    arguments = DashboardArguments(*who, start, end, LAST_OF_MARCH, 1200.0)
    (payload,) = await load(dashboard, arguments)
    return GetAnalyticsResponse.FromString(payload).dashboard


def pointed(report: analytics_pb2.DashboardReport) -> dict[str, float]:
    """List what a dashboard points at: kind and measured value, in order."""
    return {insight.kind: insight.measured for insight in report.insights}


async def test_the_dashboard_has_key_metrics_of_the_range_and_changes_of_the_month(
    load: Load,
) -> None:
    """All of March, and thirty days of it against February."""
    report = await shown(load, (1, 0), *MARCH)
    metrics = report.key_metrics
    assert (money(metrics, "revenue"), metrics.transactions) == (Decimal("457.53"), 7)
    # Refunds lower the average of the revenue report, and no payment: 484.60 / 7.
    assert money(metrics, "mean_transaction") == Decimal("69.23")
    assert money(report.revenue, "average") == Decimal("65.36")
    assert (metrics.appointments, metrics.clients) == (13, 4)
    assert metrics.completion_rate == pytest.approx(100 * 7 / 13)
    assert metrics.no_show_rate == pytest.approx(100 * 3 / 13)
    assert metrics.utilisation == report.appointment_stats.utilisation > 0
    assert metrics.revenue_change == pytest.approx(100 * 412.54 / 9.99)
    assert (metrics.appointments_change, metrics.completion_change) == (1100, -50)
    assert metrics.clients_change == 300


async def test_the_dashboard_has_every_report_in_short(load: Load) -> None:
    """Ranges of the range, windows before the day, and no lists."""
    report = await shown(load, (1, 0), *MARCH)
    assert money(report.six_figure, "monthly_target") == Decimal("100.00")
    assert from_date(report.six_figure.as_of_date) == LAST_OF_MARCH
    # Clients 1 and 3 came twice; 2, 4 and, long ago, 5 once.
    assert (report.retention.clients, report.retention.returning_clients) == (5, 2)
    # 135.03 of the first, on two days in a row, is 67.515 x 730; 195, 0, 92.50 and 30.
    assert money(report.lifetime_value.total, "predicted") == Decimal("49603.45")
    assert report.patterns.busiest_hour == report.barber_performance.peak_hour == 10
    assert report.comparison.previous.appointments == 1
    assert report.barber_performance.repeat_clients == 1
    stats, worth, patterns_ = report.appointment_stats, report.lifetime_value, report.patterns
    lists = (stats.by_service, stats.by_hour, worth.top_clients, worth.top_at_risk_clients)
    assert not any(lists)
    assert not any((patterns_.by_hour, patterns_.by_service, report.barber_performance.by_service))


async def test_insights_name_what_crossed_its_bound(load: Load) -> None:
    """Each with the value measured, in order; what is fine is not mentioned."""
    report = await shown(load, (1, 0), *MARCH)
    assert pointed(report) == {
        "completion": pytest.approx(100 * 7 / 13),
        "no_show": pytest.approx(100 * 3 / 13),
        "retention": 40,
        "low_utilisation": report.key_metrics.utilisation,
    }
    assert [insight.threshold for insight in report.insights] == [80, 15, 60, 60]
    # In February barber 3 only sold something for 9.99; the one client never paid this barber.
    third = await shown(load, (1, 1003), date(2018, 2, 1), date(2018, 3, 1))
    assert pointed(third) == {
        "mean_transaction": 9.99,
        "completion": 0,
        "retention": 0,
        "predicted_value": 0,
        "low_utilisation": 0,
    }
    # What cannot be said of an empty shop is not pointed at; percentages of nothing are 0.
    empty = await shown(load, (3, 0), *MARCH)
    assert pointed(empty) == {"completion": 0, "retention": 0, "low_utilisation": 0}


async def test_a_service_is_pointed_at_from_ten_appointments_on(load: Load) -> None:
    """Service 1 has its tenth on 3 April: five of ten completed. Nine would say nothing."""
    first = date(2017, 1, 1)
    for last, found in ((date(2018, 4, 3), []), (date(2018, 4, 4), [(1001, "Service 1", 50, 70)])):
        report = await shown(load, (1, 0), first, last)
        assert [
            (i.service_id, i.service_name, i.measured, i.threshold)
            for i in report.insights
            if i.kind == "service_completion"
        ] == found
