"""Explain: each reason provoked for real, on a service that runs."""

import signal
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from cache_service.coherence.tokens import transaction_token
from chairside.cache.v1 import cache_service_pb2 as pb
from chairside.cache.v1 import types_pb2
from devstack.valkey import ValkeyServer
from tests.integration.cache.explaining import MONDAY, day_of, explain, invalidate, reason_of
from tests.integration.cache.running import Cache, start_cache
from tests.integration.cache.shops import Shop, open_shop
from tests.support.stack import Database
from tests.support.waiting import eventually


@pytest.fixture
async def near(cache: Cache, shared_database: Database, tmp_path: Path) -> AsyncIterator[Cache]:
    """Run a second process over the same Redis, which keeps answers itself."""
    variables = {"CHAIRSIDE_CACHE_MEMORY_BYTES": "1000000"}
    url = shared_database.cache_url
    async with start_cache(url, cache.redis_url, tmp_path, variables) as running:
        yield running


async def test_an_entry_that_is_not_there_and_one_that_is(cache: Cache, shop: Shop) -> None:
    """Before the first read it is absent; after it all guards have the entry's nonces."""
    absent, state = await explain(cache, shop)
    assert absent.reason == pb.REASON_MISS_ABSENT
    assert (absent.query, absent.source) == ("availability", types_pb2.SOURCE_DATABASE)
    assert not absent.HasField("age")
    assert not absent.size
    assert state.lease_held
    assert all((state.epoch, state.era, state.database, state.store, state.member_id))

    await cache.stub.GetAvailability(day_of(shop))
    hit, _ = await explain(cache, shop)
    assert (hit.reason, hit.source) == (pb.REASON_HIT_REDIS, types_pb2.SOURCE_REDIS)
    assert [hit.key.encode()] == await cache.entries(shop.organization_id)
    assert f":{state.era}:" in hit.key
    barber, service = shop.barbers[0], shop.services[0]
    assert [tag.name for tag in hit.tags] == [
        "organization",
        f"day:{barber}:{MONDAY}",
        f"hours:barber:{barber}",
        f"barber:{barber}",
        f"service:{service}",
    ]
    assert all(len(tag.guard_nonce) == 32 for tag in hit.tags)
    assert [tag.guard_nonce for tag in hit.tags] == [tag.entry_nonce for tag in hit.tags]
    assert hit.snapshot.count(":") == 2
    assert hit.size > 0
    assert 0 <= hit.age.ToMicroseconds() < 60_000_000


async def test_guards_that_are_gone_or_changed_are_named(cache: Cache, shop: Shop) -> None:
    """An invalidated tag is gone; once another entry has filled it, it has changed."""
    await cache.stub.GetAvailability(day_of(shop))
    barber = f"barber:{shop.barbers[0]}"
    await invalidate(cache, shop, barber)
    gone, _ = await explain(cache, shop)
    assert (gone.reason, list(gone.reason_tags)) == (pb.REASON_MISS_GUARD_GONE, [barber])
    assert barber in gone.explanation
    assert [tag.name for tag in gone.tags if not tag.guard_nonce] == [barber]
    assert all(tag.entry_nonce for tag in gone.tags)

    tuesday = MONDAY + timedelta(days=1)
    await cache.availability(shop.organization_id, shop.services[0], shop.barbers, tuesday)
    changed, _ = await explain(cache, shop)
    assert (changed.reason, list(changed.reason_tags)) == (pb.REASON_MISS_GUARD_CHANGED, [barber])
    assert barber in changed.explanation
    different = [tag.name for tag in changed.tags if tag.guard_nonce != tag.entry_nonce]
    assert different == [barber]
    assert changed.source == types_pb2.SOURCE_DATABASE


async def test_staleness_is_allowed_only_while_it_is_young_enough(cache: Cache, shop: Shop) -> None:
    """An invalidated entry will do for a minute's staleness, and not for a microsecond's."""
    await cache.stub.GetAvailability(day_of(shop))
    await invalidate(cache, shop, "organization")
    entry, _ = await explain(cache, shop, max_staleness={"seconds": 60})
    assert (entry.reason, entry.source) == (pb.REASON_STALE_ALLOWED, types_pb2.SOURCE_REDIS)
    assert await reason_of(cache, shop, max_staleness={"nanos": 1000}) == "REASON_MISS_GUARD_GONE"
    # The read itself would refresh it behind; an explanation does not.
    assert await reason_of(cache, shop) == "REASON_MISS_GUARD_GONE"


async def test_an_entry_that_cannot_be_read(cache: Cache, shop: Shop) -> None:
    """One flipped bit is told as such, and what cannot be read is not told."""
    await cache.stub.GetAvailability(day_of(shop))
    (key,) = await cache.entries(shop.organization_id)
    raw = await cache.redis.get(key)
    await cache.redis.set(key, raw[:-1] + bytes((raw[-1] ^ 1,)))
    entry, _ = await explain(cache, shop)
    assert entry.reason == pb.REASON_MISS_UNREADABLE
    assert not entry.snapshot
    assert all(tag.guard_nonce and not tag.entry_nonce for tag in entry.tags)
    await cache.redis.set(key, raw)
    assert await reason_of(cache, shop) == "REASON_HIT_REDIS"


async def test_what_the_read_demands_decides(cache: Cache, shop: Shop) -> None:
    """A token to come misses, a past one hits, a foreign one and none at all bypass."""
    await cache.stub.GetAvailability(day_of(shop))
    _, state = await explain(cache, shop)

    async def with_token(database: str, xid: int) -> str:
        token = transaction_token(database, xid, applied=False)
        return await reason_of(cache, shop, at_least_as_fresh=token)

    assert await with_token(state.database, 2**40) == "REASON_MISS_TOKEN"
    assert await with_token(state.database, 1) == "REASON_HIT_REDIS"
    assert await with_token("1-1", 1) == "REASON_BYPASS_FOREIGN_TOKEN"
    full = "REASON_BYPASS_FULLY_CONSISTENT"
    assert await reason_of(cache, shop, fully_consistent=True) == full
    assert await reason_of(cache, shop, at_least_as_fresh=b"no token") == full


async def test_an_answer_kept_in_memory_is_near(near: Cache, shop: Shop) -> None:
    """It hits near once this process has read it; what the token demands still holds."""
    await near.stub.GetAvailability(day_of(shop))
    entry, state = await explain(near, shop)
    assert (entry.reason, entry.source) == (pb.REASON_HIT_NEAR, types_pb2.SOURCE_NEAR)
    assert entry.snapshot
    assert entry.size > 0
    token = transaction_token(state.database, 2**40, applied=False)
    assert await reason_of(near, shop, at_least_as_fresh=token) == "REASON_MISS_TOKEN"
    await invalidate(near, shop, "organization")
    assert await reason_of(near, shop) == "REASON_MISS_GUARD_GONE"


async def test_without_a_lease_nothing_hits(
    near: Cache, shop: Shop, connection: asyncpg.Connection
) -> None:
    """While nobody can read the authority the lease runs out; what may be stale still is."""
    await near.stub.GetAvailability(day_of(shop))
    lock = connection.transaction()
    await lock.start()
    await connection.execute("LOCK TABLE members IN ACCESS EXCLUSIVE MODE")
    try:

        async def expired() -> bool:
            return await reason_of(near, shop) == "REASON_NO_LEASE"

        await eventually(expired)
        entry, state = await explain(near, shop)
        assert not state.lease_held
        assert state.epoch, "what it last knew"
        assert entry.source == types_pb2.SOURCE_DATABASE
        stale = await reason_of(near, shop, max_staleness={"seconds": 60})
        assert stale == "REASON_STALE_ALLOWED"
    finally:
        await lock.rollback()

    async def again() -> bool:
        return await reason_of(near, shop) in {"REASON_HIT_NEAR", "REASON_HIT_REDIS"}

    await eventually(again)


async def test_a_redis_that_is_away_and_a_cache_that_is_off(
    database: Database, own_valkey: ValkeyServer, tmp_path: Path
) -> None:
    """First Redis does not answer, then a mutation has the cache turned off; all recovers."""
    owner = await asyncpg.connect(database.url)
    shop = await open_shop(owner)
    patience = {"CHAIRSIDE_CACHE_REDIS_TIMEOUT": "0.5"}
    async with start_cache(database.cache_url, own_valkey.url, tmp_path, patience) as cache:

        async def hit() -> bool:
            await cache.stub.GetAvailability(day_of(shop))
            return await reason_of(cache, shop) == "REASON_HIT_REDIS"

        await eventually(hit)
        own_valkey.signal(signal.SIGSTOP)
        try:
            assert await reason_of(cache, shop) == "REASON_STORE_UNAVAILABLE"
            await invalidate(cache, shop, "organization")
            _, state = await explain(cache, shop)
            assert not state.lease_held
            assert not state.epoch
            assert await reason_of(cache, shop) == "REASON_CACHE_OFF"
        finally:
            own_valkey.signal(signal.SIGCONT)

        async def on_again() -> bool:
            return await reason_of(cache, shop) == "REASON_MISS_ABSENT"

        await eventually(on_again, seconds=10)
    await owner.close()
