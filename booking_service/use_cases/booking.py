"""Take a time of a barber, or move an appointment to another one, in one transaction."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import insert, select, update

from booking_service.domain.slots import ServiceTerms
from booking_service.domain.statuses import RESCHEDULABLE, Status
from booking_service.postgres import tables
from booking_service.use_cases import lookups
from booking_service.use_cases.records import Appointment, Organization, only, shape
from booking_service.use_cases.room import Place, check_active, check_rules, make_room
from booking_service.use_cases.statuses import refuse_move
from booking_service.use_cases.transaction import Transaction
from service_kit.errors import FailedPrecondition, InvalidArgument, Violation

__all__ = ["DEFAULT_HOLD", "Booking", "Move", "book", "check_hold", "move"]

DEFAULT_HOLD = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Booking:
    """A time that is asked for; `hold_until` is for a pending one only (None: 10 minutes)."""

    organization_id: int
    barber_id: int
    service_id: int
    client_id: int | None
    start: datetime
    status: Status
    hold_until: datetime | None
    notes: str


@dataclass(frozen=True, slots=True)
class Move:
    """Where an appointment shall go; None: as before."""

    organization_id: int
    appointment_id: int
    start: datetime | None
    barber_id: int | None
    service_id: int | None
    etag: str


async def book(tx: Transaction, wanted: Booking) -> Appointment:
    """Book. Raises FailedPrecondition with a reason of its own for every rule."""
    shop = await lookups.organization(tx, wanted.organization_id)
    check_active(await lookups.barber(tx, shop, wanted.barber_id))
    terms, price = await _offer(tx, shop, wanted.barber_id, wanted.service_id)
    if wanted.client_id is not None:
        await lookups.client(tx, shop, wanted.client_id)
    hold_until = None
    if wanted.status is Status.PENDING:
        hold_until = wanted.hold_until or tx.now + DEFAULT_HOLD
        check_hold(tx, "hold_until", hold_until)
    place = Place(wanted.barber_id, wanted.start, terms)
    await lookups.lock_barbers(tx, wanted.barber_id)
    await check_rules(tx, shop, place)
    await make_room(tx, place)
    return await only(
        tx.connection,
        insert(tables.appointments)
        .values(
            organization_id=shop.id,
            barber_id=wanted.barber_id,
            service_id=wanted.service_id,
            client_id=wanted.client_id,
            status=wanted.status.value,
            starts_at=place.start,
            ends_at=place.end,
            blocked_from=place.blocked_from,
            blocked_until=place.blocked_until,
            price=price,
            notes=wanted.notes,
            hold_until=hold_until,
            created_at=tx.now,
        )
        .returning(*shape(tables.appointments, Appointment, currency=shop.currency)),
        Appointment,
    )


async def move(tx: Transaction, wanted: Move) -> Appointment:
    """Move an appointment with one UPDATE, which may overlap its own old time.

    With the same barber and service it keeps its duration, buffers and price;
    else it gets those of the offer now.
    """
    shop = await lookups.organization(tx, wanted.organization_id)
    old = await lookups.appointment_to_change(
        tx, shop, wanted.appointment_id, etag=wanted.etag, other_barber_id=wanted.barber_id
    )
    if Status(old.status) not in RESCHEDULABLE:
        raise refuse_move(old, "rescheduled")
    barber_id = wanted.barber_id or old.barber_id
    service_id = wanted.service_id or old.service_id
    check_active(await lookups.barber(tx, shop, barber_id))
    if (barber_id, service_id) == (old.barber_id, old.service_id):
        terms, price = _terms_of(old), old.price
    else:
        terms, price = await _offer(tx, shop, barber_id, service_id)
    place = Place(barber_id, wanted.start or old.starts_at, terms)
    await check_rules(tx, shop, place)
    await make_room(tx, place, besides=old.id)
    table = tables.appointments
    return await only(
        tx.connection,
        update(table)
        .where(table.c.id == old.id)
        .values(
            barber_id=barber_id,
            service_id=service_id,
            starts_at=place.start,
            ends_at=place.end,
            blocked_from=place.blocked_from,
            blocked_until=place.blocked_until,
            price=price,
            version=table.c.version + 1,
        )
        .returning(*shape(table, Appointment, currency=shop.currency)),
        Appointment,
    )


def check_hold(tx: Transaction, field: str, hold_until: datetime) -> None:
    """Refuse a hold that has ended already.

    Decided here and not at the edge: a repeat of a request whose hold has ended
    meanwhile still gets its first answer.
    """
    if hold_until <= tx.now:
        raise InvalidArgument([Violation(field, "must be in the future")])


def _terms_of(appointment: Appointment) -> ServiceTerms:
    return ServiceTerms(
        appointment.ends_at - appointment.starts_at,
        appointment.starts_at - appointment.blocked_from,
        appointment.blocked_until - appointment.ends_at,
    )


async def _offer(
    tx: Transaction, shop: Organization, barber_id: int, service_id: int
) -> tuple[ServiceTerms, Decimal]:
    """Read the service with the barber's own price and duration, if it is offered at all."""
    service = await lookups.service(tx, shop, service_id)
    table = tables.barber_services
    own = (
        await tx.connection.execute(
            select(table.c.price, table.c.duration_minutes).where(
                table.c.barber_id == barber_id, table.c.service_id == service_id, table.c.offered
            )
        )
    ).one_or_none()
    if own is None:
        reason = "SERVICE_NOT_OFFERED"
        message = f"barber {barber_id} does not offer service {service_id}"
        raise FailedPrecondition(
            reason,
            message,
            subject=f"barbers/{barber_id}",
            barber_id=barber_id,
            service_id=service_id,
        )
    minutes = service.duration_minutes if own.duration_minutes is None else own.duration_minutes
    terms = ServiceTerms(
        timedelta(minutes=minutes),
        timedelta(minutes=service.buffer_before_minutes),
        timedelta(minutes=service.buffer_after_minutes),
    )
    return terms, service.price if own.price is None else own.price
