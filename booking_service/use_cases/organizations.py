"""Shops and their settings."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import exists, insert, or_, select, update

from booking_service.postgres import tables
from booking_service.use_cases import lookups
from booking_service.use_cases.records import Organization, only, shape
from booking_service.use_cases.transaction import Transaction
from service_kit.errors import FailedPrecondition

__all__ = ["NewOrganization", "OrganizationUpdate", "create_organization", "update_organization"]


@dataclass(frozen=True, slots=True)
class NewOrganization:
    """A shop to add."""

    name: str
    time_zone: str
    currency: str
    slot_interval_minutes: int
    lead_time_minutes: int
    horizon_days: int


@dataclass(frozen=True, slots=True)
class OrganizationUpdate:
    """New settings of a shop by column."""

    organization_id: int
    etag: str
    changes: Mapping[str, object]


async def create_organization(tx: Transaction, wanted: NewOrganization) -> Organization:
    """Add a shop."""
    return await only(
        tx.connection,
        insert(tables.organizations)
        .values(
            name=wanted.name,
            time_zone=wanted.time_zone,
            currency=wanted.currency,
            slot_interval_minutes=wanted.slot_interval_minutes,
            lead_time_minutes=wanted.lead_time_minutes,
            horizon_days=wanted.horizon_days,
            created_at=tx.now,
        )
        .returning(*shape(tables.organizations, Organization)),
        Organization,
    )


async def update_organization(tx: Transaction, wanted: OrganizationUpdate) -> Organization:
    """Change a shop's settings.

    Raises FailedPrecondition CURRENCY_IN_USE where a price or money is in the old
    currency: no amount is ever converted.
    """
    old = await lookups.organization(tx, wanted.organization_id, exclusive=True)
    lookups.check_etag(wanted.etag, old.version, f"organizations/{old.id}")
    currency = wanted.changes.get("currency", old.currency)
    if currency != old.currency and await _has_money(tx, old.id):
        reason = "CURRENCY_IN_USE"
        message = f"there are prices or payments in {old.currency}"
        raise FailedPrecondition(
            reason, message, subject=f"organizations/{old.id}", currency=old.currency
        )
    table = tables.organizations
    return await only(
        tx.connection,
        update(table)
        .where(table.c.id == old.id)
        .values(**wanted.changes, version=table.c.version + 1)
        .returning(*shape(table, Organization)),
        Organization,
    )


async def _has_money(tx: Transaction, organization_id: int) -> bool:
    amounts = (
        (tables.payments, tables.payments.c.amount),
        (tables.refunds, tables.refunds.c.amount),
        (tables.services, tables.services.c.price),
        (tables.barber_services, tables.barber_services.c.price),
        (tables.appointments, tables.appointments.c.price),
    )
    anywhere = or_(
        *(
            exists().where(table.c.organization_id == organization_id, amount > 0)
            for table, amount in amounts
        )
    )
    return bool(await tx.connection.scalar(select(anywhere)))
