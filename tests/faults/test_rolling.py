"""From one version to the next under load, and back: no failed call, no stale read."""

import asyncio
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any

import asyncpg
import grpc
import pytest

from cache_service.client.calling import Calls, pause
from cache_service.client.link import Link
from cache_service.invalidation.rules import RULES_VERSION
from devstack.children import Child
from devstack.ports import free_port
from devstack.services import ServiceProcess, environment
from devstack.valkey import ValkeyServer
from service_kit.clock import elapsed
from tests.faults.answers import decoded
from tests.faults.checker import check
from tests.faults.load import Load, Rates
from tests.faults.mutating import UNKNOWN, Mutator
from tests.faults.rounds import begun
from tests.faults.settle import check_database, resolve
from tests.faults.shop import open_shop
from tests.support.next_version import make_next_version, run_version
from tests.support.stack import Database
from tests.support.waiting import eventually

_RATES = Rates(reads=25, writes=3, woken=3)
_CACHED = {"NEAR", "REDIS"}
_PATIENCE, _AGAIN, _PAUSE = 15.0, 10, 0.5


class _Repeating:
    """A channel whose calls are repeated as a client should: what was not done, until it is."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._calls = Calls(link, sleep=asyncio.sleep, jitter=random.random)

    def unary_unary(self, path: str) -> Callable[..., Awaitable[bytes]]:
        """Return a call of a method: the cache's by our client, the booking service's by its id."""
        _, service, method = path.split("/")
        booking = self._link.unary_unary(path)

        async def call(request: bytes, timeout: float) -> bytes:  # noqa: ASYNC109 - as of gRPC's
            if "cache" in service:
                return await self._calls.call(method, request, timeout)
            for attempt in range(1, _AGAIN):
                try:
                    return await booking(request, timeout=_PATIENCE)
                except grpc.aio.AioRpcError as error:
                    wait = pause(error, attempt, 0.0)
                    if wait is None:
                        raise
                await asyncio.sleep(min(wait, _PAUSE))
            return await booking(request, timeout=_PATIENCE)

        return call


class _Load(Load):
    """Load by clients that know every process, use them in turn, and repeat."""

    async def _channel(self, target: str) -> Any:
        link = Link(target, tls=None, token="", metadata=tuple, clock=elapsed)
        self._stack.push_async_callback(link.close)
        return _Repeating(link)


@dataclass(frozen=True, slots=True)
class Rollout:
    """Two places, each with a booking service and its sidecar, as two pods have them."""

    caches: list[ServiceProcess]
    bookings: list[ServiceProcess]
    database: Database
    next_version: Path

    async def replace(self, place: int, tree: Path | None) -> None:
        """End what runs there, the sidecar last, and start the version of a tree; None: ours."""
        both = self.bookings[place], self.caches[place]
        for process in both:
            await process.stop()
            run_version(process, *(() if tree is None else (tree,)))
        await asyncio.gather(*(process.start() for process in both))

    async def rules(self) -> int:
        """Return which rules are in force."""
        connection = await asyncpg.connect(self.database.url)
        found = await connection.fetchval("SELECT rules_version FROM authority")
        await connection.close()
        return int(found)


@pytest.fixture
async def rollout(
    database: Database, own_valkey: ValkeyServer, tmp_path: Path
) -> AsyncIterator[Rollout]:
    """Run this version in both places."""
    caches, bookings = [], []
    shared = {"ACCESS_LOG": "false", "METRICS_LISTEN": "127.0.0.1:0", "DRAIN": "5"}
    for place in range(2):
        logs, port = tmp_path / f"place-{place}", free_port()
        own = {
            "LISTEN": f"127.0.0.1:{port}",
            "DATABASE_URL": database.cache_url,
            "REDIS_URL": own_valkey.url,
            "WORKERS": "1",
        }
        caches.append(_service("cache", shared | own, logs))
        own = {
            "LISTEN": f"127.0.0.1:{free_port()}",
            "DATABASE_URL": database.booking_url,
            "CACHE_TARGET": f"127.0.0.1:{port}",
        }
        bookings.append(_service("booking", shared | own, logs))
    async with AsyncExitStack() as stack:
        starts = (stack.enter_async_context(process) for process in (*caches, *bookings))
        await asyncio.gather(*starts)
        yield Rollout(caches, bookings, database, make_next_version(tmp_path / "next"))
        for process in (*caches, *bookings):
            await process.kill()


def _service(kind: str, variables: dict[str, str], logs: Path) -> ServiceProcess:
    named = {f"CHAIRSIDE_{kind.upper()}_{name}": value for name, value in variables.items()}
    return ServiceProcess(f"{kind}_service", named, logs)


def _targets(processes: list[ServiceProcess]) -> list[str]:
    """Name both processes in one target, as a headless service's name does; for two clients."""
    return 2 * [f"ipv4:{','.join(process.address for process in processes)}"]


async def test_a_rolling_upgrade_and_its_rollback(rollout: Rollout, tmp_path: Path) -> None:
    """Every call is answered and none is stale, with other rules and payloads beside ours."""
    connection = await asyncpg.connect(rollout.database.url)
    shop = await open_shop(connection)
    history, calls = await begun(shop, rollout.caches[0].address)
    load = _Load(
        history,
        calls,
        Mutator(shop, Random(1)),  # noqa: S311
        Random(2),  # noqa: S311
        caches=_targets(rollout.caches),
        bookings=_targets(rollout.bookings),
        patience=_PATIENCE,
    )
    over = asyncio.Event()
    served: dict[str, float] = {}

    async def hits(when: str) -> None:
        """Wait until answers from the cache were seen again, by that name."""
        since = monotonic()

        async def seen() -> bool:
            return any(one.source in _CACHED for one in decoded(_since(load, since)))

        await eventually(seen, seconds=30)
        served[when] = monotonic() - since

    async with load:
        running = asyncio.create_task(load.run(_RATES, over.is_set))
        try:
            await hits("before")
            await rollout.replace(0, rollout.next_version)
            await hits("mixed")
            assert await rollout.rules() == RULES_VERSION + 1
            await rollout.replace(1, rollout.next_version)
            await hits("after")
            # Back: with its older rules this version answers, but from the database only.
            await rollout.replace(0, None)
            await rollout.replace(1, None)
            assert await rollout.rules() == RULES_VERSION + 1
            await _own_rules(rollout, tmp_path)
            await hits("back")
        finally:
            over.set()
            await running
    sys.stdout.write(f"{dict(load.counts)} {served}\n")
    await resolve(connection, history)
    history.reads = decoded(load.answered)
    verdict = check(history)
    assert verdict.violations == []
    assert await check_database(connection, shop, history) == []
    await connection.close()
    assert load.counts["failed"] == 0
    assert [name for name in load.counts if name.rpartition(" ")[2] in UNKNOWN] == []
    assert load.counts["applied"] > 0
    assert verdict.near_own > 0
    assert verdict.hits > verdict.reads / 10


def _since(load: Load, moment: float) -> list[Any]:
    return [one for one in load.answered[-10:] if one.started >= moment]


async def _own_rules(rollout: Rollout, directory: Path) -> None:
    command = Child(
        "new-epoch",
        [sys.executable, "-m", "cache_service", "new-epoch", "--own-rules"],
        log_path=directory / "new-epoch.log",
        environ=environment({"CHAIRSIDE_CACHE_DATABASE_URL": rollout.database.cache_url}),
    )
    async with command:
        assert await command.wait() == 0, command.output()
    assert f"rules {RULES_VERSION} are in force in place of {RULES_VERSION + 1}" in command.output()
    assert await rollout.rules() == RULES_VERSION
