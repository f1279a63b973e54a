"""The stream that carries batches: nothing depends on it, and nobody notices its loss."""

import asyncio
from typing import Any

import grpc
import pytest

from cache_service.client import CacheClient
from service_kit.errors import NotFound
from tests.support.waiting import eventually
from tests.unit.client.fake_cache import FakeCache, ask, client_of, slots_of


async def pair(client: CacheClient, first: int, seconds: float | None = None) -> list[int]:
    """Ask two in one tick, and return which answers came."""
    answers = await asyncio.gather(
        *(client.get_availability(ask(number), seconds) for number in (first, first + 1))
    )
    return [answer.barbers[0].barber_id for answer in answers]


def called(fake: FakeCache, count: int) -> Any:
    """Make a condition: so many calls and batches have come."""

    async def reached() -> bool:
        return len(fake.calls) == count

    return reached


class Held:
    """Answers of a fake that wait until their service is let go."""

    def __init__(self, fake: FakeCache, *services: int) -> None:
        self._held = {service: asyncio.Event() for service in services}
        fake.answer = self._answer

    async def _answer(self, request: Any) -> Any:
        if request.service_id in self._held:
            await self._held[request.service_id].wait()
        return slots_of(request.service_id)

    def let_go(self, service: int) -> None:
        """Answer it."""
        self._held[service].set()


async def test_a_slow_batch_holds_back_no_other() -> None:
    """All go on one stream, and each is answered when it is done."""
    fake = FakeCache()
    held = Held(fake, 1)
    async with client_of(fake) as client:
        slow = asyncio.create_task(pair(client, 1))
        await eventually(called(fake, 1))
        assert await pair(client, 3) == [3, 4]
        assert await pair(client, 5) == [5, 6]
        assert not slow.done()
        held.let_go(1)
        assert await slow == [1, 2]
    assert fake.methods == ["Lookup"] * 3
    assert len(fake.lookups) == 1


async def test_a_stream_lost_in_the_middle_loses_no_read() -> None:
    """What was under way on it is asked again by calls, and later batches open another."""
    fake = FakeCache()
    fake.gate.clear()
    async with client_of(fake) as client:
        lost = [asyncio.create_task(pair(client, first)) for first in (1, 3, 5)]
        await eventually(called(fake, 1))  # of one tick: one batch
        more = asyncio.create_task(pair(client, 7))
        await eventually(called(fake, 2))
        fake.lookups[0].set()
        await eventually(called(fake, 4))
        assert fake.ends == ["cancelled"] * 2
        fake.gate.set()
        assert [await one for one in (*lost, more)] == [[1, 2], [3, 4], [5, 6], [7, 8]]
        assert fake.methods == ["Lookup"] * 2 + ["BatchGet"] * 2

        async def streams_again() -> bool:
            assert await pair(client, 9) == [9, 10]
            return fake.methods[-1] == "Lookup"

        await eventually(streams_again)
    assert len(fake.lookups) == 2


async def test_a_service_without_the_stream_is_asked_by_calls() -> None:
    """It is not asked for the stream with every batch, either."""
    fake = FakeCache(lookup=False)
    async with client_of(fake) as client:
        opened = 0
        lookups = client._joiner._lookups
        open_stream = lookups._open_stream

        def counted(requests: Any) -> Any:
            nonlocal opened
            opened += 1
            return open_stream(requests)

        lookups._open_stream = counted
        for first in range(1, 20, 2):
            assert await pair(client, first) == [first, first + 1]
    assert fake.methods == ["BatchGet"] * 10
    assert opened == 1


async def test_batches_that_would_wait_on_the_stream_go_as_calls() -> None:
    """The service answers sixteen of a stream at once: the next would wait for the slowest."""
    fake = FakeCache()
    held = Held(fake, *range(1, 33, 2))
    async with client_of(fake) as client:
        slow = []
        for first in range(1, 33, 2):
            slow.append(asyncio.create_task(pair(client, first)))
            await eventually(called(fake, len(slow)))
        assert await pair(client, 33) == [33, 34]
        assert fake.methods == ["Lookup"] * 16 + ["BatchGet"]
        held.let_go(1)
        assert await slow[0] == [1, 2]
        assert await pair(client, 35) == [35, 36]
        assert fake.methods[-1] == "Lookup"
        for first in range(3, 33, 2):
            held.let_go(first)
        assert [await one for one in slow] == [[n, n + 1] for n in range(1, 33, 2)]


async def test_a_batch_that_is_too_late_ends_alone() -> None:
    """Its callers get DEADLINE_EXCEEDED, its answer is nobody's, and the stream goes on."""
    fake = FakeCache()
    held = Held(fake, 1)
    async with client_of(fake) as client:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await pair(client, 1, 0.1)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        held.let_go(1)
        assert await pair(client, 3) == [3, 4]
    assert fake.methods == ["Lookup"] * 2
    assert len(fake.lookups) == 1
    assert 0.05 < (fake.seconds[0] or 0) <= 0.1, "the service is told"


async def test_an_error_of_one_read_is_its_callers_alone() -> None:
    """The others of the batch are answered, and so are later ones on the same stream."""
    fake = FakeCache()

    async def answer(request: Any) -> Any:
        if request.service_id == 2:
            raise NotFound("service", 2)
        return slots_of(request.service_id)

    fake.answer = answer
    async with client_of(fake) as client:
        one, two = await asyncio.gather(
            *(client.get_availability(ask(number)) for number in (1, 2)), return_exceptions=True
        )
        assert await pair(client, 3) == [3, 4]
    assert one == slots_of(1)
    assert isinstance(two, grpc.aio.AioRpcError)
    assert two.code() is grpc.StatusCode.NOT_FOUND
    assert len(fake.lookups) == 1


async def test_a_client_alone_opens_no_stream() -> None:
    """Whoever asks one at a time, or for reports, pays for none."""
    fake = FakeCache()
    async with client_of(fake) as client:
        for number in range(3):
            await client.get_availability(ask(number))
    assert fake.lookups == []
