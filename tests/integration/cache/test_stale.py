"""Who allows staleness is answered whatever the database does; who does not is not lied to."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from chairside.cache.v1 import types_pb2
from tests.integration.cache.crowd import held_loads
from tests.integration.cache.explaining import MONDAY, reason_of
from tests.integration.cache.pair import NINE, book_nine, everything_of
from tests.integration.cache.running import Cache, refused, source, start_cache, starts
from tests.integration.cache.shops import Shop
from tests.support.stack import Database
from tests.support.waiting import eventually

HOUR = types_pb2.Consistency(max_staleness={"seconds": 3600})
VARIABLES = {
    "CHAIRSIDE_CACHE_TTLS": '{"availability": 1}',
    "CHAIRSIDE_CACHE_LOAD_POOL": "1",
    "CHAIRSIDE_CACHE_LOAD_QUEUE": "0",
}


@pytest.fixture(scope="module")
async def brief(
    cache: Cache, shared_database: Database, server_directory: Path
) -> AsyncIterator[Cache]:
    """Run a process whose entries live for a second, and which loads one at a time."""
    url, logs = shared_database.cache_url, server_directory / "stale-tests"
    async with start_cache(url, cache.redis_url, logs, VARIABLES) as running:
        yield running


@pytest.fixture(scope="module")
async def lenient(
    cache: Cache, shared_database: Database, server_directory: Path
) -> AsyncIterator[Cache]:
    """Run a process whose operator allows staleness to reads that say nothing."""
    url, logs = shared_database.cache_url, server_directory / "lenient-tests"
    variables = {
        "CHAIRSIDE_CACHE_DEFAULT_MAX_STALENESS": "3600",
        "CHAIRSIDE_CACHE_MEMORY_BYTES": "1000000",
    }
    async with start_cache(url, cache.redis_url, logs, variables) as running:
        yield running


@pytest.fixture
async def shop(shop: Shop) -> Shop:
    """Open a shop, and wait until the relay has told of that."""
    await shop.relayed()
    return shop


async def _ask(cache: Cache, shop: Shop, day: date = MONDAY, **fields: Any) -> Any:
    return await cache.availability(
        shop.organization_id, shop.services[0], shop.barbers, day, 1, **fields
    )


async def _expired(cache: Cache, shop: Shop) -> None:
    """Have an entry of Monday that has expired."""
    await _ask(cache, shop)

    async def expired() -> bool:
        return await reason_of(cache, shop) == "REASON_MISS_EXPIRED"

    await eventually(expired)


async def test_an_expired_entry_is_no_hit(brief: Cache, shop: Shop) -> None:
    """Past its time to live it is kept, explained as expired, and loaded anew."""
    await _expired(brief, shop)
    (name,) = [key for key in await brief.entries(shop.organization_id) if b"availability" in key]
    assert 590_000 < await brief.redis.pttl(name) < 601_200
    assert await reason_of(brief, shop, max_staleness={"seconds": 60}) == "REASON_STALE_ALLOWED"
    assert source(await _ask(brief, shop)) == "DATABASE"

    async def hit() -> bool:  # not at once, if the second that it lives passes before
        return source(await _ask(brief, shop)) == "REDIS"

    await eventually(hit)


@pytest.mark.parametrize("how", ["expired", "invalidated"])
async def test_with_a_slow_database_only_who_allows_it_is_answered_at_once(
    brief: Cache, shop: Shop, shared_database: Database, how: str
) -> None:
    """The stale answer is flagged; a default read waits for the database, or is refused."""
    tuesday = MONDAY + timedelta(days=1)
    await _ask(brief, shop)
    await book_nine(shop)
    await brief.stub.Invalidate(everything_of(shop))
    if how == "expired":
        await _expired(brief, shop)
    async with held_loads(shared_database):
        waiting = asyncio.create_task(_ask(brief, shop))

        async def loading() -> bool:
            return brief.metric("chairside_cache_loads_running") == 1

        await eventually(loading)
        for _ in range(20):
            stale = await _ask(brief, shop, consistency=HOUR)
            assert (source(stale), stale.cache_info.stale) == ("REDIS", True)
            free = shop.at(NINE) in starts(stale)[shop.barbers[0]]
            assert free is (how == "invalidated"), "what it was before"
        full = await refused(_ask(brief, shop, tuesday))
        assert full.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        full = await refused(_ask(brief, shop, tuesday, consistency=HOUR))
        assert full.code() is grpc.StatusCode.RESOURCE_EXHAUSTED, "of that day nothing is kept"
        assert not waiting.done()
    fresh = await waiting
    assert (source(fresh), fresh.cache_info.stale) == ("DATABASE", False)
    assert shop.at(NINE) not in starts(fresh)[shop.barbers[0]]


async def test_a_stale_answer_is_refreshed_behind(brief: Cache, shop: Shop) -> None:
    """The reader after it finds a fresh entry, without having waited for it."""
    await _expired(brief, shop)
    assert (await _ask(brief, shop, consistency=HOUR)).cache_info.stale

    async def fresh() -> bool:
        answer = await _ask(brief, shop, consistency=HOUR)
        assert source(answer) == "REDIS", "of both it is: nobody waits for the database"
        return not answer.cache_info.stale

    await eventually(fresh)


async def test_what_is_not_to_be_kept_is_gone_when_it_expires(
    cache: Cache, shared_database: Database, shop: Shop, tmp_path: Path
) -> None:
    """With 0 seconds of it, Redis holds no entry longer than it lives."""
    variables = VARIABLES | {"CHAIRSIDE_CACHE_KEEP_STALE": "0"}
    url = shared_database.cache_url
    async with start_cache(url, cache.redis_url, tmp_path, variables) as strict:
        await _ask(strict, shop)

        async def gone() -> bool:
            return await reason_of(strict, shop) == "REASON_MISS_ABSENT"

        await eventually(gone)


async def test_an_operator_may_allow_staleness_to_all(
    lenient: Cache, cache: Cache, shop: Shop
) -> None:
    """After an acknowledgement a read that says nothing is stale, flagged and refreshed behind."""
    await _ask(lenient, shop)
    await _ask(lenient, shop)
    assert source(await _ask(lenient, shop)) == "NEAR"
    await book_nine(shop)
    told = await lenient.stub.Invalidate(everything_of(shop))
    assert await reason_of(lenient, shop) == "REASON_STALE_ALLOWED"
    assert await reason_of(cache, shop) == "REASON_MISS_GUARD_GONE"
    old = await _ask(lenient, shop)
    assert (source(old), old.cache_info.stale) == ("REDIS", True)
    assert shop.at(NINE) in starts(old)[shop.barbers[0]]

    async def fresh() -> bool:
        answer = await _ask(lenient, shop)
        free = shop.at(NINE) in starts(answer)[shop.barbers[0]]
        assert answer.cache_info.stale is free
        return not free

    await eventually(fresh)
    assert told.token


@pytest.mark.parametrize("demand", ["token", "exact", "database", "no operator's word"])
async def test_who_says_how_fresh_is_not_given_the_operator_s_default(
    lenient: Cache, cache: Cache, shop: Shop, demand: str
) -> None:
    """A token, zero staleness, the database: none is stale; nor is any at a process without it."""
    await _ask(lenient, shop)
    await book_nine(shop)
    told = await lenient.stub.Invalidate(everything_of(shop))
    said = {
        "token": types_pb2.Consistency(at_least_as_fresh=told.token),
        "exact": types_pb2.Consistency(max_staleness={}),
        "database": types_pb2.Consistency(fully_consistent=True),
    }
    asked = cache if demand not in said else lenient
    answer = await _ask(asked, shop, consistency=said.get(demand))
    assert (source(answer), answer.cache_info.stale) == ("DATABASE", False)
    assert shop.at(NINE) not in starts(answer)[shop.barbers[0]]
