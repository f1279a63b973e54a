"""A near hit is awaited as any read is: alone, with others, in a task, with a timeout."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from cache_service.client.answered import Answered

ANSWER = object()


async def _task(one: Answered) -> Any:
    return await asyncio.create_task(one)


async def _group(one: Answered) -> Any:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(one)
    return task.result()


async def _gathered(one: Answered) -> Any:
    first, second = await asyncio.gather(one, one)
    assert first is second
    return first


async def _first_done(one: Answered) -> Any:
    done, _ = await asyncio.wait((asyncio.create_task(one), asyncio.create_task(one)))
    return {task.result() for task in done}.pop()


async def _ensured(one: Answered) -> Any:
    task = asyncio.ensure_future(one)
    task.set_name("a task of our own, though it is done")
    done, _ = await asyncio.wait([task])
    return done.pop().result()


async def _within(one: Answered) -> Any:
    async with asyncio.timeout(1):
        return await asyncio.wait_for(one, 1)


async def _other_thread(one: Answered) -> Any:
    loop = asyncio.get_running_loop()
    asked = asyncio.run_coroutine_threadsafe(one, loop)
    return await asyncio.to_thread(asked.result)


@pytest.mark.parametrize(
    "way", [_task, _group, _gathered, _first_done, _ensured, _within, _other_thread]
)
async def test_every_way_to_await_a_coroutine_gives_the_answer(
    way: Callable[[Answered], Coroutine[Any, Any, Any]],
) -> None:
    """More than once, too, since it may have been given to many."""
    one = Answered(ANSWER)
    for _ in range(2):
        assert await way(one) is ANSWER
        assert await one is ANSWER


async def test_a_task_of_it_can_be_cancelled_before_it_began() -> None:
    """Which takes the answer from nobody else."""
    one = Answered(ANSWER)
    task = asyncio.create_task(one)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not one.cancel()
    assert await one is ANSWER


async def test_closed_it_still_answers() -> None:
    """Whoever closes a coroutine that nobody awaited takes it from nobody else."""
    one = Answered(ANSWER)
    one.close()
    assert await one is ANSWER
