"""What a load makes of the database's faults."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from cache_service.database import SNAPSHOTS, STATEMENTS, Primary, make_engine
from cache_service.queries.declare import CachedQuery, LoadContext
from cache_service.queries.shop import ShopArguments
from service_kit.clock import SystemClock
from service_kit.errors import Unavailable
from tests.support.stack import Database

SHOP = [ShopArguments(1)]


def _engine(database: Database, isolation: str, timeout: float = 5.0) -> AsyncEngine:
    return make_engine(
        database.cache_url, pool_size=1, timeout=timeout, pool_timeout=1.0, isolation=isolation
    )


@pytest.fixture
async def primary(shared_database: Database) -> AsyncIterator[Primary]:
    """Connect with more patience than any statement of these tests needs."""
    loads, work = _engine(shared_database, SNAPSHOTS), _engine(shared_database, STATEMENTS)
    yield Primary(loads, work, SystemClock())
    await loads.dispose()
    await work.dispose()


class Asked:
    """A query of one statement that counts how often it was loaded."""

    def __init__(self, statement: str, **parameters: object) -> None:
        self.times = 0
        self._statement = text(statement)
        self._parameters = parameters

    def query(self) -> CachedQuery[ShopArguments]:
        """Return it as a declared one."""
        return CachedQuery("asked", "asked", timedelta(1), lambda _: (), self._load)

    async def _load(self, context: LoadContext, _arguments: Sequence[ShopArguments]) -> list[bytes]:
        self.times += 1
        await context.connection.execute(self._statement, self._parameters)
        return [b""]


async def test_a_cut_connection_is_no_error(
    primary: Primary, connection: asyncpg.Connection
) -> None:
    """A read on a connection that the server ended meanwhile is done again on another one."""
    asked = Asked("SELECT 1")
    await primary.load(asked.query(), SHOP)
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        " AND state = 'idle' AND query LIKE 'COMMIT%' AND application_name = 'chairside-cache'"
    )
    assert (await primary.load(asked.query(), SHOP)).payloads == [b""]


async def test_the_outbox_is_read_again_after_its_connection_was_cut(
    primary: Primary, connection: asyncpg.Connection
) -> None:
    """One reading fails, and the next has another connection."""
    assert await primary.outbox(older_than=0, limit=10) == []
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        " AND state = 'idle' AND query LIKE '%make_interval%' AND pid <> pg_backend_pid()"
    )
    with pytest.raises(Unavailable):
        await primary.outbox(older_than=0, limit=10)
    assert await primary.outbox(older_than=0, limit=10) == []


async def test_a_read_that_takes_too_long_is_not_asked_twice(shared_database: Database) -> None:
    """A slow server is not asked the same again by one that was tired of waiting."""
    asked = Asked("SELECT pg_sleep(5)")
    engine = _engine(shared_database, SNAPSHOTS, timeout=0.5)
    with pytest.raises(Unavailable):
        await Primary(engine, engine, SystemClock()).load(asked.query(), SHOP)
    assert asked.times == 1
    await engine.dispose()


async def test_an_errors_text_does_not_tell_what_was_asked_for(primary: Primary) -> None:
    """What is logged of an unexpected error has the statement, and no client's name."""
    asked = Asked("SELECT 1 / (length(:name) - 8)", name="Jane Doe")
    with pytest.raises(DBAPIError) as caught:
        await primary.load(asked.query(), SHOP)
    assert "length" in str(caught.value)
    assert "Jane" not in str(caught.value)
