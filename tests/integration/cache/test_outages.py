"""The service when Redis or Postgres is away, and when they come back."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import date
from pathlib import Path

import asyncpg
import grpc
import pytest
from google.protobuf.message import Message

from chairside.cache.v1 import cache_service_pb2 as pb
from chairside.cache.v1 import types_pb2
from devstack import databases
from devstack.postgres import PostgresServer
from devstack.valkey import ValkeyServer
from tests.integration.cache.running import Cache, refused, source, start_cache, starts
from tests.integration.cache.shops import Shop, open_shop
from tests.support.grpc_server import details_of
from tests.support.stack import ROLE_PASSWORD, Database
from tests.support.waiting import eventually

MONDAY = date(2025, 3, 10)


@asynccontextmanager
async def _cache_of(
    database: Database, valkey: ValkeyServer, logs: Path
) -> AsyncIterator[tuple[Cache, Shop]]:
    connection = await asyncpg.connect(database.url)
    try:
        shop = await open_shop(connection)
        variables = {"CHAIRSIDE_CACHE_REDIS_TIMEOUT": "0.25"}
        async with start_cache(database.cache_url, valkey.url, logs, variables) as cache:
            yield cache, shop
    finally:
        await connection.close()


def _everything_of(shop: Shop) -> pb.InvalidateRequest:
    return pb.InvalidateRequest(scope=pb.Scope(organization_id=shop.organization_id))


def _retry_of(error: grpc.aio.AioRpcError, reason: str) -> float:
    """Check that it is UNAVAILABLE for this reason; return after how long to come again."""
    assert error.code() == grpc.StatusCode.UNAVAILABLE
    details: dict[str, Message] = details_of(error)
    assert details["ErrorInfo"].reason == reason  # type: ignore[attr-defined]
    seconds: float = details["RetryInfo"].retry_delay.ToMicroseconds() / 1e6  # type: ignore[attr-defined]
    return seconds


@pytest.mark.parametrize("fault", ["killed", "frozen"])
async def test_without_redis_reads_come_from_the_database(
    database: Database, own_valkey: ValkeyServer, tmp_path: Path, fault: str
) -> None:
    """Reads go on and see every change, invalidations turn the cache off, and all recovers."""
    async with _cache_of(database, own_valkey, tmp_path) as (cache, shop):
        ask = shop.organization_id, shop.services[0], shop.barbers, MONDAY
        await cache.availability(*ask)
        assert source(await cache.availability(*ask)) == "REDIS"
        assert _state(cache) == (1, 1)
        if fault == "killed":
            await own_valkey.kill()
        else:
            own_valkey.signal(signal.SIGSTOP)
        try:
            await _without_redis(cache, shop)
        finally:
            if fault == "frozen":
                own_valkey.signal(signal.SIGCONT)
        if fault == "killed":
            await own_valkey.start()

        async def again() -> bool:
            return source(await cache.availability(*ask)) == "REDIS"

        await eventually(again, seconds=10)
        assert _state(cache) == (1, 1)
        assert (await cache.stub.GetStats(pb.GetStatsRequest())).redis_available
        answer = await cache.availability(*ask)
        assert shop.at("2025-03-10 10:00") not in starts(answer)[shop.barbers[0]]
        assert (await cache.stub.Invalidate(_everything_of(shop))).token


def _state(cache: Cache) -> tuple[float, float]:
    """Return whether Redis is connected, and whether hits may be served."""
    names = "chairside_cache_redis_connected", "chairside_cache_lease_held"
    connected, held = map(cache.metric, names)
    return connected, held


async def _without_redis(cache: Cache, shop: Shop) -> None:
    ask = shop.organization_id, shop.services[0], shop.barbers, MONDAY
    first = await cache.availability(*ask)
    assert source(first) == "DATABASE"

    async def noticed() -> bool:
        return _state(cache) == (0, 0)

    await eventually(noticed)
    fences = cache.metric("chairside_cache_fences_total")
    await shop.book(shop.at("2025-03-10 10:00"))
    answer = await cache.availability(*ask)
    assert source(answer) == "DATABASE"
    assert shop.at("2025-03-10 10:00") not in starts(answer)[shop.barbers[0]]
    assert (await cache.stub.Invalidate(_everything_of(shop))).token
    assert cache.metric("chairside_cache_fences_total") > fences

    async def emptied() -> bool:  # the relay does as an Invalidate does
        return await shop.connection.fetchval("SELECT count(*) FROM outbox") == 0

    await eventually(emptied)
    assert (await cache.stub.Warm(pb.WarmRequest(organization_id=1, days_ahead=1))) is not None
    stats = await cache.stub.GetStats(pb.GetStatsRequest())
    assert not stats.redis_available
    assert stats.redis_used_memory_bytes == 0
    assert await cache.process.serving()
    assert "redis away" in cache.process.output()


async def test_without_postgres_only_stale_answers_go_on(
    own_valkey: ValkeyServer, server_directory: Path, tmp_path: Path
) -> None:
    """Without a lease no read is a hit: UNAVAILABLE, or stale to whom that will do; all recovers.

    A process whose operator allows staleness to all answers all, and says so of each. What is
    not acknowledged is not taken as acknowledged: Invalidate is UNAVAILABLE, too.
    """
    directory = server_directory / "postgres-to-stop"
    async with PostgresServer(directory, durable=False) as postgres:
        await databases.create_database(postgres.url(), "shop")
        await databases.migrate(postgres.url("shop"), ROLE_PASSWORD)
        url = postgres.url("shop")
        cache_url = databases.role_url(url, databases.CACHE_ROLE, ROLE_PASSWORD)
        database = Database("shop", url, url, cache_url)
        lenient = {"CHAIRSIDE_CACHE_DEFAULT_MAX_STALENESS": "3600"}
        async with (
            _cache_of(database, own_valkey, tmp_path) as (cache, shop),
            start_cache(cache_url, own_valkey.url, tmp_path / "lenient", lenient) as other,
        ):
            await _around_a_restart_of_postgres(cache, other, shop, postgres)


async def _around_a_restart_of_postgres(
    cache: Cache, lenient: Cache, shop: Shop, postgres: PostgresServer
) -> None:
    ask = shop.organization_id, shop.services[0], shop.barbers
    await cache.availability(*ask, MONDAY)
    neighbour = await open_shop(shop.connection)
    await cache.availability(*_read_of(neighbour))
    codes: set[tuple[str, str]] = set()
    stop = asyncio.Event()
    misses = 0

    async def miss() -> bool:
        """Read a day that was not read before; tell whether it was answered."""
        nonlocal misses
        misses += 1
        try:
            await cache.availability(*ask, date.fromordinal(MONDAY.toordinal() + misses % 200))
        except grpc.aio.AioRpcError as error:
            codes.add((error.code().name, details_of(error)["ErrorInfo"].reason))  # type: ignore[attr-defined]
            return False
        return True

    async def keep_missing() -> None:
        while not stop.is_set():
            await miss()
            with suppress(grpc.aio.AioRpcError):
                await cache.stub.Invalidate(_everything_of(shop))

    missing = asyncio.create_task(keep_missing())
    await postgres.stop()
    stop.set()
    await missing
    error = await refused(cache.availability(*ask, MONDAY))
    assert _retry_of(error, "DATABASE_UNAVAILABLE") > 0

    await _without_a_lease(cache, lenient, shop, neighbour)
    assert await cache.process.serving()
    stop.clear()
    missing = asyncio.create_task(keep_missing())
    await postgres.start()
    await eventually(miss, seconds=10)
    stop.set()
    await missing
    assert codes <= {("UNAVAILABLE", "DATABASE_UNAVAILABLE")}

    async def again() -> bool:
        return source(await cache.availability(*ask, MONDAY)) == "REDIS"

    await eventually(again)
    assert (await cache.stub.Invalidate(_everything_of(shop))).token
    assert source(await cache.availability(*ask, MONDAY)) == "DATABASE"
    assert "Traceback" not in cache.process.output()


def _read_of(shop: Shop) -> tuple[int, int, list[int], date]:
    return shop.organization_id, shop.services[0], shop.barbers, MONDAY


async def _without_a_lease(cache: Cache, lenient: Cache, shop: Shop, neighbour: Shop) -> None:
    """Ask for what the neighbour has in Redis, and invalidate."""

    async def no_lease() -> bool:
        return {one.metric("chairside_cache_lease_held") for one in (cache, lenient)} == {0}

    await eventually(no_lease)
    error = await refused(cache.availability(*_read_of(neighbour)))
    assert _retry_of(error, "DATABASE_UNAVAILABLE") > 0
    hour = types_pb2.Consistency(max_staleness={"seconds": 3600})
    for allowed in (
        await cache.availability(*_read_of(neighbour), consistency=hour),
        await lenient.availability(*_read_of(neighbour)),
    ):
        assert (source(allowed), allowed.cache_info.stale) == ("REDIS", True)
        assert len(starts(allowed)[neighbour.barbers[0]]) == 8
    moment = types_pb2.Consistency(max_staleness={"nanos": 1})
    exact = types_pb2.Consistency(max_staleness={})
    for asked, demand in ((cache, moment), (lenient, exact)):
        error = await refused(asked.availability(*_read_of(neighbour), consistency=demand))
        assert _retry_of(error, "DATABASE_UNAVAILABLE") > 0
    error = await refused(cache.stub.Invalidate(_everything_of(shop)))
    assert _retry_of(error, "DATABASE_UNAVAILABLE") > 0
