"""Find what a request names, within its organization only, and lock what is decided on.

Locks are always taken in this order, so that no two transactions wait for each
other: the organization, barbers by id, an appointment, a payment.
"""

from sqlalchemy import func, select

from booking_service.postgres import tables
from booking_service.use_cases.records import (
    Appointment,
    Barber,
    Client,
    Organization,
    Service,
    maybe,
    shape,
)
from booking_service.use_cases.transaction import Contended, Transaction
from service_kit.errors import Aborted, FailedPrecondition, NotFound

__all__ = [
    "appointment_to_change",
    "barber",
    "check_currency",
    "check_etag",
    "client",
    "lock_barbers",
    "organization",
    "service",
]

# Advisory locks are one space of 64 bits for the whole database: barbers have this part.
_BARBER_LOCKS = 1 << 62


async def organization(
    tx: Transaction, organization_id: int, *, exclusive: bool = False
) -> Organization:
    """Read the shop and keep its settings as they are until the end of the transaction.

    The triggers that write local days into events take the same share lock;
    taken first, it cannot come between other locks. `exclusive` is for changing it.
    """
    found = await maybe(
        tx.connection,
        select(*shape(tables.organizations, Organization))
        .where(tables.organizations.c.id == organization_id)
        .with_for_update(read=not exclusive, key_share=exclusive),
        Organization,
    )
    if found is None:
        raise NotFound("organization", organization_id)
    return found


async def barber(tx: Transaction, shop: Organization, barber_id: int) -> Barber:
    """Read a barber of the shop, active or not."""
    table = tables.barbers
    found = await maybe(
        tx.connection,
        select(*shape(table, Barber)).where(
            table.c.organization_id == shop.id, table.c.id == barber_id
        ),
        Barber,
    )
    if found is None:
        raise NotFound("barber", barber_id)
    return found


async def service(tx: Transaction, shop: Organization, service_id: int) -> Service:
    """Read a service of the shop that is in use."""
    table = tables.services
    found = await maybe(
        tx.connection,
        select(*shape(table, Service, currency=shop.currency)).where(
            table.c.organization_id == shop.id, table.c.id == service_id, ~table.c.deleted
        ),
        Service,
    )
    if found is None:
        raise NotFound("service", service_id)
    return found


async def client(tx: Transaction, shop: Organization, client_id: int) -> Client:
    """Read a client of the shop that is not deleted."""
    table = tables.clients
    found = await maybe(
        tx.connection,
        select(*shape(table, Client)).where(
            table.c.organization_id == shop.id, table.c.id == client_id, ~table.c.deleted
        ),
        Client,
    )
    if found is None:
        raise NotFound("client", client_id)
    return found


async def lock_barbers(tx: Transaction, *barber_ids: int) -> None:
    """Wait for the turn at these barbers' time, and keep it until the transaction ends.

    Without it, contenders meet in the exclusion constraint, and sixteen of them
    deadlocked there for seconds.
    """
    for barber_id in sorted(set(barber_ids)):
        await tx.connection.execute(select(func.pg_advisory_xact_lock(_BARBER_LOCKS | barber_id)))


async def appointment_to_change(
    tx: Transaction,
    shop: Organization,
    appointment_id: int,
    *,
    etag: str = "",
    other_barber_id: int | None = None,
) -> Appointment:
    """Lock an appointment with its barber (and the one it shall go to), then read it.

    Raises Contended if it went to another barber meanwhile: locks out of order
    would deadlock, so the transaction has to begin anew.
    """
    table = tables.appointments
    known = (table.c.organization_id == shop.id, table.c.id == appointment_id)
    barber_id = await tx.connection.scalar(select(table.c.barber_id).where(*known))
    if barber_id is None:
        raise NotFound("appointment", appointment_id)
    await lock_barbers(tx, barber_id, other_barber_id or barber_id)
    found = await maybe(
        tx.connection,
        select(*shape(table, Appointment, currency=shop.currency))
        .where(*known)
        .with_for_update(key_share=True),
        Appointment,
    )
    if found is None:
        raise NotFound("appointment", appointment_id)
    if found.barber_id != barber_id:
        raise Contended
    check_etag(etag, found.version, f"appointments/{appointment_id}")
    return found


def check_etag(etag: str, version: int, subject: str) -> None:
    """Refuse a change that was made from an older version; an empty etag is any."""
    if etag and etag != str(version):
        reason = "ETAG_MISMATCH"
        message = f"{subject} was changed since it was read: its etag is now {version}"
        raise Aborted(reason, message, resource=subject, etag=version)


def check_currency(shop: Organization, currency: str) -> None:
    """Refuse money that is not in the shop's currency; empty means the shop's."""
    if currency and currency != shop.currency:
        reason = "CURRENCY_MISMATCH"
        message = f"the shop's money is in {shop.currency}, not in {currency}"
        raise FailedPrecondition(
            reason,
            message,
            subject=f"organizations/{shop.id}",
            currency=shop.currency,
            given=currency,
        )
