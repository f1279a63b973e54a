"""Several processes of the cache service over one Redis, loads that are held, and their counts."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import asyncpg

from devstack.valkey import ValkeyServer
from tests.integration.cache.running import Cache, start_cache
from tests.support.stack import Database
from tests.support.waiting import eventually

__all__ = ["Crowd", "Grown", "held_loads", "loads", "open_crowd", "outcomes"]


def outcomes(cache: Cache, *names: str) -> float:
    """Add up the availability entries that a process answered so; none if it never did."""
    metrics = cache.metrics()
    name = 'chairside_cache_reads_total{{outcome="{}",query="availability"}}'
    return sum(metrics.get(name.format(outcome), 0) for outcome in names)


def loads(cache: Cache) -> float:
    """Return how many availability entries a process loaded."""
    return outcomes(cache, "miss", "uncached", "bypass")


@asynccontextmanager
async def held_loads(database: Database) -> AsyncIterator[None]:
    """Let no load of availability end: each reads the table that is locked meanwhile."""
    connection = await asyncpg.connect(database.url)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE special_hours IN ACCESS EXCLUSIVE MODE")
            yield
    finally:
        await connection.close()


class Grown(NamedTuple):
    """By how much the counts of some processes grew."""

    loaded: float
    uncached: float
    others: float


@dataclass(frozen=True, slots=True)
class Crowd:
    """The processes, their database, and its owner's connection."""

    caches: Sequence[Cache]
    database: Database
    connection: asyncpg.Connection

    async def healthy(self) -> None:
        """Wait until all may serve hits."""

        async def hold() -> bool:
            return all(cache.metric("chairside_cache_lease_held") == 1 for cache in self.caches)

        await eventually(hold, seconds=20)

    async def open_calls(self, number: int) -> None:
        """Wait until so many calls are being handled."""

        async def all_wait() -> bool:
            return sum(cache.metric("grpc_server_open_calls") for cache in self.caches) == number

        await eventually(all_wait, seconds=10)

    async def loading(self, *caches: Cache) -> Cache:
        """Wait until one of the processes has a load under way, and return it."""

        async def one() -> Cache | None:
            found = [one for one in caches if one.metric("chairside_cache_loads_running")]
            return found[0] if found else None

        found = await eventually(one)
        assert found is not None
        return found

    def counted(self) -> Grown:
        """Return the entries loaded and stored, those loaded past the cache, and all others."""
        return Grown(
            *(
                sum(outcomes(cache, *names) for cache in self.caches)
                for names in (("miss",), ("uncached", "bypass"), ("shared", "hit", "near"))
            )
        )


@asynccontextmanager
async def open_crowd(
    database: Database, logs: Path, processes: int, variables: Mapping[str, str] | None = None
) -> AsyncIterator[Crowd]:
    """Start the processes, each with a log in a directory of its own."""
    async with AsyncExitStack() as stack:
        valkey = await stack.enter_async_context(ValkeyServer(logs))
        starting = [
            stack.enter_async_context(
                start_cache(database.cache_url, valkey.url, logs / str(number), variables)
            )
            for number in range(processes)
        ]
        caches = [await one for one in starting]
        connection = await asyncpg.connect(database.url)
        stack.push_async_callback(connection.close)
        crowd = Crowd(caches, database, connection)
        await crowd.healthy()
        yield crowd
