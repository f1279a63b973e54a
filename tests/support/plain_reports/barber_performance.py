"""How a barber does, or the whole shop."""

from collections import Counter
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

from tests.support.plain_reports.appointment_stats import ServiceStats, appointment_stats, by_hour
from tests.support.plain_reports.arithmetic import cents, over, peak
from tests.support.plain_reports.books import Books

__all__ = ["BarberPerformanceReport", "barber_performance"]


@dataclass(slots=True)
class BarberPerformanceReport:
    """Work, money, clients and peaks of a range."""

    total: int
    completion_rate: float
    cancellation_rate: float
    no_show_rate: float
    revenue: Decimal | None
    booked_hours: float
    revenue_per_booked_hour: Decimal | None
    open_hours: float
    utilisation: float
    clients: int
    repeat_clients: int
    by_service: list[ServiceStats]
    peak_hour: int | None
    peak_weekday: int | None


def barber_performance(
    books: Books, barber_id: int, start: date, end: date
) -> BarberPerformanceReport:
    """Work the report out."""
    stats = appointment_stats(books, barber_id, start, end)
    counted = books.booked(barber_id, start, end)
    revenue = books.revenue(barber_id, start, end)
    hours = Fraction(stats.booked_minutes, 60)
    visits = books.visits(barber_id, start, end)
    return BarberPerformanceReport(
        total=stats.total,
        completion_rate=stats.completion_rate,
        cancellation_rate=stats.cancellation_rate,
        no_show_rate=stats.no_show_rate,
        revenue=cents(revenue),
        booked_hours=float(hours),
        revenue_per_booked_hour=cents(over(revenue, hours)),
        open_hours=stats.open_minutes / 60,
        utilisation=stats.utilisation,
        clients=len(visits),
        repeat_clients=sum(len(days) >= 2 for days in visits.values()),
        by_service=stats.by_service,
        peak_hour=peak(by_hour(counted)),
        peak_weekday=peak(Counter(a.day.weekday() for a in counted if a.status != "cancelled")),
    )
