"""The rows that use cases answer with, as plain values.

A record's fields are columns of its table; `currency` is the shop's, which every
amount of money is in.
"""

from dataclasses import dataclass, fields
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, FromClause, literal
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import Executable

__all__ = [
    "Appointment",
    "Barber",
    "BarberService",
    "Client",
    "Organization",
    "Payment",
    "Refund",
    "Service",
    "SpecialHours",
    "TimeOff",
    "WeeklyHours",
    "maybe",
    "only",
    "shape",
]

_Record = TypeVar("_Record")


@dataclass(frozen=True, slots=True)
class Organization:
    """A shop and its settings; `horizon_days` are local days."""

    id: int
    name: str
    time_zone: str
    currency: str
    slot_interval_minutes: int
    lead_time_minutes: int
    horizon_days: int
    version: int


@dataclass(frozen=True, slots=True)
class Barber:
    """A barber; an inactive one takes no new bookings."""

    id: int
    organization_id: int
    name: str
    active: bool
    version: int


@dataclass(frozen=True, slots=True)
class Service:
    """A service with its price, duration and buffers."""

    id: int
    organization_id: int
    name: str
    category: str
    duration_minutes: int
    buffer_before_minutes: int
    buffer_after_minutes: int
    price: Decimal
    currency: str
    deleted: bool
    version: int


@dataclass(frozen=True, slots=True)
class BarberService:
    """A service as a barber offers it; price or duration None: the service's."""

    barber_id: int
    service_id: int
    offered: bool
    price: Decimal | None
    currency: str
    duration_minutes: int | None


@dataclass(frozen=True, slots=True)
class Client:
    """A client; a deleted one has lost name, address, number and notes."""

    id: int
    organization_id: int
    name: str
    email: str
    phone: str
    notes: str
    deleted: bool
    version: int


@dataclass(frozen=True, slots=True)
class Appointment:
    """A booking; [blocked_from, blocked_until) includes its buffers."""

    id: int
    organization_id: int
    barber_id: int
    service_id: int
    client_id: int | None
    status: str
    starts_at: datetime
    ends_at: datetime
    blocked_from: datetime
    blocked_until: datetime
    price: Decimal
    currency: str
    hold_until: datetime | None
    notes: str
    cancellation_reason: str
    version: int


@dataclass(frozen=True, slots=True)
class Payment:
    """Money taken; `appointment_id` None: a retail sale."""

    id: int
    organization_id: int
    appointment_id: int | None
    barber_id: int
    client_id: int | None
    amount: Decimal
    currency: str
    status: str
    method: str
    paid_at: datetime


@dataclass(frozen=True, slots=True)
class Refund:
    """Money given back, as a positive amount."""

    id: int
    organization_id: int
    payment_id: int
    appointment_id: int | None
    barber_id: int
    client_id: int | None
    amount: Decimal
    currency: str
    reason: str
    refunded_at: datetime


@dataclass(frozen=True, slots=True)
class TimeOff:
    """A time [starts_at, ends_at) in which a barber does not work."""

    id: int
    barber_id: int
    starts_at: datetime
    ends_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class WeeklyHours:
    """Seven weekdays of periods in minutes after local midnight, Monday first."""

    valid_from: date
    weekdays: tuple[tuple[tuple[int, int], ...], ...]


@dataclass(frozen=True, slots=True)
class SpecialHours:
    """The periods of one local day that replace its weekly ones; none: closed."""

    barber_id: int
    day: date
    periods: tuple[tuple[int, int], ...]


def shape(table: FromClause, record: type, **constants: str) -> list[ColumnElement[Any]]:
    """Name what to select for `record`: its fields as columns, the rest as `constants`."""
    return [
        literal(constants[field.name]).label(field.name)
        if field.name in constants
        else table.c[field.name]
        for field in fields(record)
    ]


async def maybe(
    connection: AsyncConnection, statement: Executable, record: type[_Record]
) -> _Record | None:
    """Run a statement that gives the `shape` of at most one record."""
    row = (await connection.execute(statement)).mappings().one_or_none()
    return None if row is None else record(**row)


async def only(
    connection: AsyncConnection, statement: Executable, record: type[_Record]
) -> _Record:
    """Run a statement that gives the `shape` of exactly one record."""
    return record(**(await connection.execute(statement)).mappings().one())
