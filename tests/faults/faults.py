"""Faults of our processes and of callers."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import grpc
from google.protobuf.json_format import Parse

from chairside.cache.v1 import cache_service_pb2 as pb
from chairside.cache.v1.cache_service_pb2_grpc import CacheServiceStub
from chairside.cache.v1.events_pb2 import Event
from devstack.children import Child
from tests.faults.processes import ended, family, frozen, replaced, workers
from tests.faults.scene import Effect, Fault, Scene

__all__ = ["caller_faults", "service_faults"]


def service_faults(*, workers: int) -> dict[str, Fault]:
    """Return the faults of our own processes by their kinds; not two of them at a time."""
    found = {
        "cache killed": _killed(lambda scene: scene.random.choice(scene.cluster.caches)),
        "booking killed": _killed(lambda scene: scene.random.choice(scene.cluster.bookings)),
        "cache frozen": _frozen(lambda scene: scene.random.choice(scene.cluster.caches)),
        "booking frozen": _frozen(lambda scene: scene.random.choice(scene.cluster.bookings)),
    }
    of_several = {
        "cache worker killed": _worker_killed,
        "cache worker frozen": _worker_frozen,
        "cache supervisor killed": _supervisor_killed,
    }
    return found | of_several if workers > 1 else found


def caller_faults() -> dict[str, Fault]:
    """Return the faults of callers by their kinds."""
    return {
        "Invalidate doubled, reordered": _doubled,
        "half of all calls cancelled": _cancelling,
    }


def _killed(choose: Callable[[Scene], Child]) -> Fault:
    @asynccontextmanager
    async def fault(scene: Scene) -> AsyncIterator[Effect]:
        child = choose(scene)
        killed = family(child)
        await child.kill()
        await ended(killed)  # Its port is free only once its workers are gone, too.
        yield lambda: asyncio.sleep(0, len(killed))
        await child.start()

    return fault


def _frozen(choose: Callable[[Scene], Child]) -> Fault:
    @asynccontextmanager
    async def fault(scene: Scene) -> AsyncIterator[Effect]:
        async with frozen(family(choose(scene))) as stopped:
            yield lambda: asyncio.sleep(0, stopped)

    return fault


@asynccontextmanager
async def _worker_killed(scene: Scene) -> AsyncIterator[Effect]:
    service = scene.cluster.crew
    before = workers(service)
    victim = scene.random.choice(before)
    victim.kill()
    yield lambda: asyncio.sleep(0, int(victim not in workers(service)))
    await replaced(service, len(before))


@asynccontextmanager
async def _worker_frozen(scene: Scene) -> AsyncIterator[Effect]:
    victim = scene.random.choice(workers(scene.cluster.crew))
    async with frozen([victim]) as stopped:
        yield lambda: asyncio.sleep(0, stopped)


@asynccontextmanager
async def _supervisor_killed(scene: Scene) -> AsyncIterator[Effect]:
    """Leave the workers alone: they drain, and only then is there another service."""
    service = scene.cluster.crew
    orphans = workers(service)
    service.signal(signal.SIGKILL)
    await service.wait()
    yield lambda: asyncio.sleep(0, len(orphans))
    await ended(orphans)
    await service.start()


@asynccontextmanager
async def _doubled(scene: Scene) -> AsyncIterator[Effect]:
    """Send Invalidate again for old events, at both processes, in any order."""
    connection = await scene.cluster.connect()
    try:
        rows = await connection.fetch(
            "SELECT event FROM request_ids, jsonb_array_elements_text(events->'events')"
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
