"""A stream of requests answered on a stream: several at once, and never more than that."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest

from service_kit.errors import InvalidArgument, Unavailable
from service_kit.exchange import exchange


class _Caller:
    """Sends numbers; each is answered when it is told."""

    def __init__(self, count: int, fault: Exception | None = None) -> None:
        self.read: list[int] = []
        self.begun: list[int] = []
        self.go_on = [asyncio.Event() for _ in range(count)]
        self.draining = asyncio.Event()
        self.cancelled = 0
        self.open = False
        self._fault = fault

    async def requests(self) -> AsyncIterator[int]:
        for number in range(len(self.go_on)):
            self.read.append(number)
            yield number
        if self._fault is not None:
            raise self._fault
        while self.open:
            await asyncio.Event().wait()

    async def answer(self, number: int) -> int:
        self.begun.append(number)
        try:
            await self.go_on[number].wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if number == 13:
            raise InvalidArgument([])
        return number

    def exchange(self, at_once: int = 3) -> AsyncIterator[int]:
        return exchange(self.requests(), self.answer, at_once=at_once, draining=self.draining)


async def _settle() -> None:
    for _ in range(30):
        await asyncio.sleep(0)


async def test_answers_come_as_they_are_done() -> None:
    """In their own order, each once, and then it ends."""
    caller = _Caller(3)
    answers = caller.exchange()
    taken = []
    for number in (1, 2, 0):
        caller.go_on[number].set()
        taken.append(await anext(answers))
    assert taken == [1, 2, 0]
    with pytest.raises(StopAsyncIteration):
        await anext(answers)


async def test_no_more_is_read_while_so_many_are_under_way_or_not_taken() -> None:
    """The fourth is read once an answer was taken, not once it is done."""
    caller = _Caller(6)
    answers = caller.exchange()
    for event in caller.go_on:
        event.set()
    first = asyncio.ensure_future(anext(answers))
    await _settle()
    assert await first == 0
    await _settle()
    assert caller.begun == [0, 1, 2]
    assert await anext(answers) == 1
    await _settle()
    assert caller.begun == [0, 1, 2, 3]
    assert [number async for number in answers] == [2, 3, 4, 5]


async def test_an_answer_that_is_there_needs_no_task() -> None:
    """It comes at once, before those that take their time, and takes one of the places too."""
    begun: list[int] = []
    go_on = asyncio.Event()
    before = asyncio.all_tasks()

    async def slowly(number: int) -> int:
        await go_on.wait()
        return number

    def answer(number: int) -> int | Coroutine[Any, Any, int]:
        begun.append(number)
        return slowly(number) if number == 0 else number

    caller = _Caller(6)
    answers = exchange(caller.requests(), answer, at_once=3, draining=caller.draining)
    assert [await anext(answers), await anext(answers)] == [1, 2]
    await _settle()
    assert begun == [0, 1, 2, 3]
    assert len(asyncio.all_tasks() - before) == 4, "three of its own, and one for the slow answer"
    go_on.set()
    assert sorted([number async for number in answers]) == [0, 3, 4, 5]


async def test_the_drain_ends_it_behind_what_is_under_way() -> None:
    """What is done by then is answered, nothing more is read, and the reason is DRAINING."""
    caller = _Caller(2)
    caller.open = True
    answers = caller.exchange()
    first = asyncio.ensure_future(anext(answers))
    await _settle()
    caller.draining.set()
    await _settle()
    assert not first.done()
    caller.go_on[1].set()
    assert await first == 1
    caller.go_on[0].set()
    assert await anext(answers) == 0
    with pytest.raises(Unavailable) as caught:
        await anext(answers)
    assert caught.value.reason == "DRAINING"


async def test_a_fault_of_the_requests_comes_behind_the_answers() -> None:
    """One that cannot be read ends the exchange, but not what was asked before."""
    caller = _Caller(2, InvalidArgument([]))
    caller.go_on[0].set()
    caller.go_on[1].set()
    answers = caller.exchange()
    assert [await anext(answers), await anext(answers)] == [0, 1]
    with pytest.raises(InvalidArgument):
        await anext(answers)


@pytest.mark.parametrize("how", ["closed", "cancelled", "failed"])
async def test_it_leaves_no_task(how: str) -> None:
    """Closed by its caller, cancelled with it, or failed in an answer."""
    before = asyncio.all_tasks()
    caller = _Caller(20)
    answers = caller.exchange(at_once=20)
    reading = asyncio.ensure_future(anext(answers))
    await _settle()
    assert len(asyncio.all_tasks() - before) > 20
    if how == "cancelled":
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
    elif how == "failed":
        caller.go_on[13].set()
        with pytest.raises(InvalidArgument):
            await reading
    else:
        caller.go_on[0].set()
        assert await reading == 0
        await answers.aclose()  # type: ignore[attr-defined]
    assert asyncio.all_tasks() <= before
    assert caller.cancelled == {"closed": 19, "cancelled": 20, "failed": 19}[how]
