"""Random changes of what a small shop is: hours, barbers, services, clients, settings."""

# ruff: noqa: S608 - what is put together is this package's own constants

from datetime import date, timedelta
from random import Random

import asyncpg

from tests.support.mutations import Mutation, moment, one_of, seed
from tests.support.small_shop import SmallShop

__all__ = ["SETTINGS", "SHOP_MUTATIONS"]


async def take_off(connection: asyncpg.Connection, shop: SmallShop, random: Random) -> object:
    """Give a barber time off, at times for weeks."""
    start = shop.at(moment(shop, random))
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
        f"DELETE FROM time_off WHERE id = {one_of('time_off')}",
        shop.organization_id,
        seed(random),
    )


async def special(connection: asyncpg.Connection, shop: SmallShop, random: Random) -> object:
    """Set or change a special day."""
    return await connection.execute(
        "INSERT INTO special_hours (organization_id, barber_id, day, periods)"
        " VALUES ($1, $2, $3, $4::text::int4multirange)"
        " ON CONFLICT (barber_id, day) DO UPDATE SET periods = excluded.periods",
        shop.organization_id,
        shop.base + random.randint(1, 3),
        date.fromisoformat(moment(shop, random)[:10]),
        random.choice(["{}", "{[600,900)}", "{[0,1440)}"]),
    )


async def ordinary(connection: asyncpg.Connection, shop: SmallShop, random: Random) -> object:
    """Make a special day ordinary again."""
    return await connection.execute(
        "DELETE FROM special_hours WHERE (barber_id, day) IN (SELECT barber_id, day"
        " FROM special_hours WHERE organization_id = $1"
        " ORDER BY hashint8extended(day - date '2000-01-01', $2) LIMIT 1)",
        shop.organization_id,
        seed(random),
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
        f"Barber {seed(random)}",
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
        f"Service {seed(random)}",
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
        f"Client {seed(random)}",
        random.random() < 0.3,
    )


async def new_client(connection: asyncpg.Connection, shop: SmallShop, random: Random) -> object:
    """Add a client."""
    return await connection.execute(
        "INSERT INTO clients (organization_id, name) VALUES ($1, $2)",
        shop.organization_id,
        f"Client {seed(random)}",
    )


async def new_barber(connection: asyncpg.Connection, shop: SmallShop, random: Random) -> object:
    """Take on a barber who has hours and offers something."""
    hired = await connection.fetchval(
        "INSERT INTO barbers (organization_id, name) VALUES ($1, $2) RETURNING id",
        shop.organization_id,
        f"Barber {seed(random)}",
    )
    await connection.execute(
        "INSERT INTO weekly_hours (organization_id, barber_id, valid_from, weekday, periods)"
        " SELECT $1, $2, date '2018-03-15', weekday, '{[600,660)}' FROM generate_series(0, 6)"
        " weekday",
        shop.organization_id,
        hired,
    )
    return await connection.execute(
        "INSERT INTO barber_services (organization_id, barber_id, service_id) VALUES ($1, $2, $3)",
        shop.organization_id,
        hired,
        shop.base + random.randint(1, 3),
    )


async def new_service(connection: asyncpg.Connection, shop: SmallShop, random: Random) -> object:
    """Add a service."""
    return await connection.execute(
        "INSERT INTO services (organization_id, name, category, duration_minutes, price)"
        " VALUES ($1, $2, 'Cut', 30, 10)",
        shop.organization_id,
        f"Service {seed(random)}",
    )


async def stop_offering(connection: asyncpg.Connection, shop: SmallShop, random: Random) -> object:
    """Delete what a barber says of a service."""
    return await connection.execute(
        "DELETE FROM barber_services WHERE barber_id = $1 AND service_id = $2",
        shop.base + random.randint(1, 3),
        shop.base + random.randint(1, 3),
    )


async def drop_week(connection: asyncpg.Connection, shop: SmallShop, random: Random) -> object:
    """Delete a week: the one before it goes on."""
    return await connection.execute(
        "DELETE FROM weekly_hours WHERE (barber_id, valid_from) IN (SELECT barber_id, valid_from"
        " FROM weekly_hours WHERE organization_id = $1"
        " ORDER BY hashint8extended(barber_id * 1000000 + (valid_from - date '2000-01-01'), $2)"
        " LIMIT 1)",
        shop.organization_id,
        seed(random),
    )


async def move_time_off(connection: asyncpg.Connection, shop: SmallShop, random: Random) -> object:
    """Give time off to another barber at another time."""
    return await connection.execute(
        "UPDATE time_off SET barber_id = $3, starts_at = $4::timestamptz,"
        f" ends_at = $4 + (ends_at - starts_at) WHERE id = {one_of('time_off')}",
        shop.organization_id,
        seed(random),
        shop.base + random.randint(1, 3),
        shop.at(moment(shop, random)),
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


SHOP_MUTATIONS: tuple[Mutation, ...] = (
    *(take_off, come_back, special, ordinary, week, barber, offer, service, client, new_client),
    *(new_barber, new_service, stop_offering, drop_week, move_time_off),
)
SETTINGS: Mutation = settings
"""Apart, because it touches everything."""
