"""A cache service of two workers, and how to reach each of them."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import asyncpg
import grpc
import redis.asyncio
from prometheus_client.parser import text_string_to_metric_families

from chairside.cache.v1 import cache_service_pb2 as pb
from chairside.cache.v1.cache_service_pb2_grpc import CacheServiceStub
from devstack.services import ServiceProcess
from devstack.valkey import ValkeyServer
from tests.integration.cache.running import Cache, start_cache
from tests.support.stack import Database
from tests.support.waiting import eventually

__all__ = ["WORKERS", "Crew", "open_crew"]

WORKERS = 2
_VARIABLES = {
    "CHAIRSIDE_CACHE_WORKERS": str(WORKERS),
    "CHAIRSIDE_CACHE_MEMORY_BYTES": "10000000",
    "CHAIRSIDE_CACHE_REDIS_TIMEOUT": "0.25",
}


@dataclass(frozen=True, slots=True)
class Crew:
    """The service, its Redis, and the database owner's connection."""

    process: ServiceProcess
    redis: redis.asyncio.Redis
    database: Database
    connection: asyncpg.Connection

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the log's lines of that name."""
        lines = map(json.loads, self.process.output().splitlines())
        return [line for line in lines if line["event"] == name]

    def pids(self) -> list[int]:
        """Return the workers that run, in the order of their start."""
        gone = {line["pid"] for line in self.events("worker ended")}
        return [line["pid"] for line in self.events("worker started") if line["pid"] not in gone]

    def metrics(self) -> dict[str, float]:
        """Scrape the metrics, each summed over its labels."""
        url = f"http://127.0.0.1:{self.process.metrics_port}/metrics"
        with urlopen(url, timeout=5) as answer:
            text = answer.read().decode()
        found: dict[str, float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                found[sample.name] = found.get(sample.name, 0) + sample.value
        return found

    async def all_told(self) -> dict[str, float]:
        """Scrape the metrics when all workers answer: of one that is silent they are older."""

        async def told() -> dict[str, float] | None:
            scraped = self.metrics()
            return scraped if scraped["chairside_workers_silent"] == 0 else None

        found = await eventually(told)
        assert found is not None
        return found

    async def healthy(self) -> None:
        """Wait until all workers run and may serve hits."""

        async def all_hold() -> bool:
            told = self.metrics()
            return (
                told["chairside_workers"] == WORKERS
                and told["chairside_workers_silent"] == 0
                and told["chairside_cache_lease_held"] == 1
            )

        await eventually(all_hold, seconds=90)

    @asynccontextmanager
    async def each(self) -> AsyncIterator[list[Cache]]:
        """Connect to each worker: the kernel chooses, so it is asked until it chose all."""
        async with AsyncExitStack() as stack:
            found: dict[int, Cache] = {}

            async def all_found() -> bool:
                # Else channels to one address share a connection, and so a worker.
                options = [("grpc.use_local_subchannel_pool", 1)]
                channel = grpc.aio.insecure_channel(self.process.address, options)
                await stack.enter_async_context(channel)
                stub = CacheServiceStub(channel)
                stats = await stub.GetStats(pb.GetStatsRequest())
                # Each tells when it started itself, in microseconds.
                started = stats.start_time.ToMicroseconds()
                found.setdefault(started, Cache(self.process, stub, channel, self.redis))
                return len(found) == WORKERS

            await eventually(all_found, seconds=20)
            yield list(found.values())


@asynccontextmanager
async def open_crew(database: Database, logs: Path) -> AsyncIterator[Crew]:
    """Start the service over a Redis of its own."""
    async with ValkeyServer(logs) as valkey, AsyncExitStack() as stack:
        cache = await stack.enter_async_context(
            start_cache(database.cache_url, valkey.url, logs, _VARIABLES)
        )
        connection = await asyncpg.connect(database.url)
        stack.push_async_callback(connection.close)
        crew = Crew(cache.process, cache.redis, database, connection)
        await crew.healthy()
        yield crew
