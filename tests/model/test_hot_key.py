"""A key that changes faster than it can be loaded, in virtual time: what its readers wait."""

import asyncio
from collections.abc import Sequence
from functools import partial

from cache_service.coherence.consistency import Consistency
from cache_service.coherence.ports import Loaded, Read
from tests.model.process import Process
from tests.model.rules import Rules
from tests.model.scene import Scene
from tests.model.staging import LEG, ONE, apply, begin, run

LOAD_SECONDS = 0.15
CHANGES = 30
PERIOD = 0.1
"""Seconds between changes: every load is overtaken by one at least."""
READERS = 10
"""In each period, at each of two processes."""
AROUND = 20 * LEG
"""Seconds for all that a read does besides its loads."""


def _slow_down(process: Process, loads: list[float]) -> None:
    """Let each load of a process take its time after its snapshot."""
    quick = process.primary.load

    async def slow(reads: Sequence[Read]) -> Loaded:
        loads.append(process.world.now)
        loaded = await quick(reads)
        await asyncio.sleep(LOAD_SECONDS)
        return loaded

    process.primary.load = slow  # type: ignore[method-assign]


async def _read(scene: Scene, process: Process, waited: list[float]) -> None:
    began = scene.world.now
    await scene.judged(process, [ONE])
    waited.append(scene.world.now - began)


async def _read_until_stored(scene: Scene, process: Process, waited: list[float]) -> None:
    """Do what is not done: be content with nothing but a hit."""
    began = scene.world.now
    while True:
        (answer,) = await process.answer([ONE], Consistency.DEFAULT, short=False)
        if answer.outcome.cached:
            break
    waited.append(scene.world.now - began)


def _hot(reader: object) -> tuple[Scene, list[float], list[float]]:
    """Change all the time and read by `reader`; return also what each waited, and the loads."""
    scene = Scene(0, Rules(), steady=LEG)
    one, other, _ = scene.processes
    begin(scene, one, other)
    waited, loads = list[float](), list[float]()
    for process in (one, other):
        _slow_down(process, loads)
    for _ in range(CHANGES):
        apply(scene, one, "day:1")
        for _ in range(READERS):
            for process in (one, other):
                process.do(partial(reader, scene, process, waited))  # type: ignore[arg-type]
            run(scene, PERIOD / READERS)
    run(scene, 4 * LOAD_SECONDS)
    return scene, waited, loads


def test_no_reader_of_a_hot_key_waits_for_more_than_two_loads() -> None:
    """All are answered, fresh, within two loads; and the database is not asked by each."""
    scene, waited, loads = _hot(_read)
    assert len(waited) == 2 * READERS * CHANGES
    assert scene.stale == []
    # It bites: many a reader waits for a load of another, in vain, and then for its own.
    assert LOAD_SECONDS * 1.5 < max(waited) <= 2 * LOAD_SECONDS + AROUND
    assert CHANGES <= len(loads) <= 2 * CHANGES + 2


def test_who_waits_until_the_answer_is_stored_waits_longer() -> None:
    """The control: with loads slower than changes nothing is ever stored."""
    _, waited, _ = _hot(_read_until_stored)
    assert max(waited) > 3 * LOAD_SECONDS
