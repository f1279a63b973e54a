"""Random changes of a small shop, as anybody could make them in psql."""

# ruff: noqa: S608 - what is put together is this file's own constants

from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from random import Random

import asyncpg

from tests.support.small_shop import SmallShop

__all__ = ["MUTATIONS", "SETTINGS", "Mutation"]

Mutation = Callable[[asyncpg.Connection, SmallShop, Random], Awaitable[object]]

_STATUSES = ("scheduled", "confirmed", "in_progress", "completed", "cancelled", "no_show")
_BUFFER = timedelta(minutes=10)
_ONE = "(SELECT id FROM {} WHERE organization_id = $1 ORDER BY hashint8extended(id, $2) LIMIT 1)"
_APPOINTMENT = _ONE.format("appointments")


def _seed(random: Random) -> int:
    return random.randrange(1 << 40)


def _moment(random: Random) -> str:
    """Choose a local time: mostly around the days that are read, at times years away."""
    far = random.random() < 0.2
    day = date(2018, 3, 20) + timedelta(
        days=random.randint(-700, 400) if far else random.randint(-25, 25)
    )
    return f"{day} {random.choice(['00:10', '09:00', '10:30', '12:15', '16:00', '22:30', '23:40'])}"


async def book(connection: asyncpg.Connection, shop: SmallShop, random: Random) -> object:
    """Insert an appointment, some of them pending."""
    start = shop.at(_moment(random))
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
        _seed(random),
        shop.base + random.randint(1, 3),
        random.choice([timedelta(hours=h) for h in (-1500, -24, -1, 1, 26, 900)]),
    )


async def hand_over(connection: asyncpg.Connection, shop: SmallShop, random: Random) -> object:
    """Change nothing of an appointment but its barber."""
    return await connection.execute(
        f"UPDATE appointments SET barber_id = $3 WHERE id = {_APPOINTMENT}",
        shop.organization_id,
        _seed(random),
        shop.base + random.randint(1, 3),
    )


async def set_status(connection: asyncpg.Connection, shop: SmallShop, random: Random) -> object:
    """Change nothing of an appointment but its status."""
    return await connection.execute(
        f"UPDATE appointments SET status = $3, hold_until = NULL WHERE id = {_APPOINTMENT}",
        shop.organization_id,
        _seed(random),
        random.choice(_STATUSES),
    )


async def edit(connection: asyncpg.Connection, shop: SmallShop, random: Random) -> object:
    """Change an appointment's service, client, price and notes."""
    return await connection.execute(
        "UPDATE appointments SET service_id = $3, client_id = $4, notes = $5, price = price + 1"
        f" WHERE id = {_APPOINTMENT}",
        shop.organization_id,
        _seed(random),
        shop.base + random.randint(1, 3),
        random.choice([None, *(shop.base + n for n in range(1, 6))]),
        f"note {_seed(random)}",
    )


async def note(connection: asyncpg.Connection, shop: SmallShop, random: Random) -> object:
    """Change an appointment's notes alone."""
    return await connection.execute(
        f"UPDATE appointments SET notes = $3 WHERE id = {_APPOINTMENT}",
        shop.organization_id,
        _seed(random),
        f"note {_seed(random)}",
    )


async def remove(connection: asyncpg.Connection, shop: SmallShop, random: Random) -> object:
    """Delete an appointment and its money."""
    chosen = await connection.fetchval(
        f"SELECT {_APPOINTMENT}",
        shop.organization_id,
        _seed(random),
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
        _seed(random),
        random.random() < 0.7,
        shop.base + random.randint(1, 3),
        random.choice([None, shop.base + random.randint(1, 4)]),
        random.randint(1, 9000),
        random.choice(["completed", "completed", "pending"]),
        shop.at(_moment(random)),
    )


async def give_back(connection: asyncpg.Connection, shop: SmallShop, random: Random) -> object:
    """Give money back, for an appointment or not."""
    return await connection.execute(
        "INSERT INTO refunds (organization_id, appointment_id, barber_id, client_id, amount,"
        f" refunded_at) VALUES ($1, CASE WHEN $3 THEN {_APPOINTMENT} END, $4, $5, $6, $7)",
        shop.organization_id,
        _seed(random),
        random.random() < 0.7,
        shop.base + random.randint(1, 3),
        random.choice([None, shop.base + random.randint(1, 4)]),
        random.randint(1, 90),
        shop.at(_moment(random)),
    )


async def correct_payment(
    connection: asyncpg.Connection, shop: SmallShop, random: Random
) -> object:
    """Change a payment's amount, day, barber, client and status."""
    return await connection.execute(
        "UPDATE payments SET amount = $3, paid_at = $4, barber_id = $5, client_id = $6,"
        f" status = $7 WHERE id = {_ONE.format('payments')}",
        shop.organization_id,
        _seed(random),
        random.randint(1, 9000),
        shop.at(_moment(random)),
        shop.base + random.randint(1, 3),
        shop.base + random.randint(1, 4),
        random.choice(["completed", "failed"]),
    )


async def drop_payment(connection: asyncpg.Connection, shop: SmallShop, random: Random) -> object:
    """Delete a payment."""
    return await connection.execute(
        f"DELETE FROM payments WHERE id = {_ONE.format('payments')}",
        shop.organization_id,
        _seed(random),
    )


async def take_off(connection: asyncpg.Connection, shop: SmallShop, random: Random) -> object:
    """Give a barber time off, at times for weeks."""
    start = shop.at(_moment(random))
    return await connection.execute(
        "INSERT INTO time_off (organization_id, barber_id, starts_at, ends_at)"
        " VALUES ($1, $2, $3, $4)",
        shop.organization_id,
        shop.base + random.randint(1, 3),
        start,
        start + timedelta(minutes=random.choice([30, 600, 60000])),
    )


async def come_back(connection: asyncpg.Connection, shop: SmallShop, random: Random) -> object:
    """Remove time off."""
    return await connection.execute(
        f"DELETE FROM time_off WHERE id = {_ONE.format('time_off')}",
        shop.organization_id,
        _seed(random),
    )


async def special(connection: asyncpg.Connection, shop: SmallShop, random: Random) -> object:
    """Set or change a special day."""
    return await connection.execute(
        "INSERT INTO special_hours (organization_id, barber_id, day, periods)"
        " VALUES ($1, $2, $3, $4::text::int4multirange)"
        " ON CONFLICT (barber_id, day) DO UPDATE SET periods = excluded.periods",
        shop.organization_id,
        shop.base + random.randint(1, 3),
        date.fromisoformat(_moment(random)[:10]),
        random.choice(["{}", "{[600,900)}", "{[0,1440)}"]),
    )


async def ordinary(connection: asyncpg.Connection, shop: SmallShop, random: Random) -> object:
    """Make a special day ordinary again."""
    return await connection.execute(
        "DELETE FROM special_hours WHERE (barber_id, day) IN (SELECT barber_id, day"
        " FROM special_hours WHERE organization_id = $1"
        " ORDER BY hashint8extended(day - date '2000-01-01', $2) LIMIT 1)",
        shop.organization_id,
        _seed(random),
    )


async def week(connection: asyncpg.Connection, shop: SmallShop, random: Random) -> object:
    """Set a week that holds from a day on."""
    return await connection.execute(
        "INSERT INTO weekly_hours (organization_id, barber_id, valid_from, weekday, periods)"
        " SELECT $1, $2, $3, weekday, $4::text::int4multirange FROM generate_series(0, 6) weekday"
        " ON CONFLICT (barber_id, valid_from, weekday) DO UPDATE SET periods = excluded.periods",
        shop.organization_id,
        shop.base + random.randint(1, 3),
        random.choice([date(2018, 1, 1), date(2018, 3, 19), date(2018, 4, 2), date(2019, 1, 1)]),
        f"{{[{random.randint(0, 700)},{random.randint(800, 1440)})}}",
    )


async def barber(connection: asyncpg.Connection, shop: SmallShop, random: Random) -> object:
    """Rename a barber, take them on or let them go."""
    return await connection.execute(
        "UPDATE barbers SET name = $2, active = $3 WHERE id = $1",
        shop.base + random.randint(1, 3),
        f"Barber {_seed(random)}",
        random.random() < 0.7,
    )


async def offer(connection: asyncpg.Connection, shop: SmallShop, random: Random) -> object:
    """Change what a barber offers."""
    return await connection.execute(
        "INSERT INTO barber_services (organization_id, barber_id, service_id, offered, price,"
        " duration_minutes) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (barber_id, service_id)"
        " DO UPDATE SET offered = excluded.offered, price = excluded.price,"
        " duration_minutes = excluded.duration_minutes",
        shop.organization_id,
        shop.base + random.randint(1, 3),
        shop.base + random.randint(1, 3),
        random.random() < 0.7,
        random.choice([None, 10, 20]),
        random.choice([None, 20, 60]),
    )


async def service(connection: asyncpg.Connection, shop: SmallShop, random: Random) -> object:
    """Change a service's name, length, buffers, price, or delete it softly."""
    return await connection.execute(
        "UPDATE services SET name = $2, duration_minutes = $3, buffer_after_minutes = $4,"
        " price = $5, deleted = $6 WHERE id = $1",
        shop.base + random.randint(1, 3),
        f"Service {_seed(random)}",
        random.choice([20, 30, 60]),
        random.choice([0, 10, 120]),
        random.randint(1, 100),
        random.random() < 0.2,
    )


async def client(connection: asyncpg.Connection, shop: SmallShop, random: Random) -> object:
    """Rename a client, delete them softly, or undo that."""
    return await connection.execute(
        "UPDATE clients SET name = $2, deleted = $3 WHERE id = $1",
        shop.base + random.randint(1, 5),
        f"Client {_seed(random)}",
        random.random() < 0.3,
    )


async def new_client(connection: asyncpg.Connection, shop: SmallShop, random: Random) -> object:
    """Add a client."""
    return await connection.execute(
        "INSERT INTO clients (organization_id, name) VALUES ($1, $2)",
        shop.organization_id,
        f"Client {_seed(random)}",
    )


async def settings(connection: asyncpg.Connection, shop: SmallShop, random: Random) -> object:
    """Change the shop's zone, currency, slot interval and horizon."""
    return await connection.execute(
        "UPDATE organizations SET time_zone = $2, currency = $3, slot_interval_minutes = $4,"
        " horizon_days = $5 WHERE id = $1",
        shop.organization_id,
        random.choice([shop.time_zone, "Europe/London"]),
        random.choice(["CAD", "USD"]),
        random.choice([15, 20]),
        random.randint(30, 120),
    )


MUTATIONS: tuple[Mutation, ...] = (
    *(book, book, book, move, move, set_status, set_status, set_status, hand_over, edit, note),
    *(remove, pay, pay, give_back, correct_payment, drop_payment, take_off, come_back, special),
    *(ordinary, week, barber, offer, service, client, new_client),
)
"""The more frequent a kind of change is in a shop, the more often it stands here."""
SETTINGS: Mutation = settings
