"""One cache process: the real protocol, wired as in production, over simulated servers."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Sequence
from itertools import count
from typing import Any

from cache_service.coherence.authority import Standing
from cache_service.coherence.consistency import Consistency
from cache_service.coherence.expiry import Expiry
from cache_service.coherence.keeper import Happening
from cache_service.coherence.load_gate import LoadGate
from cache_service.coherence.outcome import Answer, Outcome
from cache_service.coherence.ports import Loaded, Read
from cache_service.coherence.question import Question
from tests.model.clockwork import Loop, World
from tests.model.postgres import NEWEST, Database
from tests.model.primary import Primary
from tests.model.rules import Rules
from tests.model.valkey import Cluster

__all__ = ["ORGANIZATION", "Process", "Telling"]

ORGANIZATION = 7
OLDER_LACK = {"hours"}
"""Tags that an older table of rules does not know."""
_MEMORY = 100_000


class Telling:
    """What processes tell of themselves: the observers of the protocol, and a history's log.

    `complain` is given what nobody handled.
    """

    def __init__(
        self, counts: Counter[str], log: Callable[[str], None], complain: Callable[[str], None]
    ) -> None:
        self.counts = counts
        self.log = log
        self.complain = complain
        self.fences = 0
        self.expulsions = 0

    def answered(self, _organization_id: int, _query: str, outcome: Outcome) -> None:
        """Count an answer."""
        self.counts[outcome.value] += 1

    def stored(self, _organization_id: int, _query: str, _size: int) -> None:
        """Count a stored entry."""
        self.counts["stored"] += 1

    def loaded(self, _query: str, _seconds: float) -> None:
        """Leave it to the outcomes."""

    def invalidated(self, _tags: int, _seconds: float) -> None:
        """Leave it to the history."""

    def load_failed(self, _organization_id: int, _query: str) -> None:
        """Count a failed load."""
        self.counts["load failed"] += 1


class Process:
    """A cache process, from its start to its end. `name` is its own for all its life.

    With a `rules_version` below that of `NEWEST` it runs an older program.
    """

    def __init__(  # noqa: PLR0917 - what a process is made of
        self,
        world: World,
        database: Database,
        cluster: Cluster,
        rules: Rules,
        telling: Telling,
        name: str,
        rules_version: int = NEWEST,
    ) -> None:
        self.world = world
        self.name = name
        self.lacks = set[str]() if rules_version == NEWEST else OLDER_LACK
        self.telling = telling
        # The fastest and the slowest differ by no more than the margin of 3 %.
        rate = (
            1.0
            if world.steady
            else 1 + world.random.choice((-1, 0, 1, world.random.uniform(-1, 1))) * 0.0147
        )
        self.loop = Loop(world, rate, lambda why: telling.complain(f"{name}: {why}"))
        loop, clock = self.loop, self.loop.time
        self.primary = Primary(world, loop, database)
        members = count(1)
        self.memory = rules.memory(_MEMORY, self._wall)
        self.lease = rules.lease(clock)
        self._forgets = rules.forgets_when_disconnected
        self.cache = rules.shared_cache(world, loop, cluster, name, self._changed)
        self.peers = rules.peers(self.memory, name, self.cache.acknowledge, asyncio.sleep)
        self.cache.peers = self.peers
        self.keeper = rules.keeper(
            authority=self.primary,
            server=self.cache,
            lease=self.lease,
            memory=self.memory,
            peers=self.peers,
            rules_version=rules_version,
            new_member=lambda: f"{name}/{next(members)}",
            tell=self._happened,
            clock=clock,
            sleep=asyncio.sleep,
        )
        self.invalidator = rules.invalidator(
            store=self.cache,
            authority=self.primary,
            lease=self.lease,
            peers=self.peers,
            observer=telling,
            rules_version=rules_version,
            clock=clock,
            sleep=asyncio.sleep,
        )
        gate = LoadGate(4, share=3, queue=20, patience=1.0)
        # Little is spared, so that expired entries, early refreshes and waits are common.
        expiry = Expiry(self._wall, world.random.random, kept_stale=5.0)
        self.filler = rules.filler(
            self.cache, self.memory, telling, gate, expiry, self.cache.pushes
        )
        self.reader = rules.reader(
            store=self.cache,
            memory=self.memory,
            lease=self.lease,
            observer=telling,
            filler=self.filler,
            expiry=expiry,
        )
        self.relay = rules.relay(self.primary, self.invalidate, self.begin, telling.counts)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._questions: dict[Read, Question] = {}

    @property
    def running(self) -> bool:
        """Whether it is neither dead nor stopped."""
        return not (self.loop.dead or self.loop.stopped)

    def start(self, *, relays: bool = True) -> None:
        """Start what runs for as long as the process does."""
        self.world.within(self.loop, self.world.now, self.cache.connect)
        self.do(self.keeper.run)
        if relays:
            self.do(self.relay.run)

    def do(self, work: Callable[[], Coroutine[Any, Any, Any]], after: float = 0.0) -> None:
        """Start something within the process, so many seconds from now."""
        self.world.within(self.loop, self.world.now + after, self.begin, work)

    def begin(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> asyncio.Task[Any]:
        """Start a task, from within the process."""
        task = self.loop.create_task(work())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def kill(self) -> None:
        """End it as kill -9 does."""
        self.loop.kill()
        self.cache.cut()

    def known(self, tags: Iterable[str]) -> tuple[str, ...]:
        """Return those of the tags that this process's rules know."""
        return tuple(tag for tag in tags if tag not in self.lacks)

    async def invalidate(self, tags: Iterable[str]) -> Standing:
        """Invalidate what a change touches, for all that this process knows."""
        return await self.invalidator.invalidate({ORGANIZATION: set(self.known(tags))})

    async def answer(
        self, reads: Sequence[Read], consistency: Consistency, *, short: bool
    ) -> list[Answer]:
        """Answer as the edge does: one entry by the short way first, if it may be."""
        asked = reads
        reads = [read._replace(tags=self.known(read.tags)) for read in asked]

        async def load(wanted: Sequence[int]) -> Loaded:
            return await self.primary.load([asked[position] for position in wanted])

        if short and len(reads) == 1 and consistency == Consistency.DEFAULT:
            kept = self.reader.near(ORGANIZATION, reads[0].key)
            if kept is not None and self.reader.keeps([kept]):
                answer: Answer | None = kept.value.answer
            else:
                question = self._questions.get(reads[0])
                if question is None:
                    question = Question(ORGANIZATION, reads[0], load)
                    self._questions[reads[0]] = question
                answer = await self.reader.hit(question)
            if answer is not None:
                self.reader.served(ORGANIZATION, reads[0].query, answer.outcome)
                return [answer]

        return await self.reader.read(ORGANIZATION, reads, load, consistency)

    def _changed(self, why: str | None) -> None:
        if self._forgets:
            self.memory.forget()
        self.cache.pushes.lost()
        if why is not None:
            self.telling.counts["connection lost"] += 1
        self.telling.log(f"{self.name}: {why or 'connected'}")

    def _happened(self, happening: Happening) -> None:
        self.telling.counts[happening.name] += 1
        self.telling.log(f"{self.name}: {happening.value}")

    def _wall(self) -> float:
        return 1000.0 + self.world.now
