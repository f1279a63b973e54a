"""Telling the cache: before the answer, never at the mutation's expense, never lost."""

import asyncio
import json
from itertools import count

import asyncpg
import grpc
import pytest

from tests.integration.booking.house import HOUR, MONDAY, Shop, request_id
from tests.support.failures import failure
from tests.support.waiting import eventually, in_time

TEN = MONDAY + 2 * HOUR


async def test_events_are_sent_before_the_answer(shop: Shop) -> None:
    """The answer waits until the cache has taken the committed change's own event."""
    let, asked = asyncio.Event(), asyncio.Event()

    async def wait() -> bool:
        asked.set()
        await let.wait()
        return True

    shop.house.cache.answer = wait
    call = asyncio.ensure_future(shop.house.stub.CreateAppointment(shop.request(TEN)))
    await asked.wait()
    # Committed, and told, but not answered yet.
    assert len(await shop.house.sql("SELECT 1 FROM appointments")) == 1
    assert not call.done()
    let.set()
    response = await call
    assert response.cache_applied
    (events,) = shop.house.cache.told
    (event,) = map(json.loads, events)
    assert event["appointment"]["new"]["barber_id"] in {shop.barbers[0], str(shop.barbers[0])}
    assert len(shop.house.cache.acknowledged) == 1


async def test_a_failed_mutation_tells_nothing(shop: Shop) -> None:
    """What was rolled back is not told."""
    await failure(shop.house.stub.CreateAppointment(shop.request(MONDAY)))
    assert shop.house.cache.told == []


@pytest.mark.parametrize("how", ["refuses", "raises", "hangs"])
async def test_a_dead_cache_does_not_fail_a_mutation(shop: Shop, how: str) -> None:
    """Whatever the cache does, the booking succeeds, says so, and leaves its event."""

    async def answer() -> bool:
        if how == "raises":
            raise RuntimeError(how)
        if how == "hangs":
            await end.wait()
        return False

    end = asyncio.Event()
    shop.house.cache.answer = answer
    response = await shop.house.stub.CreateAppointment(shop.request(TEN), timeout=5)
    assert response.appointment.appointment_id
    assert not response.cache_applied
    assert response.token
    assert shop.house.cache.acknowledged == []
    assert await shop.house.sql("SELECT 1 FROM outbox")
    end.set()


async def test_an_answer_comes_within_the_deadline(shop: Shop) -> None:
    """Who cannot wait as long as the cache takes is answered in time; the telling goes on."""

    async def wait() -> bool:
        await end.wait()
        return True

    end = asyncio.Event()
    shop.house.cache.answer = wait
    hours = (TEN + number * HOUR for number in count())
    response = await in_time(
        lambda: shop.house.stub.CreateAppointment(shop.request(next(hours)), timeout=0.5)
    )
    assert not response.cache_applied
    assert shop.house.cache.acknowledged == []  # the control: nothing was applied yet
    end.set()
    await shop.house.mutations.drain(5.0)
    made = await shop.house.sql("SELECT 1 FROM appointments")
    assert len(shop.house.cache.acknowledged) == len(made) >= 1


async def test_tokens_of_applied_and_unapplied_changes_differ(shop: Shop) -> None:
    """A repeat after the cache is back says that the change is applied now."""

    async def refuse() -> bool:
        return False

    request = shop.request(TEN, request_id=request_id())
    shop.house.cache.answer = refuse
    first = await shop.house.stub.CreateAppointment(request)
    shop.house.cache.answer = shop.house.cache.applied
    second = await shop.house.stub.CreateAppointment(request)
    assert (first.cache_applied, second.cache_applied) == (False, True)
    assert first.token != second.token
    assert first.appointment == second.appointment


async def test_a_caller_that_leaves_after_the_commit_loses_no_invalidation(shop: Shop) -> None:
    """A cancel while the cache is asked does not take the question back."""
    let, asked = asyncio.Event(), asyncio.Event()

    async def wait() -> bool:
        asked.set()
        await let.wait()
        return True

    shop.house.cache.answer = wait
    call = shop.house.stub.CreateAppointment(shop.request(TEN))
    task = asyncio.ensure_future(_quietly(call))
    await asked.wait()
    call.cancel()
    await task
    let.set()
    await shop.house.mutations.drain(5.0)
    assert len(shop.house.cache.acknowledged) == 1


async def test_a_caller_that_leaves_before_the_commit_changes_nothing(shop: Shop) -> None:
    """A cancel while the booking waits for its turn undoes it, and frees the barber."""
    waits = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"

    async def waiting() -> bool:
        return bool(await gate.fetchval(waits))

    async def left() -> bool:
        return not await waiting()

    gate = await asyncpg.connect(shop.house.database.url)
    try:
        await gate.fetchval("SELECT pg_advisory_lock((1::bigint << 62) | $1)", shop.barbers[0])
        call = shop.house.stub.CreateAppointment(shop.request(TEN))
        task = asyncio.ensure_future(_quietly(call))
        await eventually(waiting)
        call.cancel()
        await task
        await eventually(left, seconds=2)  # long before its statement would be ended anyway
    finally:
        await gate.close()
    await shop.house.mutations.drain(5.0)
    assert await shop.house.sql("SELECT 1 FROM appointments") == []
    assert shop.house.cache.told == []
    assert await shop.book(TEN)


async def _quietly(call: grpc.aio.UnaryUnaryCall) -> None:
    try:
        await call
    except asyncio.CancelledError:
        assert call.cancelled()
