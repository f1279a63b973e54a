"""Old data that comes back in Redis, with the guards that fit it, is never served."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import redis.asyncio

from cache_service.coherence.entry import NONCE_BYTES
from devstack.valkey import ValkeyServer
from tests.integration.cache.pair import (
    Pair,
    ask,
    book_nine,
    everything_of,
    fresh,
    seconds_of,
)
from tests.integration.cache.running import Cache, source
from tests.integration.cache.shops import Shop
from tests.support.waiting import eventually

LEASE = 1.0


async def _would_hit(client: redis.asyncio.Redis, shop: Shop) -> bool:
    """Tell whether Redis has the shop's availability with all the guards that it needs."""
    prefix = f"chairside:{{{shop.organization_id}}}:*"

    async def values(pattern: str) -> list[bytes]:
        found = await client.mget(await client.keys(prefix + pattern) or ["none"])
        return [value for value in found if isinstance(value, bytes)]

    entries, guards = await values(":entry:availability:*"), await values(":guard:*")
    assert all(len(guard) == NONCE_BYTES for guard in guards)
    # Whatever the order of its tags: all of a shop's guards are those of its one such entry.
    return any(guards and all(guard in entry for guard in guards) for entry in entries)


@asynccontextmanager
async def _client(valkey: ValkeyServer) -> AsyncIterator[redis.asyncio.Redis]:
    async with redis.asyncio.from_url(valkey.url) as client:
        yield client


async def _changes(pair: Pair, shop: Shop) -> None:
    """Book nine o'clock and have that acknowledged."""
    await book_nine(shop)
    await pair.other.stub.Invalidate(everything_of(shop))


async def test_a_redis_restarted_from_an_old_dump_serves_nothing_of_it(
    pair: Pair, held_shop: Shop
) -> None:
    """An entry that was invalidated after the dump is there again, guards and all, in vain."""
    async with _client(pair.valkey) as client:
        assert await _would_hit(client, held_shop)
        await client.save()
    await _changes(pair, held_shop)
    stop = asyncio.Event()

    async def keep_reading(cache: Cache) -> None:
        """Be there at every moment of the return."""
        while not stop.is_set():
            await fresh(cache, held_shop)

    readers = [asyncio.create_task(keep_reading(cache)) for cache in pair.both for _ in range(4)]
    await pair.valkey.kill()
    await pair.valkey.start(from_dump=True)
    async with _client(pair.valkey) as client:
        assert await _would_hit(client, held_shop)  # the control: nothing else is in the way
    await pair.cached_again(held_shop)
    stop.set()
    await asyncio.gather(*readers)


async def test_a_replica_promoted_with_old_data_serves_nothing_of_it(
    pair: Pair, held_shop: Shop, tmp_path: Path
) -> None:
    """On the very connection that was: the server takes old data over and is a primary again.

    Reads come from the database, and hits are served again by themselves.
    """
    async with ValkeyServer(tmp_path) as old, _client(old) as copy, _client(pair.valkey) as client:
        await copy.replicaof("127.0.0.1", pair.valkey.port)

        async def copied() -> bool:
            return await _would_hit(copy, held_shop)

        await eventually(copied, seconds=10)
        await copy.replicaof("NO", "ONE")
        await _changes(pair, held_shop)
        await client.replicaof("127.0.0.1", old.port)
        try:

            async def old_again() -> bool:
                return await _would_hit(client, held_shop)

            await eventually(old_again, seconds=10)
            for cache in pair.both:
                assert cache.metric("chairside_cache_redis_connected") == 1
                assert source(await fresh(cache, held_shop)) == "DATABASE"
        finally:
            await client.replicaof("NO", "ONE")
        assert await _would_hit(client, held_shop)  # the control: with its guards
        for cache in pair.both:
            assert source(await fresh(cache, held_shop)) == "DATABASE"
        # A look, then the leases must run out, then a look, then a fill and a hit.
        assert await seconds_of(pair.cached_again(held_shop)) < LEASE + 3


async def test_a_flush_costs_misses_only(pair: Pair, held_shop: Shop) -> None:
    """What is in memory is served on, what is not is loaded, and invalidations do as ever."""

    async def in_force() -> list[object]:
        fences = [cache.metric("chairside_cache_fences_total") for cache in pair.both]
        return [*await pair.connection.fetchrow("SELECT * FROM authority"), *fences]

    before = await in_force()
    async with _client(pair.valkey) as client:
        await client.flushall()
        assert not await _would_hit(client, held_shop)
    assert source(await ask(pair.one, held_shop)) == "NEAR"
    await book_nine(held_shop)
    assert await seconds_of(pair.other.stub.Invalidate(everything_of(held_shop))) < LEASE
    for cache in pair.both:
        await fresh(cache, held_shop)
        assert source(await fresh(cache, held_shop)) == "NEAR"
    assert await in_force() == before


async def test_a_redis_that_takes_no_writes_is_off_until_it_does(
    pair: Pair, held_shop: Shop
) -> None:
    """One without enough replicas turns the cache off, and does not turn it on again."""
    async with _client(pair.valkey) as client:
        await client.config_set("min-replicas-to-write", 1)
        try:
            await book_nine(held_shop)
            for cache in pair.both:  # the control: it was not off before
                assert source(await ask(cache, held_shop)) == "NEAR"
            assert await seconds_of(pair.one.stub.Invalidate(everything_of(held_shop))) < 1.8
            assert await pair.off()

            loop = asyncio.get_running_loop()
            end = loop.time() + 1.5 * LEASE  # by then a healthy one would be on again
            while loop.time() < end:
                assert await pair.off()
                for cache in pair.both:
                    assert source(await fresh(cache, held_shop)) == "DATABASE"
        finally:
            await client.config_set("min-replicas-to-write", 0)
    await pair.cached_again(held_shop)
    assert not await pair.off()
