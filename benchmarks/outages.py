"""What outages cost a mutation, and how soon is seen what nobody acknowledged.

The system is the one of the fault runs: two cache and two booking processes, Valkey,
Postgres, every connection through a proxy. Appointments are booked at a steady pace, however
long the ones before take, while Redis is lost in one way or another, or a process stops.
"""

from __future__ import annotations

import asyncio
import math
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING
from uuid import uuid4

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from benchmarks.report import Bound, Section
from benchmarks.unacknowledged import measure_unacknowledged
from cache_service.coherence.lease import LEASE_SECONDS, MARGIN_SECONDS
from chairside.booking.v1 import booking_service_pb2 as pb
from chairside.booking.v1.booking_service_pb2_grpc import BookingServiceStub
from tests.faults.answers import calls_of
from tests.faults.cluster import Cluster
from tests.faults.processes import family, frozen
from tests.faults.proxy import Direction
from tests.faults.scenarios import served_from_cache
from tests.faults.shop import Shop, open_shop
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    import asyncpg

    from chairside.booking.v1.booking_service_pb2_grpc import BookingServiceAsyncStub

__all__ = ["measure"]

_PACE = 0.1
_PATIENCE = 30.0
_SPAN = 2.6
"""Seconds of each outage: the patience with Redis, a lease, and as long again."""
_RUN_OUT = LEASE_SECONDS + MARGIN_SECONDS
_REDIS_BOUND, _PROCESS_BOUND, _LATER_BOUND = LEASE_SECONDS + 0.8, LEASE_SECONDS + 0.5, 0.25
_OFF = "SELECT redis_identity IS NULL FROM authority"
_EXPELLED = "SELECT EXISTS (SELECT FROM members WHERE expelled_at IS NOT NULL)"

Outage = Callable[[Cluster], "AbstractAsyncContextManager[object]"]


@asynccontextmanager
async def _killed(cluster: Cluster) -> AsyncIterator[None]:
    primary = cluster.valkeys.primary
    await primary.kill()
    try:
        yield
    finally:
        await cluster.valkeys.restore()


def _cut(direction: Direction) -> Outage:
    @asynccontextmanager
    async def outage(cluster: Cluster) -> AsyncIterator[None]:
        for proxy in cluster.proxies["cache-redis"]:
            proxy.hold(direction)
        try:
            yield
        finally:
            for proxy in cluster.proxies["cache-redis"]:
                proxy.heal(lose=True)

    return outage


_OUTAGES: dict[str, tuple[Outage, str, float]] = {
    "Redis killed": (_killed, _OFF, _REDIS_BOUND),
    "Redis frozen": (lambda at: frozen(family(at.valkeys.primary)), _OFF, _REDIS_BOUND),
    "Redis cut, requests": (_cut(Direction.REQUESTS), _OFF, _REDIS_BOUND),
    "Redis cut, replies": (_cut(Direction.REPLIES), _OFF, _REDIS_BOUND),
    "a cache process stopped": (lambda at: frozen(family(at.caches[0])), _EXPELLED, _PROCESS_BOUND),
}
"""How it is lost, what shows in the authority that it was noticed, and the promise."""


@dataclass(slots=True)
class _Waits:
    """Seconds that bookings took: the first, those until a lease after it was noticed, later."""

    ordinary: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    within: list[float] = field(default_factory=list)
    later: list[float] = field(default_factory=list)
    unapplied: int = 0


async def measure(times: int, kills: int) -> list[Section]:
    """Have each outage so many times, and kill so often between commit and Invalidate."""
    with tempfile.TemporaryDirectory(prefix="chairside-outages-") as name:
        directory = Path(name)
        directory.chmod(0o755)  # noqa: ASYNC240 - nothing else runs yet
        async with Cluster(directory, Random(1)) as cluster:  # noqa: S311 - delays of proxies
            waits = {kind: _Waits() for kind in _OUTAGES}
            for _ in range(times):
                for kind, (outage, noticed, _) in _OUTAGES.items():
                    await _lose(cluster, outage, noticed, waits[kind])
            return [_section(waits, times), await measure_unacknowledged(cluster, kills)]


def _bookings(shop: Shop) -> Iterator[pb.CreateAppointmentRequest]:
    """Make requests for all half hours of a shop, each free."""
    for day in shop.days:
        for start in shop.starts(day)[::2]:
            for barber in shop.barbers:
                yield pb.CreateAppointmentRequest(
                    organization_id=shop.organization_id,
                    request_id=str(uuid4()),
                    barber_id=barber,
                    service_id=min(shop.services),
                    client_id=shop.clients[0],
                    start_time=Timestamp(seconds=start),
                )


async def _lose(cluster: Cluster, outage: Outage, noticed: str, waits: _Waits) -> None:
    async with AsyncExitStack() as stack:
        connection = await cluster.connect()
        stack.push_async_callback(connection.close)
        shop = await open_shop(connection)
        for process in (0, 1):
            await served_from_cache(cluster, process, calls_of(shop)[-1])
        # The first cache process may be the one that stops: the second one's mutations count.
        channel = grpc.aio.insecure_channel(cluster.bookings[1].address)
        stub = BookingServiceStub(await stack.enter_async_context(channel))
        requests = _bookings(shop)
        await _book(stub, next(requests), waits)
        for _ in range(10):
            waits.ordinary.append((await _book(stub, next(requests), waits))[1])
        async with outage(cluster):
            seen = asyncio.create_task(_when(connection, noticed))
            calls = []
            end = time.monotonic() + _SPAN
            while (now := time.monotonic()) < end:
                calls.append(asyncio.create_task(_book(stub, next(requests), waits)))
                await asyncio.sleep(max(0.0, now + _PACE - time.monotonic()))
            took = await asyncio.gather(*calls)
            waits.first.append(took[0][1])
            until = await seen + _RUN_OUT
        for began, seconds in took[1:]:
            (waits.within if began < until else waits.later).append(seconds)


async def _when(connection: asyncpg.Connection, noticed: str) -> float:
    async def is_noticed() -> bool:
        return bool(await connection.fetchval(noticed))

    await eventually(is_noticed, seconds=_SPAN)
    return time.monotonic()


async def _book(
    stub: BookingServiceAsyncStub, request: pb.CreateAppointmentRequest, waits: _Waits
) -> tuple[float, float]:
    """Book; return when it began and the seconds that it took."""
    began = time.monotonic()
    answer = await stub.CreateAppointment(request, timeout=_PATIENCE)
    waits.unapplied += not answer.cache_applied
    return began, time.monotonic() - began


def _section(waits: dict[str, _Waits], times: int) -> Section:
    def shown(seconds: list[float]) -> str:
        found = sorted(seconds)
        return f"{found[len(found) // 2]:.2f} s, {found[-1]:.2f} s"

    late = {kind: max(*found.first, *found.within) for kind, found in waits.items()}
    redis = max(late[kind] for kind, (_, noticed, _) in _OUTAGES.items() if noticed == _OFF)
    process = max(late[kind] for kind, (_, noticed, _) in _OUTAGES.items() if noticed != _OFF)
    # Of many hundreds one may meet a pause of the machine itself.
    later = {kind: sorted(found.later) for kind, found in waits.items()}
    latest = max(found[math.ceil(0.99 * len(found)) - 1] for found in later.values())
    unapplied = sum(found.unapplied for found in waits.values())
    return Section(
        title="What a mutation waits for when Redis or a cache process is lost",
        command=f"python -m benchmarks outages --times {times}",
        about=(
            f"CreateAppointment, every {_PACE * 1000:.0f} ms from the moment of the loss on, each\n"
            f"loss {times} times: median and longest. The first booking notices; those until a\n"
            "lease (1 s and 3 %) after that was written down wait for what is left of it; later\n"
            "ones wait for nothing. Longer waits, as in the table of docs/guarantees.md, are of\n"
            "faults that follow each other, and of repeats by the same request."
        ),
        columns=("Lost", "Before", "First", "Within a lease", "Later"),
        rows=[
            (kind, *map(shown, (found.ordinary, found.first, found.within, found.later)))
            for kind, found in waits.items()
        ],
        bounds=(
            _seconds("Redis lost, longest", _REDIS_BOUND, redis),
            _seconds("a process stopped, longest", _PROCESS_BOUND, process),
            _seconds("later ones, 99 % of each", _LATER_BOUND, latest),
            Bound("acknowledged without being applied", "0", str(unapplied), not unapplied),
        ),
    )


def _seconds(name: str, bound: float, found: float) -> Bound:
    return Bound(name, f"at most {bound:g} s", f"{found:.2f} s", found <= bound)
