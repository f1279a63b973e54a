"""Lookup: batches on one stream, answered as they are done."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from chairside.cache.v1 import cache_service_pb2 as pb
from tests.integration.cache.running import Cache, refused, source, start_cache
from tests.integration.cache.shops import Shop
from tests.integration.cache.test_batch import MONDAY, ask, day_of, outcome
from tests.support.grpc_server import details_of
from tests.support.stack import Database
from tests.support.waiting import eventually


@pytest.fixture
async def shop(shop: Shop) -> Shop:
    """Open a shop, and wait until the relay has told of that: it would empty the memory."""
    await shop.relayed()
    return shop


def _days(shop: Shop, count: int, first: int = 0) -> list[pb.BatchRead]:
    return [day_of(shop, MONDAY + timedelta(days=first + n)) for n in range(count)]


async def test_each_batch_gets_its_answer(near: Cache, shop: Shop) -> None:
    """By its id, whatever that is, and the same as in a call of its own."""
    batches = {-5: _days(shop, 3), 0: _days(shop, 2, 3), 2**62: [*_days(shop, 1), pb.BatchRead()]}
    requests = [pb.LookupRequest(id=number, reads=reads) for number, reads in batches.items()]
    found = {one.id: one async for one in near.stub.Lookup(iter(requests))}
    assert found.keys() == batches.keys()
    for number, reads in batches.items():
        told = [outcome(one) for one in found[number].results]
        own = [outcome(one) for one in await ask(near, *reads)]
        for _, one in told + own:
            if not hasattr(one, "code"):
                one.ClearField("cache_info")
        assert told == own
        assert not found[number].HasField("error")


async def test_a_bad_batch_ends_nothing(near: Cache, shop: Shop) -> None:
    """Its error comes under its id; the next one on the stream is answered."""
    call = near.stub.Lookup()
    for number, reads in ((1, []), (2, _days(shop, 1) * 257), (3, _days(shop, 1))):
        await call.write(pb.LookupRequest(id=number, reads=reads))
    found = {one.id: one for one in [await call.read() for _ in range(3)]}
    for number in (1, 2):
        assert found[number].error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
        assert len(found[number].error.details) == 2
        assert not found[number].results
    assert len(found[3].results) == 1
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF
    assert await call.code() is grpc.StatusCode.OK


async def test_a_batch_in_memory_does_not_wait_for_another(near: Cache, shop: Shop) -> None:
    """While one waits for a row that is locked, the next is answered; then the first is."""
    await ask(near, *_days(shop, 1))
    call = near.stub.Lookup()
    async with shop.connection.transaction():
        await shop.connection.execute("LOCK TABLE services IN ACCESS EXCLUSIVE MODE")
        await call.write(pb.LookupRequest(id=1, reads=_days(shop, 1, 7)))
        await call.write(pb.LookupRequest(id=2, reads=_days(shop, 1)))
        second = await call.read()
    first = await call.read()
    assert [first.id, second.id] == [1, 2]
    assert source(second.results[0].get_availability) == "NEAR"
    assert source(first.results[0].get_availability) == "DATABASE"
    call.cancel()


async def test_who_goes_away_leaves_nothing_open(near: Cache, shop: Shop) -> None:
    """With batches under way, cancelled or not: the call is counted out, and others go on."""
    await eventually(lambda: _opened(near, 0))  # those of the test before
    calls = [near.stub.Lookup() for _ in range(5)]
    async with shop.connection.transaction():
        await shop.connection.execute("LOCK TABLE services IN ACCESS EXCLUSIVE MODE")
        for n, call in enumerate(calls):
            await call.write(pb.LookupRequest(id=1, reads=_days(shop, 20, 20 * n)))
        await eventually(lambda: _opened(near, 5))
        for call in calls:
            call.cancel()
        await eventually(lambda: _opened(near, 0))
    assert len(await ask(near, *_days(shop, 1))) == 1


async def _last(call: Any) -> Any:
    """Read to the end, which is an error here."""
    while (message := await call.read()) is not grpc.aio.EOF:
        last = message
    return last


async def _opened(cache: Cache, count: float) -> bool:
    return cache.metric("grpc_server_open_calls") == count


async def test_the_drain_ends_streams_behind_what_is_under_way(
    cache: Cache, shop: Shop, shared_database: Database, tmp_path: Path
) -> None:
    """A batch that waits is answered; then UNAVAILABLE, DRAINING; Watch and Lookup are logged."""
    url = shared_database.cache_url
    async with start_cache(url, cache.redis_url, tmp_path) as ending:
        lookup, watch = ending.stub.Lookup(), ending.stub.Watch(pb.WatchRequest())
        assert (await watch.read()).HasField("elapsed")
        await lookup.write(pb.LookupRequest(id=1, reads=_days(shop, 2)))
        assert (await lookup.read()).id == 1
        async with shop.connection.transaction():
            await shop.connection.execute("LOCK TABLE services IN ACCESS EXCLUSIVE MODE")
            await lookup.write(pb.LookupRequest(id=2, reads=_days(shop, 2, 7)))

            async def waits() -> bool:
                return ending.metric("chairside_cache_loads_running") > 0

            await eventually(waits)
            stopping = asyncio.ensure_future(ending.process.stop())
            watched = await refused(_last(watch))
        answer = await lookup.read()
        assert (answer.id, len(answer.results)) == (2, 2)
        looked_up = await refused(lookup.read())
        await stopping
    for error in (watched, looked_up):
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert details_of(error)["ErrorInfo"].reason == "DRAINING"  # type: ignore[attr-defined]
    lines = [json.loads(line) for line in ending.process.output().splitlines() if '"call"' in line]
    (logged,) = (line for line in lines if line["method"].endswith("Lookup"))
    assert (logged["code"], logged["reason"]) == ("UNAVAILABLE", "DRAINING")
    assert (logged["batches"], logged["reads"], logged["miss"]) == (2, 4, 4)
