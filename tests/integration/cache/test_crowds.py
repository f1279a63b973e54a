"""Many callers at once: one load for all, and never too many."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import asyncpg
import grpc

from tests.integration.cache.crowd import loads, outcomes
from tests.integration.cache.pair import MONDAY, Pair, ask, everything_of
from tests.integration.cache.running import Cache, source
from tests.integration.cache.shops import Shop
from tests.support.waiting import eventually

CALLERS = 1000
LOAD_POOL = 8
_LOADS_IN_POSTGRES = """
SELECT count(*) FROM pg_stat_activity
WHERE usename = 'chairside_cache' AND datname = current_database() AND state <> 'idle'
  AND query !~ 'authority|outbox|members'
"""


@asynccontextmanager
async def _most_at_once(pair: Pair) -> AsyncIterator[list[int]]:
    """Watch how many loads Postgres runs at once; the list is filled at the end."""
    found: list[int] = []
    most: list[int] = []
    connection = await asyncpg.connect(pair.database.url)
    stop = asyncio.Event()

    async def watch() -> None:
        while not stop.is_set():
            found.append(await connection.fetchval(_LOADS_IN_POSTGRES))

    watching = asyncio.create_task(watch())
    try:
        yield most
    finally:
        stop.set()
        await watching
        await connection.close()
        most.append(max(found))


async def _crowd(pair: Pair, shop: Shop) -> int:
    """Ask a thousand times for sixty days, each as often; return how many were answered."""
    where = shop.organization_id, shop.services[0], shop.barbers
    calls = [
        pair.both[number % 2].availability(*where, MONDAY + timedelta(days=number % 60), 1)
        for number in range(CALLERS)
    ]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, grpc.aio.AioRpcError):
            assert answer.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    return sum(not isinstance(answer, BaseException) for answer in answers)


async def test_without_redis_the_database_is_not_overrun(pair: Pair, held_shop: Shop) -> None:
    """Never more loads at once than there may be, and soon after it is as ever."""
    async with _most_at_once(pair) as most:
        pair.valkey.signal(signal.SIGSTOP)
        try:
            answered, _ = await asyncio.gather(
                _crowd(pair, held_shop), pair.one.stub.Invalidate(everything_of(held_shop))
            )
            assert answered > CALLERS / 2
        finally:
            pair.valkey.signal(signal.SIGCONT)
    assert 1 < most[0] <= len(pair.both) * LOAD_POOL

    async def as_ever() -> bool:
        answered = await _crowd(pair, held_shop)
        assert source(await ask(pair.one, held_shop)) == "NEAR"
        return answered == CALLERS

    await eventually(as_ever, seconds=10)


async def test_a_hot_key_that_changes_all_the_time_is_answered_at_two_loads_at_most(
    pair: Pair, held_shop: Shop
) -> None:
    """Ten changes a second: for each of them both load twice at most together, whoever reads.

    On a machine so busy that a lease runs out meanwhile, it is tried again.
    """
    await pair.measured(lambda: _keep_changing(pair, held_shop), seconds=20)


async def _keep_changing(pair: Pair, shop: Shop) -> None:
    """Read with twenty callers at once what changes twenty times."""
    stop = asyncio.Event()
    answered = 0

    async def reader(cache: Cache) -> None:
        nonlocal answered
        while not stop.is_set():
            async with asyncio.timeout(2):
                await ask(cache, shop)
            answered += 1

    before = sum(map(loads, pair.both))
    hits = sum(outcomes(cache, "near", "hit") for cache in pair.both)
    readers = [asyncio.create_task(reader(pair.both[number % 2])) for number in range(20)]
    changes = 20
    for _ in range(changes):
        await pair.one.stub.Invalidate(everything_of(shop))
        await asyncio.sleep(0.1)
    stop.set()
    await asyncio.gather(*readers)
    assert answered > 20 * changes  # the control: every change met all readers
    assert changes / 2 < sum(map(loads, pair.both)) - before <= 2 * changes
    assert sum(outcomes(cache, "near", "hit") for cache in pair.both) > hits
