"""All reports in short, and what to look at."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

from tests.support.plain_reports.appointment_stats import (
    AppointmentStatsReport,
    appointment_stats,
)
from tests.support.plain_reports.arithmetic import cents, over, total
from tests.support.plain_reports.barber_performance import (
    BarberPerformanceReport,
    barber_performance,
)
from tests.support.plain_reports.books import Books
from tests.support.plain_reports.clients import (
    LifetimeValueReport,
    RetentionReport,
    known_clients,
    mean_predicted,
    retention,
    worth,
)
from tests.support.plain_reports.comparison import ComparisonReport, comparison
from tests.support.plain_reports.patterns import PatternsReport, patterns
from tests.support.plain_reports.revenue import RevenuePeriod, of_days
from tests.support.plain_reports.six_figure import SixFigureReport, six_figure

__all__ = ["DashboardReport", "Insight", "KeyMetrics", "dashboard"]

_ENOUGH = 10
"""So many appointments of a service are needed to say something about it."""


@dataclass(slots=True)
class KeyMetrics:
    """What matters most."""

    revenue: Decimal | None
    transactions: int
    mean_transaction: Decimal | None
    appointments: int
    completion_rate: float
    no_show_rate: float
    clients: int
    utilisation: float
    revenue_change: float | None
    appointments_change: float | None
    completion_change: float | None
    clients_change: float | None


@dataclass(slots=True)
class Insight:
    """What to look at, with what was measured and the bound that it crossed."""

    kind: str
    measured: float
    threshold: float
    service_id: int = 0
    service_name: str = ""


@dataclass(slots=True)
class DashboardReport:
    """All of it."""

    start_date: date
    end_date: date
    as_of_date: date
    key_metrics: KeyMetrics
    revenue: RevenuePeriod
    appointment_stats: AppointmentStatsReport
    six_figure: SixFigureReport
    retention: RetentionReport
    lifetime_value: LifetimeValueReport
    patterns: PatternsReport
    comparison: ComparisonReport
    barber_performance: BarberPerformanceReport
    insights: list[Insight]


def dashboard(
    books: Books, barber_id: int, start: date, end: date, as_of: date, *, target: float
) -> DashboardReport:
    """Work the report out."""
    of_range, of_day = (books, barber_id, start, end), (books, barber_id, as_of)
    stats, change = appointment_stats(*of_range), comparison(*of_day, "month")
    paid = books.paid(barber_id, start, end)
    mean = over(total(m.amount for m in paid), len(paid))
    stays, clients = retention(*of_day), known_clients(*of_day)
    performance = barber_performance(*of_range)
    return DashboardReport(
        start_date=start,
        end_date=end,
        as_of_date=as_of,
        key_metrics=KeyMetrics(
            revenue=performance.revenue,
            transactions=len(paid),
            mean_transaction=cents(mean),
            appointments=stats.total,
            completion_rate=stats.completion_rate,
            no_show_rate=stats.no_show_rate,
            clients=performance.clients,
            utilisation=stats.utilisation,
            revenue_change=change.revenue_change,
            appointments_change=change.appointments_change,
            completion_change=change.completion_change,
            clients_change=change.clients_change,
        ),
        revenue=of_days(books, barber_id, "", start, end),
        appointment_stats=replace(stats, by_service=[], by_hour=[]),
        six_figure=six_figure(*of_day, target),
        retention=stays,
        lifetime_value=replace(
            worth(books, clients, as_of), top_clients=[], top_at_risk_clients=[]
        ),
        patterns=replace(
            patterns(*of_range), by_hour=[], by_weekday=[], by_month=[], by_service=[]
        ),
        comparison=change,
        barber_performance=replace(performance, by_service=[]),
        insights=list(_insights(stats, mean, stays, mean_predicted(clients))),
    )


def _insights(
    stats: AppointmentStatsReport,
    mean: Fraction | None,
    stays: RetentionReport,
    predicted: Fraction | None,
) -> Iterator[Insight]:
    if mean is not None and mean < 50:
        yield Insight("mean_transaction", float(mean), 50)
    if stats.completion_rate < 80:
        yield Insight("completion", stats.completion_rate, 80)
    if stats.no_show_rate > 15:
        yield Insight("no_show", stats.no_show_rate, 15)
    if stays.retention_rate < 60:
        yield Insight("retention", stays.retention_rate, 60)
    if predicted is not None and predicted < 200:
        yield Insight("predicted_value", float(predicted), 200)
    for each in stats.by_service:
        if each.count >= _ENOUGH and each.completion_rate < 70:
            name = each.name
            yield Insight("service_completion", each.completion_rate, 70, each.service_id, name)
    if stats.utilisation < 60:
        yield Insight("low_utilisation", stats.utilisation, 60)
    if stats.utilisation > 95:
        yield Insight("high_utilisation", stats.utilisation, 95)
