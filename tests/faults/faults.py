"""Faults of our processes, of Postgres and of callers."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import grpc
import psutil
from google.protobuf.json_format import Parse

from chairside.cache.v1 import cache_service_pb2 as pb
from chairside.cache.v1.cache_service_pb2_grpc import CacheServiceStub
from chairside.cache.v1.events_pb2 import Event
from devstack.children import Child
from tests.faults.scene import Effect, Fault, Scene

__all__ = ["other_faults", "service_faults"]


def service_faults(*, workers: int = 1) -> dict[str, Fault]:
    """Return the faults of our own processes by their kinds; not two of them at a time."""
    of_one = {"cache worker killed": _worker_killed, "cache worker frozen": _worker_frozen}
    return (of_one if workers > 1 else {}) | {
        "cache killed": _killed(lambda scene: scene.random.choice(scene.cluster.caches)),
        "booking killed": _killed(lambda scene: scene.random.choice(scene.cluster.bookings)),
        "cache frozen": _frozen(lambda scene: scene.random.choice(scene.cluster.caches)),
        "booking frozen": _frozen(lambda scene: scene.random.choice(scene.cluster.bookings)),
    }


def other_faults() -> dict[str, Fault]:
    """Return the faults of Postgres and of callers by their kinds."""
    return {
        "Postgres frozen": _frozen(lambda scene: scene.cluster.postgres),
        "Postgres restarted": _postgres_ended(signal.SIGINT),
        "Postgres crashed": _postgres_ended(signal.SIGQUIT),
        "Postgres backends killed": _backends_killed,
        "Invalidate doubled, reordered": _doubled,
        "half of all calls cancelled": _cancelling,
    }


def _killed(choose: Callable[[Scene], Child]) -> Fault:
    @asynccontextmanager
    async def fault(scene: Scene) -> AsyncIterator[Effect]:
        child = choose(scene)
        before = child.pid
        await child.kill()
        yield lambda: asyncio.sleep(0, int(child.pid != before))
        await child.start()

    return fault


def _frozen(choose: Callable[[Scene], Child]) -> Fault:
    @asynccontextmanager
    async def fault(scene: Scene) -> AsyncIterator[Effect]:
        head = psutil.Process(choose(scene).pid)
        frozen = [head, *head.children(recursive=True)]
        for one in frozen:
            with suppress(psutil.NoSuchProcess):
                one.suspend()
        stopped = await _stopped(frozen)
        try:
            yield lambda: asyncio.sleep(0, stopped)
        finally:
            for one in reversed(frozen):
                with suppress(psutil.NoSuchProcess):
                    one.resume()

    return fault


def _worker(scene: Scene) -> psutil.Process:
    head = psutil.Process(scene.random.choice(scene.cluster.caches).pid)
    return scene.random.choice(head.children())


@asynccontextmanager
async def _worker_killed(scene: Scene) -> AsyncIterator[Effect]:
    """Kill one worker; whoever comes in its place heals it, and not we."""
    worker = _worker(scene)
    worker.kill()
    yield lambda: asyncio.sleep(0, int(not worker.is_running()))


@asynccontextmanager
async def _worker_frozen(scene: Scene) -> AsyncIterator[Effect]:
    """Freeze one worker, while the others go on on the same port."""
    worker = _worker(scene)
    worker.suspend()
    stopped = await _stopped([worker])
    try:
        yield lambda: asyncio.sleep(0, stopped)
    finally:
        with suppress(psutil.NoSuchProcess):
            worker.resume()


async def _stopped(processes: list[psutil.Process]) -> int:
    await asyncio.sleep(0.01)
    count = 0
    for one in processes:
        with suppress(psutil.NoSuchProcess):
            count += one.status() == psutil.STATUS_STOPPED
    return count


def _postgres_ended(number: signal.Signals) -> Fault:
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
async def _backends_killed(scene: Scene) -> AsyncIterator[Effect]:
    connection = await scene.cluster.connect()
    try:
        killed = await connection.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE usename LIKE 'chairside%' AND hashint4(pid) % 2 = 0"
        )
    finally:
        await connection.close()
    yield lambda: asyncio.sleep(0, len(killed))


@asynccontextmanager
async def _doubled(scene: Scene) -> AsyncIterator[Effect]:
    """Send Invalidate again for old events, at both processes, in any order."""
    connection = await scene.cluster.connect()
    try:
        rows = await connection.fetch(
            "SELECT event FROM idempotent_requests, jsonb_array_elements_text(events->'events')"
            " AS event WHERE response IS NOT NULL ORDER BY random() LIMIT 40"
        )
    finally:
        await connection.close()
    targets = [cache.address for cache in scene.cluster.caches]
    told = 0
    async with AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(target)) for target in targets
        ]
        for row in rows:
            stub = CacheServiceStub(scene.random.choice(channels))
            with suppress(grpc.aio.AioRpcError):
                request = pb.InvalidateRequest(events=[Parse(row["event"], Event())])
                await stub.Invalidate(request, timeout=0.5)
                told += 1
    yield lambda: asyncio.sleep(0, told)


@asynccontextmanager
async def _cancelling(scene: Scene) -> AsyncIterator[Effect]:
    before = scene.load.counts["cancelled"]
    scene.load.cancelling = True
    try:
        yield lambda: asyncio.sleep(0, scene.load.counts["cancelled"] - before)
    finally:
        scene.load.cancelling = False
