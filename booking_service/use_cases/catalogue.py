"""The shop's services and clients, and the one way in which rows are changed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Protocol, TypeVar

from sqlalchemy import Table, insert, select, update

from booking_service.postgres import tables
from booking_service.use_cases import lookups
from booking_service.use_cases.records import Client, Organization, Service, maybe, only, shape
from booking_service.use_cases.transaction import Transaction
from service_kit.errors import NotFound

__all__ = [
    "Change",
    "NewClient",
    "NewService",
    "change_row",
    "create_client",
    "create_service",
    "delete_client",
    "delete_service",
    "update_client",
    "update_service",
]


class _Versioned(Protocol):
    @property
    def version(self) -> int: ...


_Record = TypeVar("_Record", bound=_Versioned)


@dataclass(frozen=True, slots=True)
class Change:
    """New values of a row by column; `currency` is that of a price among them."""

    organization_id: int
    id: int
    etag: str
    changes: Mapping[str, object] = field(default_factory=dict)
    currency: str = ""


@dataclass(frozen=True, slots=True)
class NewService:
    """A service to add; its price is in `currency`, empty: the shop's."""

    organization_id: int
    name: str
    category: str
    duration_minutes: int
    buffer_before_minutes: int
    buffer_after_minutes: int
    price: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class NewClient:
    """A client to add."""

    organization_id: int
    name: str
    email: str
    phone: str
    notes: str


async def change_row(
    tx: Transaction,
    shop: Organization,
    table: Table,
    record: type[_Record],
    wanted: Change,
) -> _Record:
    """Lock a row of the shop, check its etag and write its new values.

    `record` is named like the resource. A deleted row is not known. Raises NotFound, and
    Aborted ETAG_MISMATCH.
    """
    lookups.check_currency(shop, wanted.currency)
    known = [table.c.organization_id == shop.id, table.c.id == wanted.id]
    if "deleted" in table.c:
        known.append(~table.c.deleted)
    columns = shape(table, record, currency=shop.currency)
    locked = select(*columns).where(*known).with_for_update(key_share=True)
    old = await maybe(tx.connection, locked, record)
    if old is None:
        raise NotFound(record.__name__.lower(), wanted.id)
    lookups.check_etag(wanted.etag, old.version, f"{table.name}/{wanted.id}")
    changed = (
        update(table)
        .where(*known)
        .values(**wanted.changes, version=table.c.version + 1)
        .returning(*columns)
    )
    return await only(tx.connection, changed, record)


async def create_service(tx: Transaction, wanted: NewService) -> Service:
    """Add a service that no barber offers yet."""
    shop = await lookups.organization(tx, wanted.organization_id)
    lookups.check_currency(shop, wanted.currency)
    return await only(
        tx.connection,
        insert(tables.services)
        .values(
            organization_id=shop.id,
            name=wanted.name,
            category=wanted.category,
            duration_minutes=wanted.duration_minutes,
            buffer_before_minutes=wanted.buffer_before_minutes,
            buffer_after_minutes=wanted.buffer_after_minutes,
            price=wanted.price,
            created_at=tx.now,
        )
        .returning(*shape(tables.services, Service, currency=shop.currency)),
        Service,
    )


async def update_service(tx: Transaction, wanted: Change) -> Service:
    """Change a service in use; appointments made keep their times and prices."""
    shop = await lookups.organization(tx, wanted.organization_id)
    return await change_row(tx, shop, tables.services, Service, wanted)


async def delete_service(tx: Transaction, wanted: Change) -> Service:
    """Take a service out of use; what was booked stays."""
    return await update_service(tx, replace(wanted, changes={"deleted": True}))


async def create_client(tx: Transaction, wanted: NewClient) -> Client:
    """Add a client."""
    shop = await lookups.organization(tx, wanted.organization_id)
    return await only(
        tx.connection,
        insert(tables.clients)
        .values(
            organization_id=shop.id,
            name=wanted.name,
            email=wanted.email,
            phone=wanted.phone,
            notes=wanted.notes,
            created_at=tx.now,
        )
        .returning(*shape(tables.clients, Client)),
        Client,
    )


async def update_client(tx: Transaction, wanted: Change) -> Client:
    """Change a client who is not deleted."""
    shop = await lookups.organization(tx, wanted.organization_id)
    return await change_row(tx, shop, tables.clients, Client, wanted)


async def delete_client(tx: Transaction, wanted: Change) -> Client:
    """Take a client out of use and forget who it was; appointments and payments stay."""
    forgotten = {"deleted": True, "name": "", "email": "", "phone": "", "notes": ""}
    return await update_client(tx, replace(wanted, changes=forgotten))
