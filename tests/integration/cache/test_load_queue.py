"""The queue of loads, over gRPC: who cannot have an answer in time does not wait for it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from datetime import timedelta
from typing import Any

import grpc
import pytest

from chairside.cache.v1 import cache_service_pb2 as pb
from service_kit.values import to_date
from tests.integration.cache.locking import locked
from tests.integration.cache.pair import MONDAY, Pair
from tests.integration.cache.running import Cache, refused, start_cache, starts
from tests.integration.cache.shops import Shop, open_shop
from tests.support.grpc_server import details_of
from tests.support.waiting import eventually

QUEUE = 2
VARIABLES = {
    "CHAIRSIDE_CACHE_LOAD_POOL": "3",  # one for each organization, and two for the others
    "CHAIRSIDE_CACHE_LOAD_QUEUE": str(QUEUE),
    # So long that nothing of this is due to patience.
    "CHAIRSIDE_CACHE_POOL_TIMEOUT": "60",
    "CHAIRSIDE_CACHE_STATEMENT_TIMEOUT": "60",
}
SOON, LATE = 5.0, 25.0
ENDED = {grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED}


@pytest.fixture
async def cache(pair: Pair) -> AsyncIterator[Cache]:
    """Start a process whose organizations have one place for a load each."""
    logs = pair.logs / "queue"
    url = pair.database.cache_url
    async with start_cache(url, pair.valkey.url, logs, VARIABLES) as running:
        yield running


@pytest.fixture
async def shop(pair: Pair, cache: Cache) -> Shop:
    """Open a shop of which only the days are not cached."""
    shop = await open_shop(pair.connection)
    await _ask(cache, shop, 0)
    return shop


def _ask(cache: Cache, shop: Shop, day: int, seconds: float = LATE) -> Awaitable[Any]:
    date = MONDAY + timedelta(days=7 * day)
    request = pb.GetAvailabilityRequest(
        organization_id=shop.organization_id,
        service_id=shop.services[0],
        barber_ids=shop.barbers,
        start_date=to_date(date),
        end_date=to_date(date + timedelta(days=1)),
    )
    call: Awaitable[Any] = cache.stub.GetAvailability(request, timeout=seconds)
    return call


async def _waiting(cache: Cache, loads: int) -> None:
    """Wait until one load runs and so many wait."""

    async def so_many() -> bool:
        running = cache.metric("chairside_cache_loads_running")
        return (running, cache.metric("chairside_cache_loads_waiting")) == (1, loads)

    await eventually(so_many, seconds=SOON * 2)


async def test_a_full_queue_refuses_with_word_of_when_to_come_again(
    pair: Pair, cache: Cache, shop: Shop
) -> None:
    """The next of that organization is refused at once; another organization is served."""
    other = await open_shop(pair.connection)
    async with locked(pair.database, "special_hours"):
        calls = [asyncio.ensure_future(_ask(cache, shop, day)) for day in range(1, 2 + QUEUE)]
        await _waiting(cache, QUEUE)
        error = await refused(_ask(cache, shop, 2 + QUEUE))
        assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        details: dict[str, Any] = details_of(error)
        assert details["ErrorInfo"].reason == "LOADS_EXHAUSTED"
        assert details["RetryInfo"].retry_delay.ToMicroseconds() > 0
        request = pb.ListBarbersRequest(organization_id=other.organization_id)
        assert len((await cache.stub.ListBarbers(request)).barbers) == 1
        assert not any(call.done() for call in calls)
    for answer in await asyncio.gather(*calls):
        assert starts(answer)[shop.barbers[0]]


async def test_a_load_waits_for_as_long_as_one_of_its_callers(
    pair: Pair, cache: Cache, shop: Shop
) -> None:
    """At the deadline of the only caller it leaves the queue, and not if another has joined."""
    async with locked(pair.database, "special_hours"):
        running = asyncio.ensure_future(_ask(cache, shop, 1))
        await _waiting(cache, 0)
        began = asyncio.get_running_loop().time()
        alone = asyncio.ensure_future(_ask(cache, shop, 2, SOON))
        first = asyncio.ensure_future(_ask(cache, shop, 3, SOON))
        await _waiting(cache, 2)
        second = asyncio.ensure_future(_ask(cache, shop, 3))
        for call in (alone, first):
            # The process gives it up at that moment: on a busy machine its word may come first.
            assert (await refused(call)).code() in ENDED
        assert asyncio.get_running_loop().time() - began > SOON * 0.9
        await _waiting(cache, 1)
        assert not second.done()
    for answer in await asyncio.gather(running, second):
        assert starts(answer)[shop.barbers[0]]
    assert cache.metric("chairside_cache_loads_waiting") == 0
