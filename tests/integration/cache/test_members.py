"""What processes owe each other: memory under acknowledged invalidation, and membership."""

import asyncio
import signal
from random import Random
from urllib.parse import urlsplit

import pytest

from tests.faults.proxy import Direction, Proxy
from tests.integration.cache.pair import (
    NINE,
    VARIABLES,
    Pair,
    ask,
    book_nine,
    everything_of,
    fresh,
    seconds_of,
)
from tests.integration.cache.running import Cache, source, start_cache, starts
from tests.integration.cache.shops import Shop
from tests.support.waiting import eventually

LEASE = 1.0
ROUNDS = 100


async def _set_nine(shop: Shop, status: str) -> None:
    """Cancel the booking of nine o'clock or make it again; the relay hears nothing of it."""
    async with shop.acknowledged():
        await shop.connection.execute(
            "UPDATE appointments SET status = $2 WHERE organization_id = $1",
            shop.organization_id,
            status,
        )


async def test_what_another_process_invalidates_is_dropped_before_that_is_acknowledged(
    pair: Pair, held_shop: Shop
) -> None:
    """One has it in memory, the other is told of the change: the first answers anew at once."""
    await book_nine(held_shop)
    await pair.other.stub.Invalidate(everything_of(held_shop))
    nine, (barber,) = held_shop.at(NINE), held_shop.barbers
    free, near = False, 0
    for number in range(ROUNDS):
        holder, teller = pair.both if number % 2 else pair.both[::-1]

        async def offers(cache: Cache = holder) -> bool:
            return nine in starts(await ask(cache, held_shop))[barber]

        assert await offers() == free
        free = not free
        await _set_nine(held_shop, "cancelled" if free else "scheduled")
        before = await ask(holder, held_shop)
        if source(before) == "NEAR":  # the control: memory would answer as it was before
            assert (nine in starts(before)[barber]) != free
            near += 1
        await teller.stub.Invalidate(everything_of(held_shop))
        assert await offers() == free
    assert near == ROUNDS


async def test_a_stopped_process_costs_one_mutation_its_lease(pair: Pair, held_shop: Shop) -> None:
    """One waits for the lease, later ones do not; going on, it serves nothing old and is back."""
    assert source(await ask(pair.other, held_shop)) == "NEAR"
    expelled = pair.one.metric("chairside_cache_expulsions_total")
    members = await pair.members()
    pair.other.process.signal(signal.SIGSTOP)
    try:
        await book_nine(held_shop)
        waited = await seconds_of(pair.one.stub.Invalidate(everything_of(held_shop)))
        assert LEASE <= waited < 2 * LEASE  # less would be the control failing: it was awaited
        for _ in range(3):
            assert await seconds_of(pair.one.stub.Invalidate(everything_of(held_shop))) < LEASE
        # These wait in its socket, so they are the first that it sees when it goes on.
        reads = [ask(pair.other, held_shop) for _ in range(20)]
        await fresh(pair.one, held_shop)
    finally:
        pair.other.process.signal(signal.SIGCONT)
    for read in reads:
        assert held_shop.at(NINE) not in starts(await read)[held_shop.barbers[0]]
    assert pair.one.metric("chairside_cache_expulsions_total") == expelled + 1
    await pair.healthy()
    await pair.cached_again(held_shop)
    assert len(await pair.members()) == len(members) == 2
    assert await pair.members() != members


async def test_a_process_cut_off_serves_its_memory_no_longer_than_its_lease(
    pair: Pair, held_shop: Shop
) -> None:
    """Callers reach it, but no publication and no authority: nothing but its clock stops it."""
    database, store = pair.database.cache_url, pair.valkey.url
    chance = Random(1)  # noqa: S311 - no secret
    async with (
        Proxy("postgres", urlsplit(database).port or 0, chance) as postgres,
        Proxy("redis", pair.valkey.port, chance) as redis,
    ):
        database = database.replace(f":{postgres.target}/", f":{postgres.port}/")
        store = store.replace(f":{redis.target}/", f":{redis.port}/")
        async with start_cache(database, store, pair.logs / "cut-off", VARIABLES) as cut_off:
            await pair.held(cut_off, held_shop)
            for proxy in (postgres, redis):
                proxy.hold(*Direction)
            await book_nine(held_shop)
            telling = asyncio.create_task(
                seconds_of(pair.one.stub.Invalidate(everything_of(held_shop)))
            )
            # The control: it would answer from memory, and may, since nobody acknowledged.
            assert source(await ask(cut_off, held_shop)) == "NEAR"
            assert LEASE <= await telling < 2 * LEASE
            with pytest.raises(TimeoutError):  # it asks the database, in vain
                async with asyncio.timeout(0.3):
                    await fresh(cut_off, held_shop)
            for proxy in (postgres, redis):
                assert proxy.counts["held_bytes"]
                proxy.heal(lose=True)

            async def back() -> bool:
                return source(await fresh(cut_off, held_shop)) == "NEAR"

            await eventually(back, seconds=10)


async def test_who_ends_is_no_member_and_who_is_killed_is_removed(
    pair: Pair, held_shop: Shop
) -> None:
    """A graceful end costs nobody anything; a killed process is expelled by the next change."""
    members = await pair.members()
    logs = pair.logs / "third"
    for graceful in (True, False):
        url = pair.database.cache_url
        async with start_cache(url, pair.valkey.url, logs, VARIABLES) as third:
            assert len(await pair.members() - members) == 1
            if graceful:
                await third.process.stop()
                assert await pair.members() == members
                assert await seconds_of(pair.one.stub.Invalidate(everything_of(held_shop))) < LEASE
            else:
                await third.process.kill()
                assert len(await pair.members() - members) == 1
                waited = await seconds_of(pair.one.stub.Invalidate(everything_of(held_shop)))
                assert LEASE <= waited < 2 * LEASE
                assert await pair.members() == members
