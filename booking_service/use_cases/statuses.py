"""Carry an appointment through its statuses."""

from dataclasses import dataclass

from sqlalchemy import update

from booking_service.domain.statuses import Status, can_move
from booking_service.postgres import tables
from booking_service.use_cases import lookups
from booking_service.use_cases.records import Appointment, Organization, only, shape
from booking_service.use_cases.room import HOLD_EXPIRED, slot_taken
from booking_service.use_cases.transaction import Transaction
from service_kit.errors import FailedPrecondition

__all__ = ["Step", "advance", "refuse_move", "set_status"]


@dataclass(frozen=True, slots=True)
class Step:
    """The status that an appointment shall have; `reason` is for a cancellation."""

    organization_id: int
    appointment_id: int
    status: Status
    etag: str
    reason: str = ""


async def advance(tx: Transaction, wanted: Step) -> Appointment:
    """Give an appointment its next status, if the move makes sense.

    Raises FailedPrecondition INVALID_TRANSITION; SLOT_TAKEN where a hold to be confirmed
    had ended and another booking took its time; TOO_EARLY for a no-show before the start.
    An ended hold whose time nobody took is confirmed like any other.
    """
    shop = await lookups.organization(tx, wanted.organization_id)
    old = await lookups.appointment_to_change(tx, shop, wanted.appointment_id, etag=wanted.etag)
    if not can_move(old.status, wanted.status):
        if wanted.status is Status.CONFIRMED and old.cancellation_reason == HOLD_EXPIRED:
            raise slot_taken(barber_id=old.barber_id, start_time=old.starts_at.isoformat())
        raise refuse_move(old, wanted.status.value)
    if wanted.status is Status.NO_SHOW and tx.now < old.starts_at:
        reason = "TOO_EARLY"
        message = "a client can only be missed from the appointment's start on"
        raise FailedPrecondition(
            reason,
            message,
            subject=f"appointments/{old.id}",
            appointment_id=old.id,
            start_time=old.starts_at.isoformat(),
        )
    return await set_status(tx, shop, old, wanted.status, wanted.reason)


async def set_status(
    tx: Transaction, shop: Organization, old: Appointment, status: Status, reason: str = ""
) -> Appointment:
    """Write a new status over a locked appointment; whatever was pending holds no longer."""
    table = tables.appointments
    return await only(
        tx.connection,
        update(table)
        .where(table.c.id == old.id)
        .values(
            status=status.value,
            hold_until=None,
            cancellation_reason=reason,
            version=table.c.version + 1,
        )
        .returning(*shape(table, Appointment, currency=shop.currency)),
        Appointment,
    )


def refuse_move(appointment: Appointment, wanted: str) -> FailedPrecondition:
    """Say that an appointment's status does not allow what was asked for."""
    return FailedPrecondition(
        "INVALID_TRANSITION",
        f"the appointment is {appointment.status} and cannot be {wanted}",
        subject=f"appointments/{appointment.id}",
        appointment_id=appointment.id,
        status=appointment.status,
        wanted=wanted,
    )
