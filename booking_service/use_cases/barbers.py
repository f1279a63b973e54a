"""Barbers and what they offer."""

from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import insert as plain_insert
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from booking_service.postgres import tables
from booking_service.use_cases import lookups
from booking_service.use_cases.catalogue import Change, change_row
from booking_service.use_cases.records import Barber, BarberService, Organization, only, shape
from booking_service.use_cases.transaction import Transaction

__all__ = ["Offer", "create_barber", "set_barber_service", "update_barber"]


@dataclass(frozen=True, slots=True)
class Offer:
    """Whether and how a barber offers a service; price or duration None: the service's."""

    organization_id: int
    barber_id: int
    service_id: int
    offered: bool
    price: Decimal | None
    currency: str
    duration_minutes: int | None


async def create_barber(
    tx: Transaction, organization_id: int, name: str
) -> tuple[Barber, list[BarberService]]:
    """Add an active barber without hours and services."""
    shop = await lookups.organization(tx, organization_id)
    barber = await only(
        tx.connection,
        plain_insert(tables.barbers)
        .values(organization_id=shop.id, name=name, active=True, created_at=tx.now)
        .returning(*shape(tables.barbers, Barber)),
        Barber,
    )
    return barber, []


async def update_barber(tx: Transaction, wanted: Change) -> tuple[Barber, list[BarberService]]:
    """Change a barber; answer with what the barber offers, too."""
    shop = await lookups.organization(tx, wanted.organization_id)
    barber = await change_row(tx, shop, tables.barbers, Barber, wanted)
    return barber, await _offers(tx, shop, barber.id)


async def set_barber_service(tx: Transaction, wanted: Offer) -> BarberService:
    """Say whether a barber offers a service, and replace what was said before."""
    shop = await lookups.organization(tx, wanted.organization_id)
    lookups.check_currency(shop, wanted.currency)
    await lookups.barber(tx, shop, wanted.barber_id)
    await lookups.service(tx, shop, wanted.service_id)
    table = tables.barber_services
    said = {
        "offered": wanted.offered,
        "price": wanted.price,
        "duration_minutes": wanted.duration_minutes,
    }
    return await only(
        tx.connection,
        insert(table)
        .values(
            organization_id=shop.id,
            barber_id=wanted.barber_id,
            service_id=wanted.service_id,
            **said,
        )
        .on_conflict_do_update(
            index_elements=[table.c.barber_id, table.c.service_id],
            set_={**said, "version": table.c.version + 1},
        )
        .returning(*shape(table, BarberService, currency=shop.currency)),
        BarberService,
    )


async def _offers(tx: Transaction, shop: Organization, barber_id: int) -> list[BarberService]:
    table = tables.barber_services
    rows = await tx.connection.execute(
        select(*shape(table, BarberService, currency=shop.currency))
        .where(table.c.barber_id == barber_id)
        .order_by(table.c.service_id)
    )
    return [BarberService(**row) for row in rows.mappings()]
