"""The world of one history: servers, processes, and those who read and write."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import NamedTuple

from cache_service.coherence.authority import AuthorityUnavailableError, Standing, bound
from cache_service.coherence.consistency import Consistency
from cache_service.coherence.invalidator import RulesOutdatedError
from cache_service.coherence.load_gate import LoadsExhaustedError
from cache_service.coherence.ports import Read
from tests.model.clockwork import Loop, World
from tests.model.judge import Judge
from tests.model.postgres import NEWEST, Database
from tests.model.primary import DatabaseAwayError
from tests.model.process import Process, Telling
from tests.model.rules import Rules
from tests.model.valkey import Cluster

__all__ = ["READS", "TAGS", "Change", "Scene"]

_RELAYS = 2
TAGS = ("day:1", "day:2", "hours")


def _read(name: str, *tags: str, ttl: float = 60.0) -> Read:
    return Read("model", name, ("organization", *tags), ttl)


READS = (
    _read("one", "day:1", "hours"),
    _read("two", "day:2", "hours", ttl=0.5),
    _read("both", "day:1", "day:2"),
)


class Change(NamedTuple):
    """A committed transaction."""

    xid: int
    tags: tuple[str, ...]


class Scene:
    """All of one history. `on_acknowledged` is called with each change acknowledged.

    With `steady`, every leg of a message takes so many seconds and all clocks run alike.
    """

    def __init__(
        self,
        seed: int,
        rules: Rules,
        *,
        told: bool = False,
        processes: int = 3,
        steady: float | None = None,
    ) -> None:
        self.random = Random(seed)  # noqa: S311 - repeatable on purpose
        self.rules = rules
        self.counts: Counter[str] = Counter()
        self.lines: list[str] | None = [] if told else None
        self.stale: list[str] = []
        self._acknowledged: set[int] = set()
        self.unwell: list[str] = []
        self.telling = Telling(self.counts, self.log, self.unwell.append)
        self.world = World(self.random)
        self.world.steady = steady
        self.database = Database(self.world, ("organization", *TAGS))
        self.cluster = Cluster(self.world, rules.server)
        self.database.store = bound(self.cluster.identity(), self.database.name)
        self.judge = Judge(self.database)
        self.booking = Loop(self.world, 1.0, self.telling.complain)
        self.on_acknowledged: Callable[[Change], None] = lambda _change: None
        self.processes = [self._process(place, 1) for place in range(processes)]
        self._lives = [1] * processes

    def log(self, text: str) -> None:
        """Write a line of the history, if anybody wants to read it."""
        if self.lines is not None:
            self.lines.append(f"{self.world.now:8.4f} {text}")

    def later(self, after: float, what: Callable[[], object]) -> None:
        """Do something so many seconds from now."""
        self.world.at(self.world.now + after, what)

    def restart(self, place: int, rules_version: int = NEWEST) -> None:
        """Start a process anew in the place of a dead one."""
        self.replace(place, rules_version)
        self.start(place)

    def replace(self, place: int, rules_version: int = NEWEST) -> Process:
        """Put another process, which has not started, in the place of one."""
        self._lives[place] += 1
        self.processes[place] = self._process(place, self._lives[place], rules_version)
        return self.processes[place]

    def start(self, place: int) -> None:
        """Start a process; the last one has no relay, which is enough work for two."""
        self.processes[place].start(relays=place < _RELAYS)

    def commit(self, *tags: str) -> Change:
        """Change facts in one transaction, at this moment."""
        return self.end(Change(self.database.begin(), tags))

    def end(self, change: Change) -> Change:
        """Commit a transaction that has begun."""
        self.database.commit(change.xid, change.tags)
        if self.lines is not None:
            versions = [f"{tag}={self.database.versions[tag]}" for tag in change.tags]
            self.log(f"transaction {change.xid} commits {', '.join(versions)}")
        return change

    async def invalidate(self, process: Process, change: Change) -> Standing | None:
        """Invalidate through a process, within it; None if it could not."""
        self.log(f"{process.name}: invalidates {change.xid}")
        try:
            standing = await process.invalidate(change.tags)
        except (AuthorityUnavailableError, RulesOutdatedError):
            self.counts["not applied"] += 1
            return None
        self.acknowledge(process, change)
        return standing

    def acknowledge(self, process: Process, change: Change) -> None:
        """Let the change be acknowledged from this moment on."""
        self.log(f"{process.name}: acknowledges {change.xid}")
        self.counts["acknowledged"] += 1
        self._acknowledged.add(change.xid)
        self.judge.acknowledge(self.database.changed_by(change.xid))
        self.on_acknowledged(change)

    def is_acknowledged(self, change: Change) -> bool:
        """Tell whether a change is acknowledged."""
        return change.xid in self._acknowledged

    def read(
        self,
        process: Process,
        reads: Sequence[Read],
        consistency: Consistency = Consistency.DEFAULT,
        *,
        short: bool = False,
        after: float = 0.0,
        patience: float | None = None,
    ) -> None:
        """Let a process read and be judged. After `patience` seconds the caller goes away."""
        work = partial(self.judged, process, reads, consistency, short=short)
        if patience is None:
            process.do(work, after)
        else:
            self.world.within(
                process.loop, self.world.now + after, self._impatient, process, work, patience
            )

    async def judged(
        self,
        process: Process,
        reads: Sequence[Read],
        consistency: Consistency = Consistency.DEFAULT,
        *,
        short: bool = False,
    ) -> None:
        """Read within a process, and judge the answers."""
        demand = self.judge.demand(reads, consistency, self.world.now)
        self.counts["reads"] += 1
        try:
            answers = await process.answer(reads, consistency, short=short)
        except (DatabaseAwayError, LoadsExhaustedError) as error:
            self.counts[type(error).__name__] += 1
            return
        if self.lines is not None:
            told = [
                f"{read.key}={answer.payload.decode()} {answer.outcome.value}"
                for read, answer in zip(reads, answers, strict=True)
            ]
            self.log(f"{process.name}: reads since {demand.started_at:.4f} {'; '.join(told)}")
        for wrong in self.judge.violations(reads, answers, demand):
            self.stale.append(f"{process.name}: {wrong}")
            self.log(f"{process.name}: WRONG {wrong}")

    @staticmethod
    def _impatient(
        process: Process,
        work: Callable[[], asyncio.Future[None]],
        patience: float,
    ) -> None:
        task = process.begin(work)  # type: ignore[arg-type]
        process.loop.call_later(patience, task.cancel)

    def _process(self, place: int, life: int, rules_version: int = NEWEST) -> Process:
        name = f"{'ABC'[place]}{life}"
        parts = self.world, self.database, self.cluster, self.rules, self.telling
        return Process(*parts, name, rules_version)
