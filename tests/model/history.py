"""One history: its seed decides everything."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import partial

from cache_service.coherence.consistency import Consistency
from tests.model.mischief import Mischief
from tests.model.process import Process
from tests.model.rules import Rules
from tests.model.scene import READS, Scene
from tests.model.writers import Writers

__all__ = ["History", "run"]

_FAULTY = 2.2
"""Seconds in which things go wrong."""
_HEALING = 1.3
"""Seconds after that in which is read what nobody acknowledged."""
_SETTLING = 5.0
"""Seconds after which all must be well: reconnecting, a fence, leases, turning on again."""
_LAST_LINES = 60


@dataclass
class History:
    """What came of one seed, or of many added up."""

    seeds: int = 0
    stale: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    lines: list[str] = field(default_factory=list)

    def add(self, other: History) -> None:
        """Add another history up."""
        self.seeds += other.seeds
        self.stale += other.stale
        self.violations += other.violations
        self.counts += other.counts

    def told(self) -> str:
        """Return the history's last lines and what was wrong in it."""
        return "\n".join([*self.lines[-_LAST_LINES:], *self.violations])


def run(seed: int, rules: Rules = Rules(), *, told: bool = False) -> History:  # noqa: B008 - frozen
    """Run the history of a seed; with `told` its events are written down."""
    scene = Scene(seed, rules, told=told)
    random = scene.random
    for place in range(len(scene.processes)):
        scene.start(place)
    Writers(scene, writers=2, mean_pause=random.choice((0.15, 0.4)), seconds=_FAULTY + 0.3)
    Mischief(scene, mean_pause=random.choice((0.2, 0.5, 1.0, 2.0)), seconds=_FAULTY)
    _Readers(scene, mean_pause=random.choice((0.08, 0.16)), seconds=_FAULTY + _HEALING)
    scene.world.run(_FAULTY + _HEALING)
    _after_all(scene)
    scene.counts["fences"] = scene.telling.fences
    scene.counts["expulsions"] = scene.telling.expulsions
    scene.counts["steps"] = scene.world.steps
    return History(
        seeds=1,
        stale=[f"seed {seed}: {wrong}" for wrong in scene.stale],
        violations=[f"seed {seed}: {wrong}" for wrong in (*scene.stale, *scene.unwell)],
        counts=scene.counts,
        lines=scene.lines or [],
    )


class _Readers:
    """Readers in open loop: they come whether or not the ones before were answered."""

    def __init__(self, scene: Scene, *, mean_pause: float, seconds: float) -> None:
        self._scene = scene
        self._random = scene.random
        self._pause = mean_pause
        self._end = seconds
        self._next()

    def _next(self) -> None:
        if self._scene.world.now < self._end:
            self._scene.later(self._random.expovariate(1 / self._pause), self._read)

    def _read(self) -> None:
        scene, random = self._scene, self._random
        process = random.choice(scene.processes)
        if not process.loop.dead:
            reads = random.sample(READS, random.choice((1, 1, 1, 2, 3)))
            lot = random.random()
            consistency = Consistency.DEFAULT
            if lot < 0.03:
                consistency = Consistency.FULL
            elif lot < 0.1:
                consistency = Consistency(max_staleness=random.choice((0.1, 0.5, 3.0)))
            patience = 0.002 if random.random() < 0.03 else None
            short = random.random() < 0.5
            scene.read(process, reads, consistency, short=short, patience=patience)
        self._next()


def _after_all(scene: Scene) -> None:
    """Whatever happened: nothing is left in the outbox, and every process serves hits again."""
    while not _well(scene):
        if scene.world.now > _FAULTY + _SETTLING:
            scene.unwell.append(f"not well after all: outbox {sorted(scene.database.outbox)}")
            return
        scene.world.run(scene.world.now + 0.05)
    # A change that is still being applied may cost another miss, and the load lock of one that
    # died keeps who would load waiting for its lease.
    missing = {process.name for process in scene.processes}
    for _ in range(40):
        hits: set[str] = set()
        for process in scene.processes:
            process.do(partial(_hit, process, hits))
        scene.world.run(scene.world.now + 0.1)
        missing -= hits
        if not missing:
            return
    scene.unwell.append(f"no hits after all: {sorted(missing)}")


def _well(scene: Scene) -> bool:
    return not scene.database.outbox and all(process.lease.era() for process in scene.processes)


async def _hit(process: Process, hits: set[str]) -> None:
    answers = await process.answer(READS, Consistency.DEFAULT, short=False)
    if all(answer.outcome.cached for answer in answers):
        hits.add(process.name)
