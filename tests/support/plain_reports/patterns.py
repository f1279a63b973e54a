"""When and what is booked."""

from collections import Counter
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from tests.support.plain_reports.appointment_stats import rate
from tests.support.plain_reports.arithmetic import cents, over, peak, total
from tests.support.plain_reports.books import Appointment, Books

__all__ = [
    "HourPattern",
    "MonthPattern",
    "PatternsReport",
    "ServicePattern",
    "WeekdayPattern",
    "patterns",
]


@dataclass(slots=True)
class HourPattern:
    """A local hour."""

    hour: int
    count: int
    no_shows: int


@dataclass(slots=True)
class WeekdayPattern:
    """A local weekday, 0 is Monday."""

    weekday: int
    count: int
    no_shows: int


@dataclass(slots=True)
class MonthPattern:
    """A month of whatever year, 1 is January."""

    month: int
    count: int


@dataclass(slots=True)
class ServicePattern:
    """A service."""

    service_id: int
    name: str
    count: int
    no_shows: int
    completion_rate: float
    no_show_rate: float
    mean_payment: Decimal | None


@dataclass(slots=True)
class PatternsReport:
    """All of them; the busiest are absent where there are none."""

    by_hour: list[HourPattern]
    by_weekday: list[WeekdayPattern]
    by_month: list[MonthPattern]
    by_service: list[ServicePattern]
    busiest_hour: int | None
    busiest_weekday: int | None
    busiest_month: int | None


def patterns(books: Books, barber_id: int, start: date, end: date) -> PatternsReport:
    """Work the report out."""
    counted = books.booked(barber_id, start, end)
    kept = [a for a in counted if a.status != "cancelled"]
    missed = [a for a in counted if a.status == "no_show"]
    hours, weekdays = Counter(a.hour for a in kept), Counter(a.day.weekday() for a in kept)
    months = Counter(a.day.month for a in kept)
    missed_hours = Counter(a.hour for a in missed)
    missed_weekdays = Counter(a.day.weekday() for a in missed)
    return PatternsReport(
        by_hour=[HourPattern(h, hours[h], missed_hours[h]) for h in sorted(hours)],
        by_weekday=[WeekdayPattern(d, weekdays[d], missed_weekdays[d]) for d in sorted(weekdays)],
        by_month=[MonthPattern(m, months[m]) for m in sorted(months)],
        by_service=[
            _service(books, service, [a for a in counted if a.service == service])
            for service in sorted({a.service for a in counted})
        ],
        busiest_hour=peak(hours),
        busiest_weekday=peak(weekdays),
        busiest_month=peak(months),
    )


def _service(books: Books, service: int, counted: list[Appointment]) -> ServicePattern:
    payments = books.payments_for(counted)
    return ServicePattern(
        service_id=service,
        name=books.services[service],
        count=len(counted),
        no_shows=sum(a.status == "no_show" for a in counted),
        completion_rate=rate(counted, "completed"),
        no_show_rate=rate(counted, "no_show"),
        mean_payment=cents(over(total(m.amount for m in payments), len(payments))),
    )
