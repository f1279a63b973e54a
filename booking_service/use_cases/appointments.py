"""Change what an appointment says without moving it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import update

from booking_service.domain.statuses import Status
from booking_service.postgres import tables
from booking_service.use_cases import lookups
from booking_service.use_cases.booking import check_hold
from booking_service.use_cases.records import Appointment, only, shape
from booking_service.use_cases.statuses import refuse_move
from booking_service.use_cases.transaction import Transaction

__all__ = ["AppointmentUpdate", "amend"]


@dataclass(frozen=True, slots=True)
class AppointmentUpdate:
    """New values of notes, client_id (None: a walk-in), price and hold_until, by column.

    `currency` is that of the price, if there is one; empty: the shop's.
    """

    organization_id: int
    appointment_id: int
    changes: Mapping[str, object]
    currency: str
    etag: str


async def amend(tx: Transaction, wanted: AppointmentUpdate) -> Appointment:
    """Change notes, client, price or hold.

    Raises FailedPrecondition INVALID_TRANSITION for a cancelled appointment, and for a hold
    of one that is not pending; InvalidArgument for a hold that has ended already.
    """
    shop = await lookups.organization(tx, wanted.organization_id)
    lookups.check_currency(shop, wanted.currency)
    old = await lookups.appointment_to_change(tx, shop, wanted.appointment_id, etag=wanted.etag)
    if old.status == Status.CANCELLED:
        raise refuse_move(old, "changed")
    client_id = wanted.changes.get("client_id")
    if isinstance(client_id, int) and client_id != old.client_id:
        await lookups.client(tx, shop, client_id)
    hold_until = wanted.changes.get("hold_until")
    if isinstance(hold_until, datetime):
        if old.status != Status.PENDING:
            raise refuse_move(old, "held until a time")
        check_hold(tx, "appointment.hold_until", hold_until)
    table = tables.appointments
    return await only(
        tx.connection,
        update(table)
        .where(table.c.id == old.id)
        .values(**wanted.changes, version=table.c.version + 1)
        .returning(*shape(table, Appointment, currency=shop.currency)),
        Appointment,
    )
