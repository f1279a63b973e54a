"""One database of rough salons in several zones and of shops without rows, and their books."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from tests.conftest import NewDatabase, NewSystem
from tests.integration.analytics.opened import Open, open_salon
from tests.integration.analytics.rough_shop import RoughShop, write_rough_shop
from tests.support.plain_reports import Books, read_books

ROUGH = {
    "new-york": (11, "America/New_York", "USD", "1"),
    "kolkata": (12, "Asia/Kolkata", "INR", "1"),
    "berlin": (13, "Europe/Berlin", "EUR", "0.03"),
}
"""Seed, zone, currency and level of prices of each rough salon."""


@dataclass(frozen=True, slots=True)
class Salons:
    """The database as the cache service's role sees it, and what is in it."""

    reader: AsyncEngine
    rough: dict[str, RoughShop]
    empty: tuple[int, int]
    books: dict[int, Books]


@pytest.fixture(scope="package")
async def salons(new_database: NewDatabase) -> AsyncIterator[Salons]:
    """Write them; `empty` are a shop without a row and one with nothing but a barber."""
    async with new_database() as database:
        connection = await asyncpg.connect(database.url)
        rough = {
            name: await write_rough_shop(
                connection, database.url, seed=seed, zone=zone, currency=currency, prices=prices
            )
            for name, (seed, zone, currency, prices) in ROUGH.items()
        }
        await connection.execute(
            "INSERT INTO organizations (id, name, time_zone, currency)"
            " VALUES (901, 'Empty', 'Europe/Paris', 'EUR'), (902, 'New', 'Asia/Tokyo', 'JPY')"
        )
        await connection.execute(
            "INSERT INTO barbers (id, organization_id, name) VALUES (9021, 902, 'New')"
        )
        await connection.execute("ANALYZE")
        organizations = (*(shop.organization_id for shop in rough.values()), 901, 902)
        books = {number: await read_books(connection, number) for number in organizations}
        await connection.close()
        url = database.cache_url.replace("postgresql://", "postgresql+asyncpg://", 1)
        engine = create_async_engine(url, isolation_level="REPEATABLE READ")
        yield Salons(engine, rough, (901, 902), books)
        await engine.dispose()


@pytest.fixture
async def salon(new_database: NewDatabase, new_system: NewSystem) -> AsyncIterator[Open]:
    """Write a salon, and start both services on the day up to which it is written."""
    async with open_salon(new_database, new_system) as opened:
        yield opened
