"""How many loads run at once, whose turn it is, and who is refused."""

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from random import Random
from typing import Any

import pytest

from cache_service.coherence.load_gate import LoadGate, LoadsExhaustedError
from cache_service.coherence.waiting import Until
from tests.model.clockwork import Loop, World


class Loads:
    """Loads that run until they are told to end; `begun` has organizations in order."""

    def __init__(self, gate: LoadGate) -> None:
        self.gate = gate
        self.begun: list[int] = []
        self.ends: list[asyncio.Event] = []
        self.most = 0

    def start(self, organization_id: int) -> asyncio.Task[None]:
        """Start one."""
        return asyncio.create_task(self._run(organization_id))

    async def _run(self, organization_id: int) -> None:
        async with self.gate.admit(organization_id):
            self.begun.append(organization_id)
            self.most = max(self.most, self.gate.running)
            end = asyncio.Event()
            self.ends.append(end)
            await end.wait()

    async def settle(self) -> None:
        """Let everything happen that can."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def end_all(self) -> None:
        """End what runs until nothing does."""
        await self.settle()
        while self.ends:
            self.ends.pop(0).set()
            await self.settle()


def _gate(limit: int = 4, share: int = 3, queue: int = 100, patience: float = 60.0) -> LoadGate:
    return LoadGate(limit, share=share, queue=queue, patience=patience)


async def test_no_more_run_than_may_and_all_get_their_turn() -> None:
    """A hundred loads of ten organizations: never more than four at once, none forgotten."""
    loads = Loads(_gate())
    tasks = [loads.start(n % 10) for n in range(100)]
    await loads.end_all()
    await asyncio.gather(*tasks)
    assert loads.most == 4
    assert len(loads.begun) == 100
    assert (loads.gate.running, loads.gate.waiting) == (0, 0)


async def test_one_organization_leaves_room_for_the_others() -> None:
    """Another's load begins at once however many one organization asks for."""
    loads = Loads(_gate())
    tasks = [loads.start(1) for _ in range(50)]
    await loads.settle()
    assert loads.begun == [1, 1, 1]
    tasks.append(loads.start(2))
    await loads.settle()
    assert loads.begun == [1, 1, 1, 2]
    await loads.end_all()
    await asyncio.gather(*tasks)


async def test_those_who_wait_take_turns() -> None:
    """Of two organizations that wait, each is admitted in turn, not first come first served."""
    loads = Loads(_gate(limit=1, share=1))
    tasks = [loads.start(one) for one in (1, 1, 1, 1, 2, 2)]
    await loads.end_all()
    await asyncio.gather(*tasks)
    assert loads.begun[:5] in ([1, 1, 2, 1, 2], [1, 2, 1, 2, 1])


async def test_a_full_queue_refuses_at_once_and_only_that_organization() -> None:
    """What cannot wait hears of it without waiting."""
    loads = Loads(_gate(limit=2, share=1, queue=2))
    tasks = [loads.start(1) for _ in range(3)]
    await loads.settle()
    with pytest.raises(LoadsExhaustedError):
        await loads.start(1)
    tasks.append(loads.start(2))
    await loads.settle()
    assert loads.begun == [1, 2]
    await loads.end_all()
    await asyncio.gather(*tasks)


async def test_patience_ends() -> None:
    """A load that waits too long is refused, and its place in the queue is free again."""
    gate = _gate(limit=1, share=1, queue=1, patience=0.0)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(gate.admit(1))
        for _ in range(3):
            with pytest.raises(LoadsExhaustedError):
                await stack.enter_async_context(gate.admit(1))
    assert (gate.running, gate.waiting) == (0, 0)


def _in_virtual_time(work: Coroutine[Any, Any, None]) -> None:
    """Run it on a loop whose seconds take no time."""
    complaints: list[str] = []
    loop = Loop(World(Random(1)), 1.0, complaints.append)  # noqa: S311 - repeatable on purpose
    task: list[asyncio.Task[None]] = []
    loop.call_soon(lambda: task.append(loop.create_task(work)))
    loop.turn()
    loop.world.run(100.0)
    task[0].result()
    assert complaints == []


async def _load(gate: LoadGate, seconds: float, until: Until | None = None) -> float:
    """Load for so long; return when it began, on the loop's clock."""
    async with gate.admit(1, until):
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(seconds)
    return began


def _until(seconds: float) -> Until:
    return Until(asyncio.get_running_loop().time() + seconds)


def test_who_cannot_be_served_in_time_is_refused_at_once() -> None:
    """Where loads take a second, two at once, a fifth that has two seconds does not wait them."""

    async def work() -> None:
        gate, loop = _gate(limit=2, share=2), asyncio.get_running_loop()
        for _ in range(50):
            await _load(gate, 1.0)
        running = [loop.create_task(_load(gate, 1.0)) for _ in range(2 + 4)]
        await asyncio.sleep(0.001)
        assert (gate.running, gate.waiting) == (2, 4)
        now = loop.time()
        with pytest.raises(LoadsExhaustedError):
            await _load(gate, 1.0, _until(2.0))
        assert loop.time() == now
        # The control: one with more time is served in it.
        assert await _load(gate, 1.0, _until(3.5)) == pytest.approx(now + 3.0, abs=0.01)
        await asyncio.wait(running)

    _in_virtual_time(work())


def test_a_load_that_nobody_waits_for_any_more_is_dropped() -> None:
    """It leaves the queue when the last deadline is past, long before patience ends."""

    async def work() -> None:
        gate, loop = _gate(limit=1, share=1), asyncio.get_running_loop()
        running = loop.create_task(_load(gate, 10.0))
        await asyncio.sleep(0.001)
        now = loop.time()
        with pytest.raises(LoadsExhaustedError):
            await _load(gate, 1.0, _until(2.0))
        assert loop.time() == pytest.approx(now + 2.0)
        assert gate.waiting == 0
        await running

    _in_virtual_time(work())


def test_a_load_waits_for_the_latest_of_those_who_joined() -> None:
    """Somebody who joins while it waits, and has more time, keeps it in the queue."""

    async def work() -> None:
        gate, loop = _gate(limit=1, share=1), asyncio.get_running_loop()
        running = loop.create_task(_load(gate, 10.0))
        await asyncio.sleep(0.001)
        until = _until(2.0)
        joined = loop.create_task(_load(gate, 1.0, until))
        await asyncio.sleep(1.0)
        until.extend(_until(20.0))
        assert await joined == pytest.approx(await running + 10.0)

    _in_virtual_time(work())


async def test_a_cancelled_load_leaves_no_trace() -> None:
    """Cancelled while waiting or while running, in any order: all places come back."""
    loads = Loads(_gate(limit=2, share=2))
    tasks = [loads.start(n % 3) for n in range(30)]
    await loads.settle()
    for task in tasks[1::2]:
        task.cancel()
    await loads.end_all()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(isinstance(one, asyncio.CancelledError) for one in results) == 15
    assert (loads.gate.running, loads.gate.waiting) == (0, 0)


async def test_a_place_given_to_one_who_is_cancelled_in_that_moment_is_not_lost() -> None:
    """It goes on to the next: the cancelled one gives it back before it could use it."""
    loads = Loads(_gate(limit=1, share=1))
    end = asyncio.Event()

    async def run_and_cancel() -> None:
        async with loads.gate.admit(1):
            await end.wait()
        second.cancel()

    first = asyncio.create_task(run_and_cancel())
    await loads.settle()
    second, third = loads.start(1), loads.start(1)
    await loads.settle()
    end.set()
    await first
    await loads.end_all()
    await third
    assert second.cancelled()
    assert loads.begun == [1]
    assert loads.gate.running == 0
