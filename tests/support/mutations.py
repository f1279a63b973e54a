"""Random changes of a small shop's bookings and money, as anybody could make them in psql."""

# ruff: noqa: S608 - what is put together is this file's own constants

from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from random import Random

import asyncpg

from tests.support.small_shop import SmallShop

__all__ = ["BOOKING_MUTATIONS", "Mutation", "moment", "one_of", "seed"]

Mutation = Callable[[asyncpg.Connection, SmallShop, Random], Awaitable[object]]

_STATUSES = ("scheduled", "confirmed", "in_progress", "completed", "cancelled", "no_show")
_BUFFER = timedelta(minutes=10)


def one_of(table: str) -> str:
    """Choose an id of the shop $1 by the seed $2, in SQL."""
    return (
        f"(SELECT id FROM {table} WHERE organization_id = $1"
        " ORDER BY hashint8extended(id, $2) LIMIT 1)"
    )


_APPOINTMENT = one_of("appointments")


def seed(random: Random) -> int:
    """Choose a seed for SQL."""
    return random.randrange(1 << 40)


_MINUTES = ("00:10", "01:30", "02:15", "09:00", "10:30", "12:15", "16:00", "22:30", "23:40")


def moment(shop: SmallShop, random: Random) -> str:
    """Choose a local time: mostly around the days that are read, at times years away.

    And not seldom around the day on which the shop's clocks change.
    """
    kind = random.random()
    if kind < 0.15:
        day = date(2018, 3, 20) + timedelta(days=random.randint(-700, 400))
    elif kind < 0.3:
        day = shop.clock_change + timedelta(days=random.randint(-1, 1))
    else:
        day = date(2018, 3, 20) + timedelta(days=random.randint(-25, 25))
    return f"{day} {random.choice(_MINUTES)}"


async def book(connection: asyncpg.Connection, shop: SmallShop, random: Random) -> object:
    """Insert an appointment, some of them pending."""
    start = shop.at(moment(shop, random))
    end = start + timedelta(minutes=random.choice([15, 45, 90]))
    status = random.choice([*_STATUSES, "pending", "scheduled"])
    return await connection.execute(
        "INSERT INTO appointments (organization_id, barber_id, service_id, client_id, status,"
        " starts_at, ends_at, blocked_from, blocked_until, price, hold_until)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 20, $10)",
        shop.organization_id,
        shop.base + random.randint(1, 3),
        shop.base + random.randint(1, 3),
        random.choice([None, *(shop.base + n for n in range(1, 6))]),
        status,
        start,
        end,
        start - _BUFFER,
        end + _BUFFER,
        start + timedelta(days=500) if status == "pending" else None,
    )


async def move(connection: asyncpg.Connection, shop: SmallShop, random: Random) -> object:
    """Move an appointment to another time and barber, buffers and length as they are."""
    return await connection.execute(
        "UPDATE appointments SET barber_id = $3, starts_at = starts_at + d.d,"
        " ends_at = ends_at + d.d, blocked_from = blocked_from + d.d,"
        " blocked_until = blocked_until + d.d, version = version + 1"
        f" FROM (SELECT $4::interval AS d) d WHERE id = {_APPOINTMENT}",
        shop.organization_id,
        seed(random),
        shop.base + random.randint(1, 3),
        random.choice([timedelta(hours=h) for h in (-1500, -24, -1, 1, 26, 900)]),
    )


async def hand_over(connection: asyncpg.Connection, shop: SmallShop, random: Random) -> object:
    """Change nothing of an appointment but its barber."""
    return await connection.execute(
        f"UPDATE appointments SET barber_id = $3 WHERE id = {_APPOINTMENT}",
        shop.organization_id,
        seed(random),
        shop.base + random.randint(1, 3),
    )


async def set_status(connection: asyncpg.Connection, shop: SmallShop, random: Random) -> object:
    """Change nothing of an appointment but its status."""
    return await connection.execute(
        f"UPDATE appointments SET status = $3, hold_until = NULL WHERE id = {_APPOINTMENT}",
        shop.organization_id,
        seed(random),
        random.choice(_STATUSES),
    )


async def edit(connection: asyncpg.Connection, shop: SmallShop, random: Random) -> object:
    """Change an appointment's service, client, price and notes."""
    return await connection.execute(
        "UPDATE appointments SET service_id = $3, client_id = $4, notes = $5, price = price + 1"
        f" WHERE id = {_APPOINTMENT}",
        shop.organization_id,
        seed(random),
        shop.base + random.randint(1, 3),
        random.choice([None, *(shop.base + n for n in range(1, 6))]),
        f"note {seed(random)}",
    )


async def note(connection: asyncpg.Connection, shop: SmallShop, random: Random) -> object:
    """Change an appointment's notes alone."""
    return await connection.execute(
        f"UPDATE appointments SET notes = $3 WHERE id = {_APPOINTMENT}",
        shop.organization_id,
        seed(random),
        f"note {seed(random)}",
    )


async def remove(connection: asyncpg.Connection, shop: SmallShop, random: Random) -> object:
    """Delete an appointment and its money."""
    chosen = await connection.fetchval(
        f"SELECT {_APPOINTMENT}",
        shop.organization_id,
        seed(random),
    )
    for statement in (
        "DELETE FROM refunds WHERE appointment_id = $1",
        "DELETE FROM payments WHERE appointment_id = $1",
        "DELETE FROM appointments WHERE id = $1",
    ):
        await connection.execute(statement, chosen)
    return chosen


async def pay(connection: asyncpg.Connection, shop: SmallShop, random: Random) -> object:
    """Take money, for an appointment or not."""
    return await connection.execute(
        "INSERT INTO payments (organization_id, appointment_id, barber_id, client_id, amount,"
        f" status, paid_at) VALUES ($1, CASE WHEN $3 THEN {_APPOINTMENT} END, $4, $5, $6, $7, $8)",
        shop.organization_id,
        seed(random),
        random.random() < 0.7,
        shop.base + random.randint(1, 3),
        random.choice([None, shop.base + random.randint(1, 4)]),
        random.randint(1, 9000),
        random.choice(["completed", "completed", "pending"]),
        shop.at(moment(shop, random)),
    )


async def give_back(connection: asyncpg.Connection, shop: SmallShop, random: Random) -> object:
    """Give money back, for an appointment or not."""
    return await connection.execute(
        "INSERT INTO refunds (organization_id, appointment_id, barber_id, client_id, amount,"
        f" refunded_at) VALUES ($1, CASE WHEN $3 THEN {_APPOINTMENT} END, $4, $5, $6, $7)",
        shop.organization_id,
        seed(random),
        random.random() < 0.7,
        shop.base + random.randint(1, 3),
        random.choice([None, shop.base + random.randint(1, 4)]),
        random.randint(1, 90),
        shop.at(moment(shop, random)),
    )


async def correct_payment(
    connection: asyncpg.Connection, shop: SmallShop, random: Random
) -> object:
    """Change a payment's amount, day, barber, client and status."""
    return await connection.execute(
        "UPDATE payments SET amount = $3, paid_at = $4, barber_id = $5, client_id = $6,"
        f" status = $7 WHERE id = {one_of('payments')}",
        shop.organization_id,
        seed(random),
        random.randint(1, 9000),
        shop.at(moment(shop, random)),
        shop.base + random.randint(1, 3),
        shop.base + random.randint(1, 4),
        random.choice(["completed", "failed"]),
    )


async def drop_payment(connection: asyncpg.Connection, shop: SmallShop, random: Random) -> object:
    """Delete a payment."""
    return await connection.execute(
        f"DELETE FROM payments WHERE id = {one_of('payments')}",
        shop.organization_id,
        seed(random),
    )


async def correct_refund(connection: asyncpg.Connection, shop: SmallShop, random: Random) -> object:
    """Change a refund's amount, day, barber and client."""
    return await connection.execute(
        "UPDATE refunds SET amount = $3, refunded_at = $4, barber_id = $5, client_id = $6"
        f" WHERE id = {one_of('refunds')}",
        shop.organization_id,
        seed(random),
        random.randint(1, 90),
        shop.at(moment(shop, random)),
        shop.base + random.randint(1, 3),
        shop.base + random.randint(1, 4),
    )


async def drop_refund(connection: asyncpg.Connection, shop: SmallShop, random: Random) -> object:
    """Delete a refund."""
    return await connection.execute(
        f"DELETE FROM refunds WHERE id = {one_of('refunds')}", shop.organization_id, seed(random)
    )


async def link(connection: asyncpg.Connection, shop: SmallShop, random: Random) -> object:
    """Give a payment to another appointment, or to none."""
    return await connection.execute(
        f"UPDATE payments SET appointment_id = CASE WHEN $3 THEN {_APPOINTMENT} END"
        f" WHERE id = {one_of('payments')}",
        shop.organization_id,
        seed(random),
        random.random() < 0.7,
    )


async def settle(connection: asyncpg.Connection, shop: SmallShop, random: Random) -> object:
    """Change nothing of a payment but its status."""
    return await connection.execute(
        f"UPDATE payments SET status = $3 WHERE id = {one_of('payments')}",
        shop.organization_id,
        seed(random),
        random.choice(["completed", "pending", "failed"]),
    )


async def close_day(connection: asyncpg.Connection, shop: SmallShop, random: Random) -> object:
    """Cancel or complete whatever begins within some days, in one statement."""
    start = shop.at(moment(shop, random))
    return await connection.execute(
        "UPDATE appointments SET status = $4, hold_until = NULL, version = version + 1"
        " WHERE organization_id = $1 AND starts_at >= $2 AND starts_at < $3"
        " AND status <> 'cancelled'",
        shop.organization_id,
        start,
        start + timedelta(days=2),
        random.choice(["cancelled", "completed"]),
    )


BOOKING_MUTATIONS: tuple[Mutation, ...] = (
    *(book, book, book, move, move, set_status, set_status, set_status, hand_over, edit, note),
    *(remove, pay, pay, give_back, correct_payment, drop_payment, correct_refund, drop_refund),
    *(link, settle, close_day),
)
"""The more frequent a kind of change is in a shop, the more often it stands here."""
