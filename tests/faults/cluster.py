"""The system under test: real processes, each connection through a proxy of its own."""

import asyncio
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack, suppress
from http.client import HTTPException
from pathlib import Path
from random import Random
from typing import Self
from urllib.parse import urlsplit, urlunsplit
from urllib.request import urlopen

import asyncpg

from devstack import databases
from devstack.ports import free_port
from devstack.postgres import PostgresServer
from devstack.services import ServiceProcess
from tests.faults.proxy import Proxy
from tests.faults.valkeys import Valkeys
from tests.support.stack import ROLE_PASSWORD

__all__ = ["LINKS", "Cluster"]

LINKS = ("cache-redis", "cache-postgres", "booking-postgres", "booking-cache")
_DATABASE = "faults"
_PROCESSES = 2
_SOON = 1.0
_MISSES = re.compile(r'^chairside_cache_reads_total\{outcome="(?:miss|uncached)".*$', re.MULTILINE)


class Cluster:
    """Two cache and two booking processes, Valkey with a replica, Postgres; a context manager.

    `proxies` has each link's two proxies. The second cache service has `workers`; with more
    than one it supervises them. `broken` is a file that names the rule which the
    cache processes break (see `broken.py`); without it they are what they are.
    """

    def __init__(
        self, directory: Path, random: Random, *, workers: int = 1, broken: Path | None = None
    ) -> None:
        self.workers = workers
        self.postgres = PostgresServer(directory / "postgres", durable=False)
        self.valkeys = Valkeys(directory, random)
        self.caches: list[ServiceProcess] = []
        self.bookings: list[ServiceProcess] = []
        self.proxies: dict[str, list[Proxy]] = {link: [] for link in LINKS}
        self._directory = directory
        self._random = random
        self._broken = broken
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.postgres)
            await stack.enter_async_context(self.valkeys)
            await databases.create_database(self.postgres.url(), _DATABASE)
            await databases.migrate(self.database_url, ROLE_PASSWORD)
            for number in range(_PROCESSES):
                await self._prepare(stack, number)
            self.valkeys.clients = self.proxies["cache-redis"]
            processes = (*self.caches, *self.bookings)
            starts = (stack.enter_async_context(process) for process in processes)
            await asyncio.gather(*starts)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        for proxy in self.all_proxies():
            proxy.heal(lose=True)
        await self._stack.aclose()

    @property
    def database_url(self) -> str:
        """The owner's URL, past every proxy."""
        return self.postgres.url(_DATABASE)

    @property
    def crew(self) -> ServiceProcess:
        """The cache service that has several workers."""
        return self.caches[1]

    async def connect(self) -> asyncpg.Connection:
        """Connect to the database as its owner, past every proxy."""
        return await asyncpg.connect(self.database_url)

    def all_proxies(self) -> Iterable[Proxy]:
        """Every proxy of every link."""
        return (proxy for proxies in self.proxies.values() for proxy in proxies)

    async def metrics(self) -> Counter[str]:
        """Return the sums, over all processes, of the metrics called chairside_*, by name."""
        found: Counter[str] = Counter()
        for process in (*self.caches, *self.bookings):
            text = await asyncio.to_thread(_fetch, process.metrics_port)
            for line in text.splitlines():
                if line.startswith("chairside_"):
                    name, value = line.rsplit(" ", 1)
                    found[name] += int(float(value))
        return found

    async def misses(self) -> list[int | None]:
        """Return how often each cache service went to the database; None if it does not tell."""

        async def of(service: ServiceProcess) -> int | None:
            with suppress(OSError, HTTPException):  # the latter if it is killed as it tells
                text = await asyncio.to_thread(_fetch, service.metrics_port, _SOON)
                return sum(int(float(line.split()[-1])) for line in _MISSES.findall(text))
            return None

        return await asyncio.gather(*map(of, self.caches))

    def logged_errors(self) -> list[str]:
        """Return what the services logged as errors: the method, and the exceptions' last lines."""
        found = []
        for process in (*self.caches, *self.bookings):
            for line in process.log_path.read_text(errors="replace").splitlines():
                if '"level": "error"' in line:
                    event = json.loads(line)
                    exception = str(event.get("exception", "")).strip().splitlines()
                    last = [part for part in exception if part and not part.startswith(" ")][-3:]
                    found.append(f"{event.get('method', event['event'])}: {' / '.join(last)[:500]}")
        return found

    async def _prepare(self, stack: AsyncExitStack, number: int) -> None:
        cache_port = free_port()
        ports = {}
        targets = (self.valkeys.primary.port, self.postgres.port, self.postgres.port, cache_port)
        for link, target in zip(LINKS, targets, strict=True):
            proxy = Proxy(f"{link} {number}", target, Random(self._random.random()))  # noqa: S311
            self.proxies[link].append(await stack.enter_async_context(proxy))
            ports[link] = proxy.port
        logs = self._directory / f"logs-{number}"
        shared = {"ACCESS_LOG": "false", "METRICS_LISTEN": "127.0.0.1:0"}
        variables = _prefixed("CHAIRSIDE_CACHE_", shared) | {
            "CHAIRSIDE_CACHE_LISTEN": f"127.0.0.1:{cache_port}",
            "CHAIRSIDE_CACHE_DATABASE_URL": self._role_url(
                databases.CACHE_ROLE, ports["cache-postgres"]
            ),
            "CHAIRSIDE_CACHE_REDIS_URL": f"redis://127.0.0.1:{ports['cache-redis']}/0",
            "CHAIRSIDE_CACHE_WORKERS": str(self.workers if number else 1),
        }
        patience: dict[str, str] = {}
        if self._broken is not None:
            # A busy machine is no fault: a load past the store would break no rule, and what
            # is not applied is not judged.
            variables["CHAIRSIDE_CACHE_REDIS_TIMEOUT"] = "5"
            patience["CACHE_TIMEOUT"] = "20"
        cache = ServiceProcess("cache_service", variables, logs)
        if self._broken is not None:
            cache.argv = [sys.executable, "-m", "tests.faults.broken", str(self._broken), "serve"]
        booking = ServiceProcess(
            "booking_service",
            _prefixed("CHAIRSIDE_BOOKING_", shared | patience)
            | {
                "CHAIRSIDE_BOOKING_LISTEN": f"127.0.0.1:{free_port()}",
                "CHAIRSIDE_BOOKING_DATABASE_URL": self._role_url(
                    databases.BOOKING_ROLE, ports["booking-postgres"]
                ),
                "CHAIRSIDE_BOOKING_CACHE_TARGET": f"127.0.0.1:{ports['booking-cache']}",
            },
            logs,
        )
        self.caches.append(cache)
        self.bookings.append(booking)

    def _role_url(self, role: str, port: int) -> str:
        url = urlsplit(databases.role_url(self.database_url, role, ROLE_PASSWORD))
        credentials = url.netloc.rpartition("@")[0]
        return urlunsplit(url._replace(netloc=f"{credentials}@127.0.0.1:{port}"))


def _prefixed(prefix: str, variables: Mapping[str, str]) -> dict[str, str]:
    return {prefix + name: value for name, value in variables.items()}


def _fetch(port: int, seconds: float = 5.0) -> str:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=seconds) as answer:
        text: str = answer.read().decode()
    return text
