"""Loads shared by processes: each entry is loaded once for all, whoever dies of it."""

import asyncio
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from operator import sub
from pathlib import Path

import pytest

from tests.conftest import NewDatabase
from tests.integration.cache.crowd import Crowd, Grown, held_loads, loads, open_crowd
from tests.integration.cache.pair import MONDAY, book_nine, everything_of
from tests.integration.cache.running import Cache, starts
from tests.integration.cache.shops import Shop, open_shop
from tests.support.waiting import eventually

CALLERS = 5000
KEYS = 50
VARIABLES = {
    "CHAIRSIDE_CACHE_MEMORY_BYTES": "10000000",
    "CHAIRSIDE_CACHE_MAX_OPEN_CALLS": str(CALLERS),
    "CHAIRSIDE_CACHE_POOL_TIMEOUT": "20",
}
DEADLINE = 30.0


@pytest.fixture(scope="module")
async def four(new_database: NewDatabase, server_directory: Path) -> AsyncIterator[Crowd]:
    """Run four processes that keep answers in memory."""
    async with (
        new_database() as database,
        open_crowd(database, server_directory / "stampede", 4, VARIABLES) as crowd,
    ):
        yield crowd


@pytest.fixture
async def shop(four: Crowd) -> Shop:
    """Open a shop, and wait until the relay has told of that."""
    await four.healthy()
    shop = await open_shop(four.connection)
    await shop.relayed()
    for cache in four.caches:
        # A channel that has been used knows how many streams at once it may open.
        await cache.stub.Invalidate(everything_of(shop))
    return shop


def _ask(cache: Cache, shop: Shop, day: int = 0) -> asyncio.Task[int]:
    """Ask for one day of the shop: how many slots are free."""

    async def call() -> int:
        where = shop.organization_id, shop.services[0], shop.barbers
        answer = await cache.availability(*where, MONDAY + timedelta(days=day), 1)
        return len(starts(answer)[shop.barbers[0]])

    return asyncio.create_task(call())


async def test_a_stampede_loads_each_key_once(four: Crowd, shop: Shop) -> None:
    """5,000 callers over four processes on 50 cold keys are 50 loads.

    On a machine so busy that a lease runs out meanwhile, it is tried again.
    """

    async def loaded_once() -> bool:
        await four.healthy()
        await four.caches[0].stub.Invalidate(everything_of(shop))
        before = four.counted()
        # Neighbours ask different processes for the same key, so that they miss it together.
        calls = [
            _ask(four.caches[number % 4], shop, number // 4 % KEYS) for number in range(CALLERS)
        ]
        assert set(await asyncio.gather(*calls, return_exceptions=True)) == {8}
        assert Grown(*map(sub, four.counted(), before)) == (KEYS, 0, CALLERS - KEYS)
        return True

    await eventually(loaded_once, seconds=60)


async def test_a_thousand_callers_of_one_cold_key_load_it_once(four: Crowd, shop: Shop) -> None:
    """All of them are there before the load ends, and everybody is answered by that."""
    callers = 1000

    async def loaded_once() -> bool:
        await four.healthy()
        await four.caches[0].stub.Invalidate(everything_of(shop))
        before = four.counted()
        async with held_loads(four.database):
            calls = [_ask(four.caches[number % 4], shop) for number in range(callers)]
            await four.open_calls(callers)
        assert set(await asyncio.gather(*calls, return_exceptions=True)) == {8}
        assert Grown(*map(sub, four.counted(), before)) == (1, 0, callers - 1)
        return True

    await eventually(loaded_once, seconds=60)


async def test_a_change_during_the_load_is_seen_by_all_who_come_after(
    four: Crowd, shop: Shop
) -> None:
    """Nobody who asks after it is given the load that began before, in whatever process."""
    one, *others = four.caches
    async with held_loads(four.database):
        early = _ask(one, shop)
        await four.loading(one)
        waiting = [_ask(other, shop) for other in others]
        await four.open_calls(4)
        await book_nine(shop)
        await four.caches[1].stub.Invalidate(everything_of(shop))
        late = [_ask(cache, shop) for cache in four.caches for _ in range(10)]
        await four.open_calls(4 + len(late))
    assert set(await asyncio.gather(*late)) == {7}
    assert await early == 8, "the control: it began before"
    assert set(await asyncio.gather(*waiting)) <= {7, 8}


@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL], ids=["frozen", "killed"])
async def test_another_takes_over_from_a_loader_that_dies(
    four: Crowd, shop: Shop, how: signal.Signals
) -> None:
    """One of those who wait loads in its place, for all of them, and everybody is answered.

    On a machine so busy that a lock runs out meanwhile, it is tried again by those who
    are left. It is the last test here, since who was killed stays dead.
    """
    try:
        await _is_taken_over(four, shop, how)
    except AssertionError:
        await _is_taken_over(replace(four, caches=four.caches[1:]), shop, how)


async def _is_taken_over(crowd: Crowd, shop: Shop, how: signal.Signals) -> None:
    """Have the first of them die during a load that the others wait for."""
    loader, *others = crowd.caches
    await crowd.healthy()
    await others[0].stub.Invalidate(everything_of(shop))
    await crowd.open_calls(0)
    before = sum(map(loads, others))
    async with held_loads(crowd.database):
        lost = _ask(loader, shop)
        await crowd.loading(loader)
        calls = [_ask(others[number % len(others)], shop) for number in range(30)]
        await crowd.open_calls(31)
        assert not any(map(_loading, others)), "the control: they wait"
        loader.process.signal(how)
        await crowd.loading(*others)
    slots = set(await asyncio.gather(*calls))
    loaded = sum(map(loads, others)) - before
    if how is signal.SIGSTOP:
        loader.process.signal(signal.SIGCONT)
        assert await lost == 8
    lost.cancel()
    assert (slots, loaded) == ({8}, 1)


def _loading(cache: Cache) -> bool:
    return bool(cache.metric("chairside_cache_loads_running"))
