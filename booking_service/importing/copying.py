"""Write a shop through COPY on one connection, constraint and triggers in force.

COPY returns no ids, so they are taken from the sequences before: `nextval` for each row, not a
jump of `setval`, for others may be taking ids of the same sequence at the same time.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from booking_service.domain import Period
from booking_service.importing.records import Batch, Shop

__all__ = ["ShopIds", "remove_shop", "take_ids", "write_appointments", "write_money", "write_shop"]

_APPOINTMENT = (
    "id",
    "organization_id",
    "barber_id",
    "service_id",
    "client_id",
    "status",
    "starts_at",
    "ends_at",
    "blocked_from",
    "blocked_until",
    "price",
    "hold_until",
    "cancellation_reason",
)
_MONEY = ("id", "organization_id", "appointment_id", "barber_id", "client_id", "amount")

_CHILDREN_FIRST = (
    "refunds",
    "payments",
    "appointments",
    "time_off",
    "special_hours",
    "weekly_hours",
    "barber_services",
    "clients",
    "services",
    "barbers",
)


@dataclass(frozen=True, slots=True)
class ShopIds:
    """The ids that a shop was written under; lists by position."""

    organization: int
    barbers: list[int]
    services: list[int]
    clients: list[int]


async def write_shop(connection: asyncpg.Connection, shop: Shop) -> ShopIds:
    """Write all of a shop but its appointments and money, in the caller's transaction."""
    organization = (await take_ids(connection, "organizations", 1))[0]
    ids = ShopIds(
        organization=organization,
        barbers=await take_ids(connection, "barbers", len(shop.barbers)),
        services=await take_ids(connection, "services", len(shop.services)),
        clients=await take_ids(connection, "clients", len(shop.clients)),
    )
    await _copy(
        connection,
        "organizations",
        ("id", "name", "time_zone", "currency"),
        [(organization, shop.name, shop.time_zone, shop.currency)],
    )
    await _write_lists(connection, shop, ids)
    await _write_hours(connection, shop, ids)
    return ids


async def write_appointments(
    connection: asyncpg.Connection, ids: ShopIds, batch: Batch, appointments: Sequence[int]
) -> None:
    """Write a batch's appointments under ids taken for them; `created_at` for all or for none.

    Raises:
        asyncpg.ExclusionViolationError: two appointments of one barber overlap.

    """
    shop, barbers = ids.organization, ids.barbers
    dated = bool(batch.appointments) and batch.appointments[0].created_at is not None
    rows = (
        (
            key,
            shop,
            barbers[each.barber],
            ids.services[each.service],
            _at(ids.clients, each.client),
            *each[3:11],
            *each[11 : 12 if dated else 11],
        )
        for key, each in zip(appointments, batch.appointments, strict=True)
    )
    columns = (*_APPOINTMENT, "created_at") if dated else _APPOINTMENT
    await _copy(connection, "appointments", columns, rows)


async def write_money(
    connection: asyncpg.Connection, ids: ShopIds, batch: Batch, appointments: Sequence[int]
) -> None:
    """Write a batch's payments and refunds; `appointments` are the ids of the batch's own."""
    payments = await take_ids(connection, "payments", len(batch.payments))
    refunds = await take_ids(connection, "refunds", len(batch.refunds))
    shop, barbers = ids.organization, ids.barbers
    await _copy(
        connection,
        "payments",
        (*_MONEY, "paid_at", "status", "method"),
        (
            (
                key,
                shop,
                _at(appointments, each.appointment),
                barbers[each.barber],
                _at(ids.clients, each.client),
                *each[3:],
            )
            for key, each in zip(payments, batch.payments, strict=True)
        ),
    )
    await _copy(
        connection,
        "refunds",
        (*_MONEY, "refunded_at", "reason", "payment_id"),
        (
            (
                key,
                shop,
                _at(appointments, each.appointment),
                barbers[each.barber],
                _at(ids.clients, each.client),
                each.amount,
                each.refunded_at,
                each.reason,
                _at(payments, each.payment),
            )
            for key, each in zip(refunds, batch.refunds, strict=True)
        ),
    )


async def take_ids(connection: asyncpg.Connection, table: str, count: int) -> list[int]:
    """Take the next `count` ids of a table's sequence."""
    rows = await connection.fetch(
        "SELECT nextval(taken) FROM (SELECT pg_get_serial_sequence($1, 'id')::regclass OFFSET 0)"
        " AS sequence (taken), generate_series(1, $2)",
        table,
        count,
    )
    return [row[0] for row in rows]


async def remove_shop(connection: asyncpg.Connection, organization_id: int) -> None:
    """Delete all that belongs to an organization, and itself, in the caller's transaction."""
    for table in _CHILDREN_FIRST:
        await connection.execute(
            f"DELETE FROM {table} WHERE organization_id = $1",  # noqa: S608 - our own names
            organization_id,
        )
    await connection.execute("DELETE FROM organizations WHERE id = $1", organization_id)


async def _write_lists(connection: asyncpg.Connection, shop: Shop, ids: ShopIds) -> None:
    own = ids.organization
    await _copy(
        connection,
        "barbers",
        ("id", "organization_id", "name"),
        ((key, own, name) for key, name in zip(ids.barbers, shop.barbers, strict=True)),
    )
    await _copy(
        connection,
        "services",
        (
            "id",
            "organization_id",
            "name",
            "category",
            "duration_minutes",
            "price",
            "buffer_before_minutes",
            "buffer_after_minutes",
            "deleted",
            "external_code",
        ),
        ((key, own, *each) for key, each in zip(ids.services, shop.services, strict=True)),
    )
    await _copy(
        connection,
        "barber_services",
        ("organization_id", "barber_id", "service_id", "price", "duration_minutes"),
        (
            (own, ids.barbers[barber], ids.services[service], price, duration)
            for barber, service, price, duration in shop.offers
        ),
    )
    await _copy(
        connection,
        "clients",
        ("id", "organization_id", "name", "email", "phone", "external_code"),
        ((key, own, *each) for key, each in zip(ids.clients, shop.clients, strict=True)),
    )


async def _write_hours(connection: asyncpg.Connection, shop: Shop, ids: ShopIds) -> None:
    own = ids.organization
    await _copy(
        connection,
        "weekly_hours",
        ("organization_id", "barber_id", "valid_from", "weekday", "periods"),
        (
            (own, ids.barbers[week.barber], week.valid_from, weekday, _multirange(periods))
            for week in shop.weeks
            for weekday, periods in enumerate(week.days)
        ),
    )
    await _copy(
        connection,
        "special_hours",
        ("organization_id", "barber_id", "day", "periods"),
        (
            (own, ids.barbers[each.barber], each.day, _multirange(each.periods))
            for each in shop.special_days
        ),
    )
    keys = await take_ids(connection, "time_off", len(shop.time_off))
    await _copy(
        connection,
        "time_off",
        ("id", "organization_id", "barber_id", "starts_at", "ends_at", "reason"),
        (
            (key, own, ids.barbers[each.barber], each.starts_at, each.ends_at, each.reason)
            for key, each in zip(keys, shop.time_off, strict=True)
        ),
    )


async def _copy(
    connection: asyncpg.Connection,
    table: str,
    columns: Sequence[str],
    rows: Iterable[tuple[Any, ...]],
) -> None:
    await connection.copy_records_to_table(table, records=rows, columns=columns)


def _at(ids: Sequence[int], position: int | None) -> int | None:
    return None if position is None else ids[position]


def _multirange(periods: Sequence[Period]) -> list[asyncpg.Range]:
    return [asyncpg.Range(opening, closing) for opening, closing in periods]
