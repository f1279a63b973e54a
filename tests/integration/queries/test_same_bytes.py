"""Two loads of the same data are the same bytes: the auditor relies on it."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from cache_service.queries.declare import CachedQuery, LoadContext
from service_kit.errors import ServiceError
from tests.integration.queries.conftest import NOW
from tests.support.cached_entries import entries_of
from tests.support.small_shop import SmallShop, write_small_shop
from tests.support.stack import Database

SHOP = SmallShop(1, "America/New_York")
_TABLES = (
    "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
)


@pytest.fixture
async def engine(database: Database) -> AsyncIterator[AsyncEngine]:
    """Write the shop, and connect as the cache service does."""
    connection = await asyncpg.connect(database.url)
    await write_small_shop(connection, SHOP)
    await connection.close()
    url = database.cache_url.replace("postgresql://", "postgresql+asyncpg://", 1)
    opened = create_async_engine(url, isolation_level="REPEATABLE READ")
    yield opened
    await opened.dispose()


async def _turn_round(database: Database) -> None:
    """Write every row anew, the last one first, so that a look at the table finds it first."""
    connection = await asyncpg.connect(database.url)
    await connection.execute("SET session_replication_role = replica")
    for row in await connection.fetch(_TABLES):
        name = row["relname"]
        columns = await connection.fetch(
            "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass"
            " AND attnum > 0 AND NOT attisdropped AND attgenerated = ''",
            name,
        )
        column = columns[0]["attname"]
        places = await connection.fetch(f"SELECT ctid::text FROM {name} ORDER BY ctid DESC")  # noqa: S608
        for place in places:
            await connection.execute(
                f"UPDATE {name} SET {column} = {column} WHERE ctid = $1::text::tid",  # noqa: S608
                place["ctid"],
            )
    await connection.close()


async def _load_all(engine: AsyncEngine, now: datetime) -> list[bytes | str]:
    """Load every entry that a busy cache would hold."""
    found: list[bytes | str] = []
    for query, arguments in entries_of(SHOP):
        async with engine.connect() as connection:
            try:
                found += await query.load(LoadContext(connection, now), [arguments])
            except ServiceError as error:
                found.append(error.reason)
    return found


async def test_where_rows_lie_changes_no_byte(database: Database, engine: AsyncEngine) -> None:
    """Every entry of every query is loaded before and after the tables are turned round."""
    before = await _load_all(engine, NOW)
    roster = "SELECT string_agg(id::text, ',') FROM services"
    connection = await asyncpg.connect(database.url)
    order = await connection.fetchval(roster)
    await _turn_round(database)
    # The control: without an order, rows do come in another one now.
    assert await connection.fetchval(roster) != order
    await connection.close()
    after = await _load_all(engine, NOW)
    different = [
        (query.name, arguments)
        for (query, arguments), one, other in zip(entries_of(SHOP), before, after, strict=True)
        if one != other
    ]
    assert different == []
    assert len(before) > 300


async def test_what_a_reader_sees_does_not_depend_on_when_it_was_loaded(
    engine: AsyncEngine,
) -> None:
    """A load of later leaves out what is past for good; read then, both say the same."""
    entries: list[tuple[CachedQuery[Any], Any]] = entries_of(SHOP)
    early, late = NOW - timedelta(days=40), NOW + timedelta(days=3)
    pairs = zip(await _load_all(engine, early), await _load_all(engine, late), strict=True)
    bytes_differ = set()
    for (query, arguments), (one, other) in zip(entries, pairs, strict=True):
        if isinstance(one, str) or isinstance(other, str):
            assert one == other
            continue
        assert query.same(one, other, late), (query.name, arguments)
        if one != other:
            bytes_differ.add(query.name)
    # The control: their bytes do differ, and those of no other query.
    assert bytes_differ == {query.name for query, _ in entries if query.seen is not None}
