"""What a load makes of the database's faults."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from cache_service.database import Primary, make_engine
from cache_service.edge.invalidate import Invalidate
from cache_service.invalidation.invalidator import Invalidator
from cache_service.queries.declare import CachedQuery, LoadContext
from cache_service.queries.shop import ShopArguments
from cache_service.telemetry.counts import Counts
from chairside.cache.v1 import cache_service_pb2 as pb
from service_kit.clock import SystemClock
from service_kit.errors import Unavailable
from tests.integration.cache.stores import open_store
from tests.support.stack import Database

SHOP = [ShopArguments(1)]


def _engine(database: Database, *, read_only: bool, pool_timeout: float = 1.0) -> AsyncEngine:
    return make_engine(
        database.cache_url,
        pool_size=1,
        timeout=0.5,
        pool_timeout=pool_timeout,
        read_only=read_only,
    )


@pytest.fixture
async def work(shared_database: Database) -> AsyncIterator[AsyncEngine]:
    """Make a pool of one connection, for which nobody waits long."""
    engine = _engine(shared_database, read_only=False, pool_timeout=0.1)
    yield engine
    await engine.dispose()


@pytest.fixture
async def primary(shared_database: Database, work: AsyncEngine) -> AsyncIterator[Primary]:
    """Connect with patience for half a second."""
    made = Primary(_engine(shared_database, read_only=True), work, SystemClock())
    yield made
    await made.close()


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


async def test_a_read_that_takes_too_long_is_not_asked_twice(primary: Primary) -> None:
    """A slow server is not asked the same again by one that was tired of waiting."""
    asked = Asked("SELECT pg_sleep(5)")
    with pytest.raises(Unavailable):
        await primary.load(asked.query(), SHOP)
    assert asked.times == 1


async def test_an_errors_text_does_not_tell_what_was_asked_for(primary: Primary) -> None:
    """What is logged of an unexpected error has the statement, and no client's name."""
    asked = Asked("SELECT 1 / (length(:name) - 8)", name="Jane Doe")
    with pytest.raises(DBAPIError) as caught:
        await primary.load(asked.query(), SHOP)
    assert "length" in str(caught.value)
    assert "Jane" not in str(caught.value)


async def test_what_is_applied_is_acknowledged_while_the_database_is_busy(
    primary: Primary, work: AsyncEngine, redis_url: str
) -> None:
    """An invalidation whose token nobody can make has been made all the same."""
    request = pb.InvalidateRequest(scope=pb.Scope(organization_id=1))
    async with open_store(redis_url) as opened:
        method = Invalidate(Invalidator(opened.store, Counts()), primary).invalidate
        assert (await method(request, None)).token  # type: ignore[arg-type]
        async with work.connect():
            answer = await method(request, None)  # type: ignore[arg-type]
    assert answer.tags_invalidated == 1
    assert not answer.token
