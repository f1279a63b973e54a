"""A calendar period up to a day against as much of the one before."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from tests.support.plain_reports.appointment_stats import rate
from tests.support.plain_reports.arithmetic import DAY, cents, change
from tests.support.plain_reports.books import Books

__all__ = ["ComparisonPeriod", "ComparisonReport", "comparison"]


@dataclass(slots=True)
class ComparisonPeriod:
    """One side."""

    start_date: date
    end_date: date
    revenue: Decimal | None
    appointments: int
    completion_rate: float
    clients: int


@dataclass(slots=True)
class ComparisonReport:
    """Both sides and what changed."""

    as_of_date: date
    against: str
    current: ComparisonPeriod
    previous: ComparisonPeriod
    revenue_change: float | None
    appointments_change: float | None
    completion_change: float | None
    clients_change: float | None


def comparison(books: Books, barber_id: int, as_of: date, against: str) -> ComparisonReport:
    """Work the report out; `against` is month, quarter or year."""
    start = _first(as_of, against)
    before = _first(start - DAY, against)
    days = as_of - start
    now = _side(books, barber_id, start, as_of)
    then = _side(books, barber_id, before, min(before + days, start))
    return ComparisonReport(
        as_of_date=as_of,
        against=against,
        current=now,
        previous=then,
        revenue_change=change(
            books.revenue(barber_id, now.start_date, now.end_date),
            books.revenue(barber_id, then.start_date, then.end_date),
        ),
        appointments_change=change(now.appointments, then.appointments),
        completion_change=now.completion_rate - then.completion_rate if days else None,
        clients_change=change(now.clients, then.clients),
    )


def _first(day: date, of: str) -> date:
    """Find the first day of a day's calendar month, quarter or year."""
    month = {"month": day.month, "quarter": (day.month - 1) // 3 * 3 + 1, "year": 1}[of]
    return date(day.year, month, 1)


def _side(books: Books, barber_id: int, start: date, end: date) -> ComparisonPeriod:
    counted = books.booked(barber_id, start, end)
    return ComparisonPeriod(
        start_date=start,
        end_date=end,
        revenue=cents(books.revenue(barber_id, start, end)),
        appointments=len(counted),
        completion_rate=rate(counted, "completed"),
        clients=len(books.visits(barber_id, start, end)),
    )
