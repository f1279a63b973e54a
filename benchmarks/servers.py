"""The servers that are measured, each on a core of its own, and those they need."""

import asyncio
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from io import StringIO
from pathlib import Path
from urllib.request import urlopen

import psutil
from grpc.aio import insecure_channel
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from rich.console import Console

from booking_service.importing.commands import generate
from booking_service.importing.generator import GeneratorOptions
from devstack import databases
from devstack.children import Child
from devstack.ports import free_port
from devstack.postgres import PostgresServer
from devstack.services import ServiceProcess, environment
from devstack.valkey import ValkeyServer

__all__ = [
    "DATABASE",
    "EchoServer",
    "MeasuredService",
    "Stand",
    "cpu_seconds",
    "megabytes",
    "serve_booking",
    "serve_cache",
    "stand",
    "usable_cores",
]

DATABASE = "benchmark"
_PASSWORD = "benchmark"  # noqa: S105 - of a throwaway server on the loopback
_START_SECONDS = 20.0


@cache
def usable_cores() -> list[int]:
    """Return the cores we had at first; none where a process cannot be bound to one."""
    if not hasattr(os, "sched_getaffinity"):
        return []
    return sorted(os.sched_getaffinity(0))


@contextmanager
def _on(cores: list[int]) -> Iterator[None]:
    """Have what is started within run on these cores."""
    if not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class EchoServer(Child):
    """The bare echo of `answer`, on a core."""

    def __init__(self, answer: bytes, directory: Path, core: list[int]) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self._core = core
        path = directory / "answer.bin"
        path.write_bytes(answer)
        super().__init__(
            "the echo",
            [sys.executable, "-m", "benchmarks.echo", self.address, path],
            log_path=directory / "echo.log",
            environ=environment({}),
        )

    async def start(self) -> None:
        """Start it and wait until it answers."""
        with _on(self._core):
            await super().start()
        await self.until(self._answers, _START_SECONDS)

    async def _answers(self) -> bool:
        async with insecure_channel(self.address) as channel:
            async with asyncio.timeout(_START_SECONDS):
                await channel.channel_ready()
        return True


class MeasuredService(ServiceProcess):
    """One of the services, as it is in production, on a core."""

    def __init__(
        self, package: str, variables: dict[str, str], directory: Path, core: list[int]
    ) -> None:
        self._core = core
        super().__init__(package, variables, directory)

    async def start(self) -> None:
        """Start it and wait until its health says SERVING."""
        with _on(self._core):
            await super().start()

    def counts(self) -> list[Sample]:
        """Return what it counted so far, as Prometheus reads it."""
        url = f"http://127.0.0.1:{self.metrics_port}/metrics"
        with urlopen(url, timeout=5) as answer:
            text = answer.read().decode()
        return [one for family in text_string_to_metric_families(text) for one in family.samples]

    def answered(self) -> dict[str, int]:
        """Return the calls finished by status code, health checks included."""
        found: dict[str, int] = defaultdict(int)
        for sample in self.counts():
            if sample.name == "grpc_server_handled_total":
                found[sample.labels["grpc_code"]] += int(sample.value)
        return dict(found)


def cpu_seconds(server: Child) -> float:
    """Return the seconds that a process has spent in user and kernel mode."""
    times = psutil.Process(server.pid).cpu_times()
    return float(times.user + times.system)


def megabytes(server: Child) -> float:
    """Return a process's resident memory."""
    return float(psutil.Process(server.pid).memory_info().rss) / 1e6


@dataclass(frozen=True, slots=True)
class Stand:
    """Postgres with a generated shop, and an empty Valkey; URLs by role.

    `server_core` is for the process that is measured; we and all else run on the others.
    """

    postgres: PostgresServer
    valkey: ValkeyServer
    url: str
    booking_url: str
    cache_url: str
    organization_id: int
    directory: Path
    server_core: list[int]


@asynccontextmanager
async def stand() -> AsyncIterator[Stand]:
    """Start what the services need. With one core only, all share it."""
    cores = usable_cores()
    server_core = cores[-1:] if len(cores) > 1 else []
    with (
        tempfile.TemporaryDirectory(prefix="chairside-benchmark-") as name,
        _on([core for core in cores if core not in server_core]),
    ):
        directory = Path(name)
        directory.chmod(0o755)  # noqa: ASYNC240 - nothing else runs yet
        async with (
            PostgresServer(directory / "postgres", durable=False) as postgres,
            ValkeyServer(directory / "valkey") as valkey,
        ):
            await databases.create_database(postgres.url(), DATABASE)
            url = postgres.url(DATABASE)
            await databases.migrate(url, _PASSWORD)
            made = await generate(
                url,
                GeneratorOptions(barbers=6, months=3),
                now=datetime.now(UTC),
                console=Console(file=StringIO()),
            )
            yield Stand(
                postgres,
                valkey,
                url,
                databases.role_url(url, databases.BOOKING_ROLE, _PASSWORD),
                databases.role_url(url, databases.CACHE_ROLE, _PASSWORD),
                made.organization_id,
                directory,
                server_core,
            )


def serve_booking(at: Stand, cache: MeasuredService) -> MeasuredService:
    """Return the booking service, to be entered; it reads through `cache`."""
    return MeasuredService(
        "booking_service",
        {
            "CHAIRSIDE_BOOKING_LISTEN": "127.0.0.1:0",
            "CHAIRSIDE_BOOKING_METRICS_LISTEN": "127.0.0.1:0",
            "CHAIRSIDE_BOOKING_DATABASE_URL": at.booking_url,
            "CHAIRSIDE_BOOKING_CACHE_TARGET": cache.address,
        },
        at.directory,
        at.server_core,
    )


def serve_cache(
    at: Stand,
    *,
    memory_bytes: int | None = None,
    workers: int = 1,
    cores: list[int] | None = None,
    variables: Mapping[str, str] | None = None,
) -> MeasuredService:
    """Return the cache service, to be entered; access log and metrics are on.

    It runs on the stand's core for servers, or on these `cores`. `memory_bytes` 0 has every
    hit come from Valkey; None is the default. `variables` are further ones.
    """
    memory = {} if memory_bytes is None else {"CHAIRSIDE_CACHE_MEMORY_BYTES": str(memory_bytes)}
    return MeasuredService(
        "cache_service",
        {
            "CHAIRSIDE_CACHE_LISTEN": "127.0.0.1:0",
            "CHAIRSIDE_CACHE_METRICS_LISTEN": "127.0.0.1:0",
            "CHAIRSIDE_CACHE_DATABASE_URL": at.cache_url,
            "CHAIRSIDE_CACHE_REDIS_URL": at.valkey.url,
            "CHAIRSIDE_CACHE_WORKERS": str(workers),
            # Entries must not expire within a run.
            "CHAIRSIDE_CACHE_TTLS": '{"availability": 86400}',
            # Nor may a busy machine look like a Redis that is away.
            "CHAIRSIDE_CACHE_REDIS_TIMEOUT": "2",
            # Audits load what they compare, behind the answers: not what is measured here.
            "CHAIRSIDE_CACHE_AUDIT_SHARE": "0",
            **memory,
            **(variables or {}),
        },
        at.directory,
        at.server_core if cores is None else cores,
    )
