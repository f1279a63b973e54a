"""Pools of their own: what waits for the database in one keeps nothing waiting in another."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

from chairside.cache.v1 import cache_service_pb2 as pb
from tests.integration.cache.locking import locked
from tests.integration.cache.pair import MONDAY, Pair, ask, everything_of, seconds_of
from tests.integration.cache.running import Cache, source
from tests.integration.cache.shops import Shop, open_shop
from tests.support.waiting import eventually

LOAD_POOL = 8
SHARE = LOAD_POOL - 2
RELAY_POOL = 2
LEASES = 2
ORDINARY = 1.0
"""Seconds; who waited for a pool would wait for two."""
_WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE usename = 'chairside_cache' AND wait_event_type = 'Lock' AND query LIKE $1
"""


async def _all_else_goes_on(pair: Pair, held: Shop, other: Shop) -> None:
    """Hits from memory for two leases long, an Invalidate, and an empty outbox.

    On a machine so busy that a lease runs out meanwhile, it is tried again.
    """
    loop = asyncio.get_running_loop()

    async def near() -> bool:
        return {await _source(cache, held) for cache in pair.both} == {"NEAR"}

    async def goes_on() -> bool:
        await eventually(near, seconds=5)
        expelled = [one.metric("chairside_cache_expulsions_total") for one in pair.both]
        await pair.connection.execute(
            "UPDATE organizations SET lead_time_minutes = lead_time_minutes + 5 WHERE id = $1",
            other.organization_id,
        )
        for cache in pair.both:
            assert await seconds_of(cache.stub.Invalidate(everything_of(other))) < ORDINARY
        end = loop.time() + LEASES
        while loop.time() < end:
            assert await near()
        await other.relayed()
        assert [one.metric("chairside_cache_expulsions_total") for one in pair.both] == expelled
        return True

    await eventually(goes_on, seconds=5)  # the lock must end before statements do


async def _source(cache: Cache, shop: Shop) -> str:
    """Tell where an answer comes from; without a lease from the database, for which loads wait."""
    with suppress(TimeoutError):
        async with asyncio.timeout(ORDINARY):
            return source(await ask(cache, shop))
    return "DATABASE"


async def test_loads_that_wait_keep_nothing_else_waiting(pair: Pair, held_shop: Shop) -> None:
    """All places for loads are taken: leases, memory, invalidations and the relay go on."""
    waiting = []
    async with locked(pair.database, "special_hours"):
        for cache in pair.both:
            for days in (SHARE, LOAD_POOL - SHARE):
                shop = await open_shop(pair.connection)
                waiting += [asyncio.ensure_future(_cold(cache, shop, day)) for day in range(days)]

        async def all_taken() -> bool:
            running = [cache.metric("chairside_cache_loads_running") for cache in pair.both]
            return running == [LOAD_POOL, LOAD_POOL]

        await eventually(all_taken)
        await _all_else_goes_on(pair, held_shop, await open_shop(pair.connection))
        assert await all_taken()
    for answer in await asyncio.gather(*waiting):
        assert answer.barbers[0].slots


def _cold(cache: Cache, shop: Shop, day: int) -> Awaitable[Any]:
    where = shop.organization_id, shop.services[0], shop.barbers
    return cache.availability(*where, MONDAY + timedelta(days=7 * day), 1)


async def test_warming_that_waits_keeps_nothing_else_waiting(pair: Pair, held_shop: Shop) -> None:
    """Whoever asks for barbers takes no connection from the relay."""
    shop = await open_shop(pair.connection)
    idle = await shop.add_barber()
    await shop.relayed()
    beside = await open_shop(pair.connection)
    request = pb.WarmRequest(organization_id=shop.organization_id, barber_ids=[idle])
    for cache in pair.both:
        await cache.stub.Warm(request)  # what else it reads is cached now
    async with locked(pair.database, "barbers"):
        waiting = [
            asyncio.ensure_future(cache.stub.Warm(request))
            for cache in pair.both
            for _ in range(RELAY_POOL)
        ]
        await eventually(_waits(pair, "%FROM barbers%", len(waiting)))
        await _all_else_goes_on(pair, held_shop, beside)
        assert not any(task.done() for task in waiting)
    await asyncio.gather(*waiting)


def _waits(pair: Pair, query: str, least: int) -> Callable[[], Awaitable[bool]]:
    async def waits() -> bool:
        return bool(await pair.connection.fetchval(_WAITING, query) >= least)

    return waits
