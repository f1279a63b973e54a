"""Replay a shop's mutations under cached answers, and count what each of them drops."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import asyncpg
from google.protobuf.json_format import Parse
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.errors import BenchmarkError
from benchmarks.history import Mutation
from benchmarks.working_set import Entry, WorkingSet
from cache_service.invalidation.rules import tags_of
from cache_service.invalidation.tags import SCOPE
from cache_service.queries.declare import LoadContext
from chairside.cache.v1.events_pb2 import Event

__all__ = ["PrecisionError", "Replay", "Tally"]


class PrecisionError(BenchmarkError):
    """Say which answer changed although no tag told."""


@dataclass(slots=True)
class Tally:
    """Counts of entries; `held` counts each once for each mutation."""

    held: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    needless: Counter[str] = field(default_factory=Counter)

    def add(self, name: str, held: int, dropped: int, needless: int) -> None:
        """Count entries held, dropped, and dropped for nothing."""
        self.held[name] += held
        self.dropped[name] += dropped
        self.needless[name] += needless

    def survive(self, names: Iterable[str]) -> float:
        """Return the share that survives of the answers that a mutation left as they were."""
        chosen = list(names)
        needless = sum(self.needless[name] for name in chosen)
        changed = sum(self.dropped[name] for name in chosen) - needless
        return 1 - needless / max(1, sum(self.held[name] for name in chosen) - changed)

    def row(self, label: str, names: Sequence[str]) -> list[str]:
        """Return held, dropped, needless, their share of the dropped, and what survives."""
        held, dropped, needless = (
            sum(counts[name] for name in names)
            for counts in (self.held, self.dropped, self.needless)
        )
        share = f"{needless / dropped:.0%}" if dropped else "-"
        figures = [f"{count:,}" for count in (held, dropped, needless)]
        return [label, *figures, share, f"{self.survive(names):.2%}"]


@dataclass(slots=True)
class Replay:
    """A shop whose history is replayed, and the answers that are cached of it."""

    connection: asyncpg.Connection
    reader: AsyncEngine
    cached: WorkingSet
    zone: ZoneInfo
    by_query: Tally = field(default_factory=Tally)
    by_kind: Tally = field(default_factory=Tally)
    measured: int = 0
    answers: dict[Entry, bytes] = field(default_factory=dict)
    tags: dict[str, list[Entry]] = field(default_factory=dict)

    async def make(self, mutation: Mutation) -> frozenset[str]:
        """Commit a mutation; return the tags that its events touch."""
        await self.connection.execute(mutation.statement, *mutation.arguments)
        rows = await self.connection.fetch("DELETE FROM outbox RETURNING event::text")
        return frozenset[str]().union(*(tags_of(Parse(row[0], Event())) for row in rows))

    async def day(self, today: date, mutations: Sequence[Mutation]) -> None:
        """Measure a day's mutations, then check that no answer changed untold."""
        entries = self.cached.on(today)
        self.answers = await self.load(entries, mutations[0].at)
        self.tags = defaultdict(list)
        for query, arguments in entries:
            for tag in (SCOPE, *query.tags(arguments)):
                self.tags[tag].append((query, arguments))
        held = Counter(query.name for query, _ in entries)
        for mutation in mutations:
            touched = await self.make(mutation)
            await self._count(mutation, touched, held)
        for entry, answer in (await self.load(entries, mutations[0].at)).items():
            if answer != self.answers[entry]:
                message = f"{entry[0].key(entry[1])} changed on {today}, and no tag told"
                raise PrecisionError(message)

    async def _count(self, mutation: Mutation, touched: Iterable[str], held: Counter[str]) -> None:
        gone = dict.fromkeys(entry for tag in touched for entry in self.tags.get(tag, ()))
        again = await self.load(list(gone), mutation.at)
        dropped = Counter(query.name for query, _ in gone)
        needless = Counter(
            entry[0].name for entry, answer in again.items() if answer == self.answers[entry]
        )
        self.answers.update(again)
        self.measured += 1
        for name, count in held.items():
            self.by_query.add(name, count, dropped[name], needless[name])
        self.by_kind.add(mutation.kind, held.total(), dropped.total(), needless.total())

    async def load(self, entries: Sequence[Entry], now: datetime) -> dict[Entry, bytes]:
        """Load entries in one snapshot, a query's with one statement."""
        found: dict[Entry, bytes] = {}
        by_query: dict[str, list[Entry]] = defaultdict(list)
        for entry in entries:
            by_query[entry[0].name].append(entry)
        # As of the day's beginning: what only time changes is not a mutation's doing.
        today = datetime.combine(now.astimezone(self.zone).date(), datetime.min.time(), self.zone)
        async with self.reader.connect() as connection:
            context = LoadContext(connection, today.astimezone(UTC))
            for batch in by_query.values():
                payloads = await batch[0][0].load(context, [entry[1] for entry in batch])
                found.update(zip(batch, payloads, strict=True))
        return found
