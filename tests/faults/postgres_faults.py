"""Faults of Postgres: shut down, crashed, killed, frozen, and its backends one by one."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import asyncpg
import psutil

from tests.faults.cluster import Cluster
from tests.faults.processes import ended, family, frozen
from tests.faults.scene import Effect, Fault, Scene
from tests.support.waiting import eventually

__all__ = ["postgres_faults"]

_PATIENCE = 30.0


def postgres_faults() -> dict[str, Fault]:
    """Return the faults by their kinds."""
    return {
        "Postgres frozen": _frozen,
        "Postgres restarted": _told_to_end(signal.SIGINT),
        "Postgres crashed": _told_to_end(signal.SIGQUIT),
        "Postgres killed": _killed,
        "Postgres backends ended": _backends_ended,
        "Postgres backend killed": _backend_killed,
    }


@asynccontextmanager
async def _frozen(scene: Scene) -> AsyncIterator[Effect]:
    async with frozen(family(scene.cluster.postgres)) as stopped:
        yield lambda: asyncio.sleep(0, stopped)


def _told_to_end(number: signal.Signals) -> Fault:
    @asynccontextmanager
    async def fault(scene: Scene) -> AsyncIterator[Effect]:
        postgres = scene.cluster.postgres
        before = postgres.pid
        postgres.signal(number)
        await postgres.wait()
        yield lambda: asyncio.sleep(0, int(postgres.pid != before))
        await postgres.start()

    return fault


@asynccontextmanager
async def _killed(scene: Scene) -> AsyncIterator[Effect]:
    """Kill the postmaster and every backend: none of them has time for anything."""
    postgres = scene.cluster.postgres
    processes = family(postgres)
    for one in processes:
        with suppress(psutil.NoSuchProcess):
            one.kill()
    await postgres.wait()
    # The next one does not start while any of them is attached to the shared memory.
    await ended(processes)
    yield lambda: asyncio.sleep(0, len(processes))
    await postgres.start()


@asynccontextmanager
async def _backends_ended(scene: Scene) -> AsyncIterator[Effect]:
    connection = await scene.cluster.connect()
    try:
        gone = await connection.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE usename LIKE 'chairside%' AND hashint4(pid) % 2 = 0"
        )
    finally:
        await connection.close()
    yield lambda: asyncio.sleep(0, len(gone))


@asynccontextmanager
async def _backend_killed(scene: Scene) -> AsyncIterator[Effect]:
    """Kill one backend, one that works if there is any: Postgres then ends all, and recovers."""
    cluster = scene.cluster
    connection = await cluster.connect()
    try:
        pid = await connection.fetchval(
            "SELECT pid FROM pg_stat_activity WHERE usename LIKE 'chairside%'"
            " ORDER BY state = 'idle', random() LIMIT 1"
        )
        began = await connection.fetchval("SELECT pg_postmaster_start_time()")
    finally:
        await connection.close()
    if pid is not None:
        with suppress(psutil.NoSuchProcess):
            psutil.Process(pid).kill()
    yield lambda: asyncio.sleep(0, int(pid is not None))
    assert await eventually(lambda: _start_time(cluster), seconds=_PATIENCE) == began


async def _start_time(cluster: Cluster) -> object:
    with suppress(OSError, asyncpg.PostgresError, asyncio.TimeoutError):
        connection = await cluster.connect()
        try:
            return await connection.fetchval("SELECT pg_postmaster_start_time()")
        finally:
            await connection.close()
    return None
