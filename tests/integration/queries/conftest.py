"""Two small shops in one database, in two time zones, and how to load from them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from cache_service.queries.declare import CachedQuery, LoadContext
from tests.conftest import NewDatabase
from tests.support.plain_reports import Books, read_books
from tests.support.small_shop import SmallShop, write_small_shop
from tests.support.stack import Database

NOW = datetime(2018, 4, 1, 16, tzinfo=UTC)
SHOPS = (SmallShop(1, "America/New_York"), SmallShop(2, "Asia/Kolkata"))

Load = Callable[..., Awaitable[list[bytes]]]


@pytest.fixture(scope="package")
async def shops_database(new_database: NewDatabase) -> AsyncIterator[Database]:
    """Write both shops, and a third without any row, into a database of their own."""
    async with new_database() as database:
        connection = await asyncpg.connect(database.url)
        for shop in SHOPS:
            await write_small_shop(connection, shop)
        await connection.execute(
            "INSERT INTO organizations (id, name, time_zone, currency)"
            " VALUES (3, 'Empty', 'Europe/Berlin', 'EUR')"
        )
        await connection.execute(
            "INSERT INTO barbers (id, organization_id, name) VALUES (3001, 3, 'New')"
        )
        await connection.execute(
            "INSERT INTO clients (id, organization_id, name) VALUES (3001, 3, 'New')"
        )
        await connection.close()
        yield database


@pytest.fixture(scope="package")
async def reader(shops_database: Database) -> AsyncIterator[AsyncEngine]:
    """Connect as the cache service does: with the role that may only read."""
    url = shops_database.cache_url.replace("postgresql://", "postgresql+asyncpg://", 1)
    engine = create_async_engine(url, isolation_level="REPEATABLE READ")
    yield engine
    await engine.dispose()


@pytest.fixture(scope="package")
def load(reader: AsyncEngine) -> Load:
    """Hand out a function that loads entries as of a time."""

    async def run(query: CachedQuery[Any], *arguments: object, now: datetime = NOW) -> list[bytes]:
        async with reader.connect() as connection:
            return list(await query.load(LoadContext(connection, now), arguments))

    return run


@pytest.fixture(scope="package")
async def books(shops_database: Database) -> dict[int, Books]:
    """Read all rows of every shop, for plain calculations."""
    connection = await asyncpg.connect(shops_database.url)
    found = {number: await read_books(connection, number) for number in (1, 2, 3)}
    await connection.close()
    return found
