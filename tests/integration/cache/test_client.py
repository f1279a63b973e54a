"""The Python client against real processes: joined reads, tokens, and how old a near hit may be."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import grpc
import pytest

from cache_service.client import CacheClient, transaction_token
from cache_service.coherence.tokens import parse_token
from chairside.cache.v1 import cache_service_pb2 as pb
from service_kit.clock import elapsed
from service_kit.values import to_date
from tests.faults.proxy import Direction, Proxy
from tests.integration.cache.clients import (
    LEASE,
    STALENESS,
    WRITES,
    Reader,
    becomes_near,
    clients_of,
    handled,
)
from tests.integration.cache.pair import MONDAY, NINE, VARIABLES, Pair, book_nine
from tests.integration.cache.running import refused, source, start_cache, starts
from tests.integration.cache.shops import Shop
from tests.support.grpc_server import details_of
from tests.support.waiting import eventually

LOSSES = 5
METHODS = ("BatchGet", "ListClients", "GetSchedule", "GetAvailability")
LOOKUP = "CacheService/Lookup"


@pytest.fixture
async def client(pair: Pair) -> AsyncIterator[CacheClient]:
    """Connect to the first of the two, with a near cache that only what is told empties."""
    async with CacheClient(pair.one.process.address, near_ttl=STALENESS) as client:
        yield client


async def test_a_near_hit_is_never_older_than_the_lease(
    pair: Pair, held_shop: Shop, client: CacheClient
) -> None:
    """Whichever process takes the change: what was acknowledged a lease ago is in the answer."""
    await becomes_near(client, held_shop)
    before, reader = handled(pair.one), Reader(client, held_shop)
    await reader.against(pair)
    assert reader.too_old == []
    # Each change costs a call or two, and most reads cost none.
    assert WRITES <= handled(pair.one) - before < reader.asked / 2


async def test_a_near_cache_that_hears_nothing_is_caught(
    pair: Pair, held_shop: Shop, client: CacheClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: heartbeats go on, and what is told is ignored."""
    await becomes_near(client, held_shop)
    monkeypatch.setattr(client._near, "told", lambda *_told: None)
    reader = Reader(client, held_shop)
    await reader.against(pair)
    assert reader.too_old != []


async def test_a_near_hit_costs_the_service_nothing(
    pair: Pair, held_shop: Shop, client: CacheClient
) -> None:
    """A thousand reads, not one call; a read that allows no staleness is one."""
    await becomes_near(client, held_shop)
    before = handled(pair.one)
    answers = [await client.list_clients(clients_of(held_shop)) for _ in range(1000)]
    assert {source(answer) for answer in answers} == {"NEAR"}
    assert handled(pair.one) == before
    await client.list_clients(clients_of(held_shop, staleness=0))
    assert handled(pair.one) == before + 1


async def test_reads_of_one_tick_are_one_call_with_the_same_answers(
    pair: Pair, held_shop: Shop, client: CacheClient
) -> None:
    """One message on a stream: each is as its method answers it, that of an unknown barber too."""
    shop = held_shop
    mine = {"organization_id": shop.organization_id}
    plain = clients_of(shop, staleness=0)
    schedule = pb.GetScheduleRequest(**mine, barber_id=shop.barbers[0])
    unknown = pb.GetScheduleRequest(**mine, barber_id=999_999)
    slots = pb.GetAvailabilityRequest(
        **mine, service_id=shop.services[0], start_date=to_date(MONDAY)
    )
    stub = pair.one.stub
    alone: list[Any] = [
        await stub.ListClients(plain),
        await stub.GetSchedule(schedule),
        await refused(stub.GetSchedule(unknown)),
        await stub.GetAvailability(slots),
    ]
    before = handled(pair.one, *METHODS)
    joined: list[Any] = await asyncio.gather(
        client.list_clients(plain),
        client.get_schedule(schedule),
        client.get_schedule(unknown),
        client.get_availability(slots),
        return_exceptions=True,
    )
    assert handled(pair.one, *METHODS) == before, "but for the stream, which is open"
    for one in (alone, joined):
        for answer in (one[0], one[1], one[3]):
            answer.ClearField("cache_info")
    assert [joined[at] for at in (0, 1, 3)] == [alone[at] for at in (0, 1, 3)]
    assert joined[2].code() is grpc.StatusCode.NOT_FOUND
    assert details_of(joined[2]) == details_of(alone[2])
    await client.close()

    async def logged() -> bool:
        lines = [
            json.loads(line) for line in pair.one.process.output().splitlines() if LOOKUP in line
        ]
        assert [(line["batches"], line["reads"]) for line in lines[-1:]] == [(1, 4)]
        return True

    await eventually(logged)


async def test_connections_lost_in_the_middle_lose_no_read(pair: Pair, held_shop: Shop) -> None:
    """While answers are on their way, again and again: each caller gets its own all the same."""
    shop, port = held_shop, int(pair.one.process.address.rpartition(":")[2])
    requests = [
        pb.GetAvailabilityRequest(
            organization_id=shop.organization_id,
            service_id=shop.services[0],
            start_date=to_date(MONDAY + timedelta(days=days)),
        )
        for days in range(8)
    ]
    expected = [(await pair.one.stub.GetAvailability(request)).barbers for request in requests]
    assert len({str(one) for one in expected}) > 1
    answered, lost, over = 0, 0, asyncio.Event()
    async with (
        Proxy("cache", port, Random(1)) as proxy,  # noqa: S311 - no secret
        CacheClient(f"127.0.0.1:{proxy.port}", near_bytes=0) as client,
    ):

        async def caller(number: int) -> None:
            nonlocal answered
            while not over.is_set():
                answer = await client.get_availability(requests[number])
                assert answer.barbers == expected[number]
                answered += 1

        async def more_than(count: int) -> None:
            async def answers() -> bool:
                assert not calling.done(), "a caller failed"
                return answered > count

            await eventually(answers)

        streams = handled(pair.one, "Lookup")
        calling = asyncio.gather(*map(caller, range(len(requests))))
        for _ in range(LOSSES):
            await more_than(answered + 100)
            proxy.counts.clear()
            proxy.hold(Direction.REPLIES)
            await eventually(lambda: _held(proxy))
            proxy.heal(lose=True)
            lost += proxy.counts["lost_bytes"]
        await more_than(answered + 100)
        over.set()
        await calling
    assert lost > 0

    async def ended() -> bool:
        return handled(pair.one, "Lookup") > streams + 1

    await eventually(ended)


async def _held(proxy: Proxy) -> bool:
    return proxy.counts["held_bytes"] > 0


async def test_a_token_that_is_carried_makes_its_change_seen(
    pair: Pair, held_shop: Shop, client: CacheClient
) -> None:
    """A booking that nobody told the cache of is seen by the reads of who made it."""
    shop = held_shop
    told = await pair.one.stub.Invalidate(pb.InvalidateRequest(tags=[_tag(shop)]))
    parsed = parse_token(told.token)
    assert parsed is not None
    ask = pb.GetAvailabilityRequest(
        organization_id=shop.organization_id,
        service_id=shop.services[0],
        barber_ids=shop.barbers,
        start_date=to_date(MONDAY),
    )

    async def offered() -> bool:
        free = starts(await client.get_availability(ask))[shop.barbers[0]]
        return shop.at(NINE) in free

    await book_nine(shop)
    assert await offered(), "the control: nothing was acknowledged, and nothing told"
    xid = await shop.connection.fetchval(
        "SELECT xmin::text::bigint FROM appointments WHERE organization_id = $1",
        shop.organization_id,
    )
    client.saw(shop.organization_id, transaction_token(parsed.database, xid, applied=False))
    assert not await offered()


def _tag(shop: Shop) -> pb.Tag:
    return pb.Tag(organization_id=shop.organization_id, name="nobody-depends-on-this")


@pytest.mark.parametrize("how", ["drains", "is killed", "hangs"])
async def test_without_its_service_the_client_serves_nothing(
    pair: Pair, held_shop: Shop, tmp_path: Path, how: str
) -> None:
    """A lost stream empties it, and one that is silent is not believed for longer than a lease."""
    url, redis = pair.database.cache_url, pair.one.redis_url
    async with start_cache(url, redis, tmp_path, VARIABLES) as third:
        settings: dict[str, Any] = {"near_ttl": STALENESS, "timeout": 0.5}
        async with CacheClient(third.process.address, **settings) as client:
            await becomes_near(client, held_shop)
            if how == "hangs":
                third.process.signal(signal.SIGSTOP)
            elif how == "drains":
                await third.process.stop()
            else:
                await third.process.kill()
            began = elapsed()

            async def refuses() -> bool:
                asked = elapsed()
                try:
                    await client.list_clients(clients_of(held_shop))
                except grpc.aio.AioRpcError:
                    return True
                assert asked - began <= LEASE, "served for too long"
                return False

            try:
                await eventually(refuses)
                if how != "hangs":
                    assert len(client._near) == 0
            finally:
                if how == "hangs":
                    third.process.signal(signal.SIGCONT)


async def test_closing_leaves_no_stream_at_the_service(pair: Pair, held_shop: Shop) -> None:
    """Nobody watches any more."""
    async with CacheClient(pair.one.process.address) as client:
        await becomes_near(client, held_shop)
        assert pair.one.metric("chairside_cache_watchers") == 1

    async def nobody() -> bool:
        return pair.one.metric("chairside_cache_watchers") == 0

    await eventually(nobody)
