"""The booking service: it commits, invalidates through some process, and acknowledges."""

from __future__ import annotations

import asyncio

from cache_service.coherence.authority import Standing
from cache_service.coherence.consistency import Consistency
from cache_service.coherence.snapshots import Snapshot
from cache_service.coherence.tokens import Token
from tests.model.process import Process
from tests.model.scene import READS, TAGS, Change, Scene

__all__ = ["Writers"]

_DYING = 0.12
_ASKING = 0.3
_TRIES = 3


class Writers:
    """Writers and the readers that they wake, for `seconds`."""

    def __init__(self, scene: Scene, *, writers: int, mean_pause: float, seconds: float) -> None:
        self._scene = scene
        self._pause = mean_pause
        self._end = seconds
        self._tasks: list[asyncio.Task[None]] = []
        scene.on_acknowledged = self._wake
        for _ in range(writers):
            scene.world.within(scene.booking, 0.0, self._start)

    def _start(self) -> None:
        self._tasks.append(self._scene.booking.create_task(self._write()))

    async def _write(self) -> None:
        scene, random = self._scene, self._scene.random
        while True:
            await asyncio.sleep(random.expovariate(1 / self._pause))
            if scene.world.now > self._end:
                return
            await self._change()

    async def _change(self) -> None:
        scene, random = self._scene, self._scene.random
        tags = tuple(random.sample(TAGS, random.choice((1, 1, 2))))
        if random.random() < 0.05:
            tags = ("organization",)
        change = Change(scene.database.begin(), tags)
        await asyncio.sleep(scene.world.latency() * random.choice((1, 1, 5)))
        while scene.database.held:  # noqa: ASYNC110 - nothing is slept in virtual time
            await asyncio.sleep(0.05)
        scene.end(change)
        if random.random() < _DYING:
            scene.counts["writers died"] += 1
            scene.log(f"the writer of {change.xid} dies")
            return
        await asyncio.sleep(scene.world.latency())
        for _ in range(_TRIES):
            process = random.choice(scene.processes)
            standing = await self._invalidated(process, change)
            if standing is not None:
                if random.random() < _ASKING:
                    snapshot = Snapshot.parse(standing.snapshot)
                    self._read_with_token(Token(standing.database, snapshot=snapshot))
                await asyncio.sleep(scene.world.latency())
                scene.database.forget([change.xid])
                return
            self._read_with_token(Token(scene.database.name, xid=change.xid, applied=False))

    async def _invalidated(self, process: Process, change: Change) -> Standing | None:
        """Call Invalidate, for a while; the process hears that the caller went away."""
        scene, random = self._scene, self._scene.random
        answered: asyncio.Future[Standing | None] = scene.booking.create_future()
        started: list[asyncio.Task[Standing | None]] = []

        def start() -> None:
            task = process.begin(lambda: scene.invalidate(process, change))
            task.add_done_callback(finish)
            started.append(task)

        def finish(task: asyncio.Task[Standing | None]) -> None:
            result = None if task.cancelled() else task.result()
            when = scene.world.now + scene.world.latency()
            scene.world.within(scene.booking, when, arrive, result)

        def arrive(result: Standing | None) -> None:
            if not answered.done():
                answered.set_result(result)

        def cancel() -> None:
            for task in started:
                task.cancel()

        scene.world.within(process.loop, scene.world.now + scene.world.latency(), start)
        patience = random.choice((0.1, 1.0, 3.0, 5.0))
        done, _ = await asyncio.wait({answered}, timeout=patience)
        if done:
            return answered.result()
        scene.counts["invalidations left"] += 1
        scene.world.within(process.loop, scene.world.now + scene.world.latency(), cancel)
        return None

    def _read_with_token(self, token: Token) -> None:
        scene, random = self._scene, self._scene.random
        process, read = random.choice(scene.processes), random.choice(READS)
        if process.running:
            scene.counts["reads with tokens"] += 1
            scene.read(process, [read], Consistency(token=token))

    def _wake(self, change: Change) -> None:
        """Read what changed, in the very moment and soon after, at every process that runs."""
        scene, random = self._scene, self._scene.random
        touched = [read for read in READS if set(read.tags) & set(change.tags)]
        for process in scene.processes:
            if process.running:
                read = random.choice(touched)
                after = random.choice((0.0, 0.0, 0.0001, 0.001, 0.01))
                scene.counts["reads at an acknowledgement"] += 1
                scene.read(process, [read], short=random.random() < 0.5, after=after)
