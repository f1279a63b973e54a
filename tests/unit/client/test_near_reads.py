"""Reads that the client answers itself: which they are, and what may overtake what."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from cache_service.client import CacheClient
from chairside.cache.v1 import types_pb2
from service_kit.errors import NotFound
from tests.support.waiting import eventually
from tests.unit.client.fake_cache import FakeCache, Stream, ask, client_of

NEAR = ask(1, staleness=30)


def source(answer: object) -> str:
    """Name where an answer came from."""
    name = types_pb2.Source.Name(answer.cache_info.source)  # type: ignore[attr-defined]
    return name.removeprefix("SOURCE_")


@asynccontextmanager
async def watching(fake: FakeCache) -> AsyncIterator[tuple[CacheClient, Stream]]:
    """Connect a client whose stream is heard, once: its lease outlasts the test."""
    async with client_of(fake, near_ttl=30.0, near_lease=30.0) as client:
        await client.get_availability(NEAR)

        async def opened() -> bool:
            return bool(fake.streams)

        await eventually(opened)
        fake.streams[0].beat(0.0)

        async def kept() -> bool:
            return source(await client.get_availability(NEAR)) == "NEAR"

        await eventually(kept)
        fake.calls.clear()
        yield client, fake.streams[0]


async def test_a_hit_costs_no_call() -> None:
    """Neither alone nor among others, which are then a batch without it."""
    fake = FakeCache()
    async with watching(fake) as (client, _):
        for _ in range(100):
            assert source(await client.get_availability(NEAR)) == "NEAR"
        assert fake.calls == []
        both = await asyncio.gather(client.get_availability(ask(2)), client.get_availability(NEAR))
    assert [source(one) for one in both] == ["REDIS", "NEAR"]
    assert fake.methods == ["GetAvailability"]


async def test_other_reads_always_go_to_the_service() -> None:
    """And open no stream: who never allows staleness pays for none."""
    fake = FakeCache()
    full = ask(1)
    full.consistency.fully_consistent = True
    async with client_of(fake) as client:
        for question in (ask(1), full, ask(1, staleness=0.5)) * 2:
            assert source(await client.get_availability(question)) == "REDIS"
    assert fake.methods == ["GetAvailability"] * 6
    assert fake.streams == []


async def test_without_memory_for_it_there_is_no_near_cache() -> None:
    """And no stream, and no tags to be sent."""
    fake = FakeCache()
    async with client_of(fake, near_bytes=0) as client:
        for _ in range(3):
            assert source(await client.get_availability(NEAR)) == "REDIS"
    assert fake.methods == ["GetAvailability"] * 3
    assert fake.streams == []


async def test_a_change_told_drops_the_answer() -> None:
    """The next read asks, and is kept again."""
    fake = FakeCache()
    async with watching(fake) as (client, stream):
        stream.tell("day")

        async def asked() -> bool:
            return source(await client.get_availability(NEAR)) == "REDIS"

        await eventually(asked)
        assert fake.methods == ["BatchGet"]
        assert source(await client.get_availability(NEAR)) == "NEAR"


async def test_a_change_told_while_the_reply_is_on_its_way_keeps_it_out() -> None:
    """The old answer is its callers' and nobody else's."""
    fake = FakeCache()
    other = ask(2, staleness=30)
    async with watching(fake) as (client, stream):
        fake.gate.clear()
        reading = asyncio.create_task(client.get_availability(other))

        async def called() -> bool:
            return bool(fake.calls)

        await eventually(called)
        stream.tell("day")

        async def told() -> bool:  # what was kept before is gone once it was heard
            again = asyncio.create_task(client.get_availability(NEAR))
            await asyncio.wait((again,), timeout=0.01)
            if again.done():
                return False
            again.cancel()
            return True

        await eventually(told)
        fake.gate.set()
        assert source(await reading) == "REDIS"
        assert source(await client.get_availability(other)) == "REDIS"
        assert source(await client.get_availability(other)) == "NEAR"


async def test_a_read_is_of_its_request_as_it_was_at_the_call() -> None:
    """One message used again for another read changes nothing of the first, which begins later."""
    fake = FakeCache()
    async with watching(fake) as (client, stream):
        request = ask(3)
        exact = asyncio.create_task(client.get_availability(request))
        request.consistency.max_staleness.seconds = 30
        allowing = asyncio.create_task(client.get_availability(request))
        request.organization_id = 2
        await asyncio.gather(exact, allowing)
        assert source(await client.get_availability(ask(3, staleness=30))) == "NEAR"
        assert source(await client.get_availability(ask(3))) == "REDIS"
        stream.tell("day")

        async def dropped() -> bool:
            return client.near_entries == 0

        await eventually(dropped)


async def test_errors_are_never_kept() -> None:
    """Each caller of one gets the error of the moment, and the first answer after it enters."""
    fake = FakeCache()
    question = ask(3, staleness=30)
    known = fake.answer

    async def unknown(_request: Any) -> Any:
        raise NotFound("service", 3)

    async with watching(fake) as (client, _):
        fake.answer = unknown
        for _ in range(2):
            with pytest.raises(grpc.aio.AioRpcError, match="not known"):
                await client.get_availability(question)
        fake.answer = known
        assert source(await client.get_availability(question)) == "REDIS"
        assert source(await client.get_availability(question)) == "NEAR"


async def test_closing_leaves_no_stream_and_no_task() -> None:
    """Whoever made a client can count on having it gone."""
    fake = FakeCache()
    before = asyncio.all_tasks()
    async with watching(fake) as (_, stream):
        pass

    async def ended() -> bool:
        return stream.ended.is_set() and asyncio.all_tasks() <= before

    await eventually(ended)
