"""What is written of a shop, before it has ids: things refer to each other by position."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

from booking_service.domain import Period

__all__ = [
    "Appointment",
    "Batch",
    "Client",
    "Offer",
    "Payment",
    "Refund",
    "Service",
    "Shop",
    "SpecialDay",
    "TimeOff",
    "Week",
]


class Service(NamedTuple):
    """A service of the list; `duration` and buffers in minutes, price 0 where it varies."""

    name: str
    category: str
    duration: int
    price: Decimal
    buffer_before: int = 0
    buffer_after: int = 0
    deleted: bool = False
    external_code: str | None = None


class Offer(NamedTuple):
    """That a barber offers a service; own price and duration (minutes), None as the list."""

    barber: int
    service: int
    price: Decimal | None = None
    duration: int | None = None


class Client(NamedTuple):
    """A client."""

    name: str
    email: str = ""
    phone: str = ""
    external_code: str | None = None


class Week(NamedTuple):
    """A barber's weekly hours from a day on: seven days from Monday, each its periods."""

    barber: int
    valid_from: date
    days: tuple[tuple[Period, ...], ...]


class SpecialDay(NamedTuple):
    """One local day of a barber with hours of its own, none: closed."""

    barber: int
    day: date
    periods: tuple[Period, ...]


class TimeOff(NamedTuple):
    """Time that a barber is away, half-open."""

    barber: int
    starts_at: datetime
    ends_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Shop:
    """Everything but what happens: whom and what appointments and money point at."""

    name: str
    time_zone: str
    currency: str
    barbers: Sequence[str]
    services: Sequence[Service]
    offers: Sequence[Offer]
    clients: Sequence[Client]
    weeks: Sequence[Week]
    special_days: Sequence[SpecialDay] = ()
    time_off: Sequence[TimeOff] = ()


class Appointment(NamedTuple):
    """An appointment; barber, service and client by position in the shop."""

    barber: int
    service: int
    client: int | None
    status: str
    starts_at: datetime
    ends_at: datetime
    blocked_from: datetime
    blocked_until: datetime
    price: Decimal
    hold_until: datetime | None = None
    cancellation_reason: str = ""
    created_at: datetime | None = None


class Payment(NamedTuple):
    """Money taken; the appointment by position in its batch, None: retail."""

    appointment: int | None
    barber: int
    client: int | None
    amount: Decimal
    paid_at: datetime
    status: str = "completed"
    method: str = ""


class Refund(NamedTuple):
    """Money given back; appointment and payment by position in its batch, None: not known."""

    appointment: int | None
    payment: int | None
    barber: int
    client: int | None
    amount: Decimal
    refunded_at: datetime
    reason: str = ""


@dataclass(slots=True)
class Batch:
    """Appointments and the money that belongs to them, written together."""

    appointments: list[Appointment] = field(default_factory=list)
    payments: list[Payment] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)
