"""Measure what a mutation pays for the totals: commits a second with their triggers and without.

Mutations take the booking service's own path, from its use cases to the commit and the
deletion of their events; there is no gRPC, and nobody is told of them. A correction is a
completion that SQL takes away again before the commit, for no method of the service does. The
triggers are switched off and on between rounds that take turns, on a table with the whole
history. Without triggers the totals are wrong afterwards: the database is of no more use.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import asyncpg
import uvloop

from benchmarks.totals_works import Works, prepare
from booking_service.edge.cache_gateway import CacheTokens
from booking_service.postgres.engine import make_engine
from booking_service.postgres.outbox import OutboxCleaner
from booking_service.postgres.unit_of_work import UnitsOfWork
from booking_service.use_cases.idempotency import Request
from booking_service.use_cases.mutations import Mutations, Work
from service_kit.clock import SystemClock

__all__ = ["Cost", "measure"]

_CONNECTIONS = 8
_TURNS = 3
"""Many short turns a round: a disturbance from outside then hits all sides alike."""
_WARMING, _SECONDS = 0.15, 0.5
_PATIENCE = 60.0
_TRIGGERS = {
    "completion": ("appointments", "total_update"),
    "payment": ("payments", "total_insert"),
    "refund": ("refunds", "total_insert"),
    "booking": ("appointments", "total_insert"),
    "correction": ("appointments", "total_update"),
}


@dataclass(frozen=True, slots=True)
class Cost:
    """Commits a second of each side, by round; `again` is `without` once more: the noise."""

    mutation: str
    without: list[float]
    kept: list[float]
    again: list[float]

    @staticmethod
    def rate(rates: Sequence[float]) -> float:
        """Return a side's median."""
        return median(rates)

    @property
    def ratio(self) -> float:
        """How many times as long a mutation takes with the totals."""
        return median(one / kept for one, kept in zip(self.without, self.kept, strict=True))

    @property
    def noise(self) -> float:
        """How many times as long the same thing takes the second time."""
        return median(one / two for one, two in zip(self.without, self.again, strict=True))


class _Nobody:
    """A cache that has dropped everything already."""

    async def invalidate(self, _events: Sequence[str], _timeout: float) -> bool:
        return True


class _Commits:
    """Makes mutations as the service does, over 8 connections."""

    def __init__(self, mutations: Mutations, organization_id: int) -> None:
        self._mutations = mutations
        self._organization_id = organization_id

    async def rate(self, works: Iterator[tuple[str, Work]], seconds: float) -> float:
        """Return the mutations a second that as many callers reach together."""
        begun = time.perf_counter()
        counts = await asyncio.gather(
            *(self._caller(works, begun + seconds) for _ in range(_CONNECTIONS))
        )
        return sum(counts) / (time.perf_counter() - begun)

    async def _caller(self, works: Iterator[tuple[str, Work]], end: float) -> int:
        count = 0
        while time.perf_counter() < end:
            method, work = next(works)
            request = Request(method, None, b"", self._organization_id)
            await self._mutations.run(request, work, _PATIENCE)
            count += 1
        return count


async def measure(
    owner_url: str, booking_url: str, organization_id: int, rounds: int
) -> list[Cost]:
    """Measure so many rounds; each side of each mutation takes two seconds of one."""
    works = await prepare(owner_url, organization_id)
    # In a loop like the services'.
    return await asyncio.to_thread(uvloop.run, _measure(owner_url, booking_url, works, rounds))


async def _measure(
    owner_url: str,
    booking_url: str,
    works: Works,
    rounds: int,
) -> list[Cost]:
    owner = await asyncpg.connect(owner_url)
    pools = [
        make_engine(booking_url, application_name="benchmark", pool_size=size, pool_timeout=60)
        for size in (_CONNECTIONS, 1)
    ]
    try:
        async with OutboxCleaner(pools[1]) as cleaner:
            mutations = Mutations(
                units=UnitsOfWork(pools[0], cleaner.applied),
                notifier=_Nobody(),
                tokens=CacheTokens(),
                acknowledged=cleaner.acknowledged,
                clock=SystemClock(),
                sleep=asyncio.sleep,
                jitter=random.random,
                cache_timeout=_PATIENCE,
            )
            commits = _Commits(mutations, works.organization_id)
            return await _take_turns(owner, commits, works.all(), rounds)
    finally:
        await owner.close()
        for pool in pools:
            await pool.dispose()


async def _take_turns(
    owner: asyncpg.Connection,
    commits: _Commits,
    mutations: Mapping[str, Iterator[tuple[str, Work]]],
    rounds: int,
) -> list[Cost]:
    costs = [Cost(mutation, [], [], []) for mutation in mutations]
    for number in range(rounds * _TURNS):
        for cost in costs:
            table, trigger = _TRIGGERS[cost.mutation]
            works = mutations[cost.mutation]
            sides = [("DISABLE", cost.without), ("ENABLE", cost.kept), ("DISABLE", cost.again)]
            # A different one comes first each time, for the machine tires.
            for switch, rates in sides[number % 3 :] + sides[: number % 3]:
                await owner.execute(f"ALTER TABLE {table} {switch} TRIGGER {trigger}")
                await commits.rate(works, _WARMING)  # every connection plans anew
                rates.append(await commits.rate(works, _SECONDS))
    return costs
