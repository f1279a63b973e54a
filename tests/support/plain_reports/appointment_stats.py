"""Counts and rates of the appointments that start in a range."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from tests.support.plain_reports.arithmetic import cents, pct
from tests.support.plain_reports.books import Appointment, Books

__all__ = [
    "STATUSES",
    "AppointmentStatsReport",
    "HourCount",
    "ServiceStats",
    "StatusCount",
    "appointment_stats",
    "by_hour",
    "rate",
    "statuses",
]

STATUSES = (
    "pending",
    "scheduled",
    "confirmed",
    "in_progress",
    "completed",
    "cancelled",
    "no_show",
)


@dataclass(slots=True)
class StatusCount:
    """How many have a status."""

    status: str
    count: int


@dataclass(slots=True)
class HourCount:
    """How many start in a local hour."""

    hour: int
    count: int


@dataclass(slots=True)
class ServiceStats:
    """One service's appointments."""

    service_id: int
    name: str
    count: int
    revenue: Decimal | None
    completed: int
    cancelled: int
    no_shows: int
    completion_rate: float
    cancellation_rate: float
    no_show_rate: float


@dataclass(slots=True)
class AppointmentStatsReport:
    """All of them, by status, service and hour, and how much of the open time they take."""

    total: int
    by_status: list[StatusCount]
    completion_rate: float
    cancellation_rate: float
    no_show_rate: float
    by_service: list[ServiceStats]
    by_hour: list[HourCount]
    booked_minutes: int
    open_minutes: int
    utilisation: float


def statuses(counted: Iterable[Appointment]) -> Counter[str]:
    """Count by status."""
    return Counter(a.status for a in counted)


def rate(counted: list[Appointment], status: str) -> float:
    """Tell the percentage that has a status."""
    return float(pct(statuses(counted)[status], len(counted)))


def by_hour(counted: Iterable[Appointment]) -> Counter[int]:
    """Count by local hour of the start, cancelled ones left out."""
    return Counter(a.hour for a in counted if a.status != "cancelled")


def appointment_stats(
    books: Books, barber_id: int, start: date, end: date
) -> AppointmentStatsReport:
    """Work the report out."""
    counted = books.booked(barber_id, start, end)
    of = statuses(counted)
    booked = books.minutes(barber_id, start, end)
    opened = books.open_minutes(barber_id, start, end)
    return AppointmentStatsReport(
        total=len(counted),
        by_status=[StatusCount(status, of[status]) for status in STATUSES if of[status]],
        completion_rate=rate(counted, "completed"),
        cancellation_rate=rate(counted, "cancelled"),
        no_show_rate=rate(counted, "no_show"),
        by_service=[
            _of_service(books, service, [a for a in counted if a.service == service])
            for service in sorted({a.service for a in counted})
        ],
        by_hour=[HourCount(*each) for each in sorted(by_hour(counted).items())],
        booked_minutes=booked,
        open_minutes=opened,
        utilisation=float(pct(booked, opened)),
    )


def _of_service(books: Books, service: int, counted: list[Appointment]) -> ServiceStats:
    of = statuses(counted)
    return ServiceStats(
        service_id=service,
        name=books.services[service],
        count=len(counted),
        revenue=cents(books.revenue_of(counted)),
        completed=of["completed"],
        cancelled=of["cancelled"],
        no_shows=of["no_show"],
        completion_rate=rate(counted, "completed"),
        cancellation_rate=rate(counted, "cancelled"),
        no_show_rate=rate(counted, "no_show"),
    )
