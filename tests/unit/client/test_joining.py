"""Reads of one tick are one call, and each caller notices nothing of the others."""

import asyncio
from typing import Any

import grpc
import pytest
from google.type.date_pb2 import Date

from cache_service.client.joining import MOST_READS
from chairside.cache.v1 import cache_service_pb2 as pb
from service_kit.errors import AnswerTooLarge, FailedPrecondition, NotFound
from tests.support.grpc_server import details_of
from tests.support.waiting import eventually
from tests.unit.client.fake_cache import FakeCache, ask, client_of, slots_of

BOTH_WAYS = pytest.mark.parametrize("lookup", [True, False], ids=["stream", "calls"])
"""A service that has the stream, and one that has not."""


def barber(answer: pb.GetAvailabilityResponse) -> int:
    """Return which answer it is."""
    return answer.barbers[0].barber_id


async def failing(call: Any) -> grpc.aio.AioRpcError:
    """Await a call that must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


async def test_a_read_alone_is_its_own_method() -> None:
    """One read in a tick pays for no batch, and what it asks arrives whole."""
    fake = FakeCache()
    async with client_of(fake) as client:
        question = ask(7)
        question.start_date.CopyFrom(Date(year=2026, month=11, day=28))
        assert barber(await client.get_availability(question)) == 7
    assert fake.calls == [("GetAvailability", question)]


async def test_a_request_tells_which_read_it_is() -> None:
    """`read` is every typed method; what is no read's request is refused at once."""
    fake = FakeCache()
    async with client_of(fake) as client:
        assert barber(await client.read(ask(7))) == 7
        with pytest.raises(KeyError):
            client.read(pb.WarmRequest())
    assert fake.methods == ["GetAvailability"]


async def test_reads_of_one_tick_are_one_call_each_with_its_own_answer() -> None:
    """A hundred callers at once make one call, in their order."""
    fake = FakeCache()
    async with client_of(fake) as client:
        answers = await asyncio.gather(*(client.get_availability(ask(n)) for n in range(1, 101)))
        assert [barber(answer) for answer in answers] == list(range(1, 101))
        assert fake.methods == ["Lookup"]
        batch = fake.calls[0][1]
        assert [read.get_availability for read in batch.reads] == [ask(n) for n in range(1, 101)]
        assert not batch.with_tags
        await client.get_availability(ask(1))
        await client.get_availability(ask(2))
    assert fake.methods == ["Lookup", "GetAvailability", "GetAvailability"]


async def test_a_batch_has_no_more_reads_than_is_good() -> None:
    """What is above goes into the next; the last alone goes by itself."""
    fake, many = FakeCache(), 2 * MOST_READS + 1
    async with client_of(fake) as client:
        answers = await asyncio.gather(*(client.get_availability(ask(n)) for n in range(many)))
    assert [barber(answer) for answer in answers] == list(range(many))
    assert sorted(fake.methods) == ["GetAvailability", "Lookup", "Lookup"]
    sizes = [len(call.reads) for name, call in fake.calls if name == "Lookup"]
    assert sizes == [MOST_READS] * 2
    assert MOST_READS <= 256, "the contract's"


async def test_reports_do_not_keep_other_reads_waiting() -> None:
    """They are joined among themselves, and never on the stream, where they would be waited for."""
    fake = FakeCache()
    report = pb.GetAnalyticsRequest(organization_id=1)
    async with client_of(fake) as client:
        await asyncio.gather(
            *(client.get_availability(ask(n)) for n in (1, 2)),
            *(client.get_analytics(report) for _ in range(3)),
        )
    assert {name: len(call.reads) for name, call in fake.calls} == {"Lookup": 2, "BatchGet": 3}


async def test_an_error_of_one_read_is_that_callers_alone_and_whole() -> None:
    """It has the code, the text and the details that the method itself gives."""
    fake = FakeCache()

    async def answer(request: Any) -> Any:
        if request.service_id == 2:
            raise NotFound("service", 2)
        return slots_of(request.service_id)

    fake.answer = answer
    async with client_of(fake) as client:
        alone = await failing(client.get_availability(ask(2)))
        one, two, three = await asyncio.gather(
            *(client.get_availability(ask(n)) for n in (1, 2, 3)), return_exceptions=True
        )
    assert (barber(one), barber(three)) == (1, 3)  # type: ignore[arg-type]
    assert isinstance(two, grpc.aio.AioRpcError)
    assert (two.code(), two.details()) == (alone.code(), alone.details())
    assert details_of(two) == details_of(alone)
    assert fake.methods == ["GetAvailability", "Lookup"]


@BOTH_WAYS
async def test_an_error_of_the_whole_batch_is_everybodys(*, lookup: bool) -> None:
    """Each has an error of its own to raise, with the details."""
    fake = FakeCache(lookup=lookup)

    async def refuse(_request: Any, _context: Any) -> Any:
        raise FailedPrecondition("NOT_TODAY", "closed")

    fake.batch = refuse  # type: ignore[method-assign]
    async with client_of(fake) as client:
        errors = await asyncio.gather(
            *(client.get_availability(ask(n)) for n in (1, 2)), return_exceptions=True
        )
    assert errors[0] is not errors[1]
    for error in errors:
        assert isinstance(error, grpc.aio.AioRpcError)
        assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert details_of(error)["ErrorInfo"].reason == "NOT_TODAY"  # type: ignore[attr-defined]


@BOTH_WAYS
async def test_answers_too_large_together_are_asked_for_apart(*, lookup: bool) -> None:
    """A batch must not fail where each of its reads alone would not."""
    fake = FakeCache(lookup=lookup)
    whole = fake.batch

    async def at_most_two(request: Any, context: Any) -> Any:
        reply = await whole(request, context)
        if len(request.reads) > 2:
            raise AnswerTooLarge
        return reply

    fake.batch = at_most_two  # type: ignore[method-assign]
    async with client_of(fake) as client:
        answers = await asyncio.gather(*(client.get_availability(ask(n)) for n in range(1, 8)))
    assert [barber(answer) for answer in answers] == list(range(1, 8))


@BOTH_WAYS
async def test_a_caller_that_goes_away_cancels_nothing_of_the_others(*, lookup: bool) -> None:
    """The batch goes on; the one that left gets nothing."""
    fake = FakeCache(lookup=lookup)
    fake.gate.clear()
    async with client_of(fake) as client:
        first, second = (asyncio.create_task(client.get_availability(ask(n))) for n in (1, 2))
        await eventually(lambda: _called(fake))
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        fake.gate.set()
        assert barber(await second) == 2
    assert fake.ends == []


async def test_the_only_caller_that_goes_away_takes_its_call_along() -> None:
    """Nobody waits for the answer of a single read any more."""
    fake = FakeCache()
    fake.gate.clear()
    async with client_of(fake) as client:
        alone = asyncio.create_task(client.get_availability(ask()))
        await eventually(lambda: _called(fake))
        alone.cancel()

        async def ended() -> bool:
            return fake.ends == ["cancelled"]

        await eventually(ended)


async def test_one_cancelled_before_the_tick_ends_is_not_asked_for() -> None:
    """The others go without it."""
    fake = FakeCache()
    async with client_of(fake) as client:
        calls = [asyncio.ensure_future(client.get_availability(ask(n))) for n in (1, 2)]
        asyncio.get_running_loop().call_soon(calls[0].cancel)
        assert barber(await calls[1]) == 2
    assert fake.methods == ["GetAvailability"]


@BOTH_WAYS
async def test_each_caller_has_its_own_deadline(*, lookup: bool) -> None:
    """The batch has the longest, and the shorter one ends by itself."""
    fake = FakeCache(lookup=lookup)
    fake.gate.clear()
    async with client_of(fake) as client:
        short = asyncio.create_task(client.get_availability(ask(1), 0.05))
        long = asyncio.create_task(client.get_availability(ask(2), 5.0))
        error = await failing(short)
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert not long.done()
        fake.gate.set()
        assert barber(await long) == 2
    assert fake.methods == ["Lookup" if lookup else "BatchGet"]
    assert fake.seconds[0] is not None
    assert 4 < fake.seconds[0] < 5.1, "clocks of two parties"


async def test_every_call_has_a_deadline() -> None:
    """The client's own, unless one is given; the service is told."""
    fake = FakeCache()
    async with client_of(fake, timeout=3.0) as client:
        await client.get_availability(ask())
        await client.get_availability(ask(), 1.0)
        await client.invalidate(pb.InvalidateRequest())
    assert [round(seconds or 0) for seconds in fake.seconds] == [3, 1, 3]


@BOTH_WAYS
async def test_closing_fails_what_is_under_way_and_leaves_nothing_behind(*, lookup: bool) -> None:
    """Nobody waits for ever, no task stays, and a closed client answers nothing."""
    fake = FakeCache(lookup=lookup)
    fake.gate.clear()
    before = asyncio.all_tasks()
    async with client_of(fake) as client:
        calls = [asyncio.create_task(client.get_availability(ask(n))) for n in (1, 2)]
        await eventually(lambda: _called(fake))
        await client.close()
        for call in calls:
            assert (await failing(call)).code() is grpc.StatusCode.CANCELLED
        late = await failing(client.get_availability(ask(3)))
        assert late.code() is grpc.StatusCode.CANCELLED

    async def nothing_left() -> bool:
        return asyncio.all_tasks() <= before

    await eventually(nothing_left)


async def _called(fake: FakeCache) -> bool:
    return bool(fake.calls)
