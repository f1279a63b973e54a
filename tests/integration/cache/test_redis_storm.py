"""A thousand callers while Redis is frozen: what the database is asked for, and what follows."""

import asyncio
import math
import signal
from datetime import timedelta

import pytest

from tests.integration.cache.pair import MONDAY, Pair, ask, everything_of, seconds_of
from tests.integration.cache.running import Cache, source, starts
from tests.integration.cache.shops import Shop
from tests.support.waiting import eventually

CALLERS = 1000
HITS, MISSES = 200, 20
LEFT_TO_OTHERS = 2
MOST = 8 - LEFT_TO_OTHERS + 1
"""Loads of one entry in one process: as many as one organization may run, and one that waits."""
SOON = 10.0
FLOORS = 0.025, 0.1
"""Seconds below which a latency is as it should be, whatever it was before: of hits, of misses."""


async def _latencies(cache: Cache, shop: Shop) -> tuple[float, float]:
    """Return what 99 % of hits, and of misses, kept within; one call at a time."""
    assert source(await ask(cache, shop)) == "NEAR"
    hits = [await seconds_of(ask(cache, shop)) for _ in range(HITS)]
    misses = []
    for number in range(MISSES):
        await cache.stub.Invalidate(everything_of(shop))
        where = shop.organization_id, shop.services[0], shop.barbers
        day = MONDAY + timedelta(days=number)
        misses.append(await seconds_of(cache.availability(*where, day, 1)))
    await ask(cache, shop)
    return _within(hits), _within(misses)


def _within(seconds: list[float]) -> float:
    return sorted(seconds)[math.ceil(0.99 * len(seconds)) - 1]


@pytest.fixture
async def ordinary(pair: Pair, held_shop: Shop) -> tuple[float, float]:
    """Measure both latencies before anything happens."""
    return await _latencies(pair.one, held_shop)


def _uncached(cache: Cache) -> float:
    name = 'chairside_cache_reads_total{outcome="uncached",query="availability"}'
    return cache.metric(name)


async def test_without_redis_a_thousand_callers_of_one_key_are_few_loads(
    pair: Pair, held_shop: Shop, ordinary: tuple[float, float]
) -> None:
    """Who cannot join a load that reads already joins the one that waits; then all is as before.

    On a machine so busy that the crowd comes too slowly, it is tried again.
    """
    await pair.measured(lambda: _frozen(pair, held_shop), seconds=60)
    thawed = asyncio.get_running_loop().time()

    async def as_before() -> bool:
        await pair.held(pair.one, held_shop)
        began = asyncio.get_running_loop().time()
        found = await _latencies(pair.one, held_shop)
        assert began - thawed < SOON
        for seconds, before, floor in zip(found, ordinary, FLOORS, strict=True):
            assert seconds <= max(2 * before, floor)
        return True

    await eventually(as_before, seconds=SOON)


async def _frozen(pair: Pair, shop: Shop) -> None:
    """Ask with all callers at once while no load can end and Redis is silent."""

    async def all_wait() -> bool:
        return sum(cache.metric("grpc_server_open_calls") for cache in pair.both) == CALLERS

    async def disconnected() -> bool:
        return not any(cache.metric("chairside_cache_redis_connected") for cache in pair.both)

    await pair.one.stub.Invalidate(everything_of(shop))
    pair.valkey.signal(signal.SIGSTOP)
    try:
        await asyncio.gather(*(ask(cache, shop) for cache in pair.both))
        await eventually(disconnected)
        before = [_uncached(cache) for cache in pair.both]
        async with pair.connection.transaction():
            await pair.connection.execute("LOCK TABLE special_hours IN ACCESS EXCLUSIVE MODE")
            calls = [
                asyncio.ensure_future(ask(pair.both[number % 2], shop)) for number in range(CALLERS)
            ]
            await eventually(all_wait)
        for answer in await asyncio.gather(*calls, return_exceptions=True):
            assert not isinstance(answer, BaseException)
            assert len(starts(answer)[shop.barbers[0]]) == 8
        for cache, loads in zip(pair.both, before, strict=True):
            assert 1 <= _uncached(cache) - loads <= MOST
    finally:
        pair.valkey.signal(signal.SIGCONT)
