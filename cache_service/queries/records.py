"""Rows of the tables as messages: what lists and details are made of.

Rows are named as their columns. Money is in the organization's currency; the etag is the
row's version.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from chairside.cache.v1 import types_pb2
from service_kit.values import to_duration_minutes, to_money, to_timestamp

__all__ = ["appointment", "barber", "client", "service", "status_number", "status_text"]

Row = Any
"""A row of SQLAlchemy's: its attributes are the columns."""

_STATUS_NUMBERS = {
    name.removeprefix("APPOINTMENT_STATUS_").lower(): number
    for name, number in types_pb2.AppointmentStatus.items()
}
_STATUS_TEXTS = {number: text for text, number in _STATUS_NUMBERS.items()}


def status_number(text: str) -> types_pb2.AppointmentStatus.ValueType:
    """Return the enum's value of a status as the database spells it."""
    return _STATUS_NUMBERS[text]


def status_text(number: int) -> str:
    """Return a status as the database spells it."""
    return _STATUS_TEXTS[types_pb2.AppointmentStatus.ValueType(number)]


def appointment(row: Row, organization_id: int, currency: str) -> types_pb2.Appointment:
    """Make an appointment of its row."""
    return types_pb2.Appointment(
        appointment_id=row.id,
        organization_id=organization_id,
        barber_id=row.barber_id,
        service_id=row.service_id,
        client_id=row.client_id or 0,
        status=status_number(row.status),
        start_time=to_timestamp(row.starts_at),
        end_time=to_timestamp(row.ends_at),
        price=to_money(row.price, currency),
        hold_until=None if row.hold_until is None else to_timestamp(row.hold_until),
        notes=row.notes,
        cancellation_reason=row.cancellation_reason,
        etag=str(row.version),
    )


def client(row: Row, organization_id: int) -> types_pb2.Client:
    """Make a client of its row."""
    return types_pb2.Client(
        client_id=row.id,
        organization_id=organization_id,
        name=row.name,
        email=row.email,
        phone=row.phone,
        notes=row.notes,
        etag=str(row.version),
        deleted=row.deleted,
    )


def service(row: Row, organization_id: int, currency: str) -> types_pb2.Service:
    """Make a service of its row."""
    return types_pb2.Service(
        service_id=row.id,
        organization_id=organization_id,
        name=row.name,
        category=row.category,
        duration=to_duration_minutes(row.duration_minutes),
        buffer_before=to_duration_minutes(row.buffer_before_minutes),
        buffer_after=to_duration_minutes(row.buffer_after_minutes),
        price=to_money(row.price, currency),
        etag=str(row.version),
        deleted=row.deleted,
    )


def barber(
    row: Row,
    offers: list[tuple[int, Decimal | None, int | None]],
    organization_id: int,
    currency: str,
) -> types_pb2.Barber:
    """Make a barber of its row and offers: service, own price, own duration in minutes."""
    return types_pb2.Barber(
        barber_id=row.id,
        organization_id=organization_id,
        name=row.name,
        active=row.active,
        etag=str(row.version),
        services=[
            types_pb2.BarberService(
                barber_id=row.id,
                service_id=service_id,
                offered=True,
                price=None if price is None else to_money(price, currency),
                duration=None if minutes is None else to_duration_minutes(minutes),
            )
            for service_id, price, minutes in offers
        ],
    )
