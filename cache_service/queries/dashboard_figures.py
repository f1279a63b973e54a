"""The figures of the dashboard: the reports in short, key metrics, and what to look at."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from booking_service.domain.money import pct
from cache_service.queries.appointment_stats import stats_of
from cache_service.queries.barber_performance import Performance, performance_of
from cache_service.queries.bookings import Bookings, read_bookings
from cache_service.queries.comparison import comparison_of
from cache_service.queries.lifetime_value import lifetime_value_of, mean_predicted
from cache_service.queries.open_time import open_time_of, read_hours
from cache_service.queries.patterns import busiest
from cache_service.queries.reports import cents
from cache_service.queries.retention import retention_of
from cache_service.queries.revenue import DayMoney, period_of, read_days, sum_of
from cache_service.queries.six_figure import six_figure_of
from chairside.cache.v1 import analytics_pb2
from service_kit.values import to_date

__all__ = ["report_of"]

_LOW_TRANSACTION = 50
_LOW_COMPLETION = 80
_HIGH_NO_SHOW = 15
_LOW_RETENTION = 60
_LOW_PREDICTED = 200
_LOW_SERVICE_COMPLETION = 70
_ENOUGH = 10
"""Fewer appointments of a service say nothing about it."""
_LOW_UTILISATION = 60
_HIGH_UTILISATION = 95


def report_of(
    start: date,
    end: date,
    as_of: date,
    target: float,
    row: Any,  # noqa: ANN401 - a row of the dashboard's statement
) -> analytics_pb2.DashboardReport:
    """Work out the report of the local days [start, end) and as of a day."""
    currency = row.currency
    bookings, money = read_bookings(row.booked), sum_of(read_days(row.money).values())
    opened = open_time_of(read_hours(row.hours), ZoneInfo(row.time_zone), start, end)
    clients, repeat_clients = json.loads(row.visitors)
    performance = Performance(bookings, money.revenue, opened, clients, repeat_clients)
    worth = lifetime_value_of(as_of, row)
    del worth.top_clients[:], worth.top_at_risk_clients[:]
    report = analytics_pb2.DashboardReport(
        start_date=to_date(start),
        end_date=to_date(end),
        as_of_date=to_date(as_of),
        revenue=period_of("", start, end, money, currency),
        appointment_stats=stats_of(bookings, opened),
        six_figure=six_figure_of(as_of, target, row),
        retention=retention_of(as_of, row),
        lifetime_value=worth,
        patterns=busiest(bookings),
        comparison=comparison_of(as_of, "month", row),
        barber_performance=performance_of(performance, currency),
    )
    report.key_metrics.CopyFrom(_key_metrics(report, money, currency))
    report.insights.extend(_insights(report, money, mean_predicted(row)))
    report.insights.extend(_services(bookings, json.loads(row.names or "{}")))
    report.insights.extend(_utilisation(report.appointment_stats.utilisation))
    return report


def _key_metrics(
    report: analytics_pb2.DashboardReport, money: DayMoney, currency: str
) -> analytics_pb2.KeyMetrics:
    """Choose from the parts; a change that the comparison does not have is absent."""
    stats, change = report.appointment_stats, report.comparison
    metrics = analytics_pb2.KeyMetrics(
        revenue=report.revenue.revenue,
        transactions=money.payments,
        mean_transaction=cents(money.mean_payment, currency),
        appointments=stats.total,
        completion_rate=stats.completion_rate,
        no_show_rate=stats.no_show_rate,
        clients=report.barber_performance.clients,
        utilisation=stats.utilisation,
    )
    for name in ("revenue", "appointments", "completion", "clients"):
        field = f"{name}_change"
        if change.HasField(field):  # type: ignore[arg-type] # one of the four
            setattr(metrics, field, getattr(change, field))
    return metrics


def _insights(
    report: analytics_pb2.DashboardReport, money: DayMoney, predicted: Decimal | None
) -> Iterator[analytics_pb2.Insight]:
    """Point at what is low or high; what the data cannot say points at nothing."""
    stats, mean = report.appointment_stats, money.mean_payment
    if mean is not None and mean < _LOW_TRANSACTION:
        yield _insight("mean_transaction", mean, _LOW_TRANSACTION)
    if stats.completion_rate < _LOW_COMPLETION:
        yield _insight("completion", stats.completion_rate, _LOW_COMPLETION)
    if stats.no_show_rate > _HIGH_NO_SHOW:
        yield _insight("no_show", stats.no_show_rate, _HIGH_NO_SHOW)
    if report.retention.retention_rate < _LOW_RETENTION:
        yield _insight("retention", report.retention.retention_rate, _LOW_RETENTION)
    if predicted is not None and predicted < _LOW_PREDICTED:
        yield _insight("predicted_value", predicted, _LOW_PREDICTED)


def _services(bookings: Bookings, names: dict[str, str]) -> Iterator[analytics_pb2.Insight]:
    for service_id, by_status in sorted(bookings.by_service.items()):
        count = by_status.total()
        completion = pct(by_status["completed"], count)
        if count >= _ENOUGH and completion < _LOW_SERVICE_COMPLETION:
            insight = _insight("service_completion", completion, _LOW_SERVICE_COMPLETION)
            insight.service_id, insight.service_name = service_id, names[str(service_id)]
            yield insight


def _utilisation(utilisation: float) -> Iterator[analytics_pb2.Insight]:
    if utilisation < _LOW_UTILISATION:
        yield _insight("low_utilisation", utilisation, _LOW_UTILISATION)
    if utilisation > _HIGH_UTILISATION:
        yield _insight("high_utilisation", utilisation, _HIGH_UTILISATION)


def _insight(kind: str, measured: Decimal | float, threshold: int) -> analytics_pb2.Insight:
    return analytics_pb2.Insight(kind=kind, measured=float(measured), threshold=threshold)
