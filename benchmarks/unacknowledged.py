"""How soon is seen what committed and was never told: G2, by killed and cut off processes."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import statistics
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from benchmarks.report import Bound, Section
from chairside.booking.v1 import booking_service_pb2 as booking_pb
from chairside.booking.v1.booking_service_pb2_grpc import BookingServiceStub
from chairside.cache.v1 import cache_service_pb2 as pb
from tests.faults.answers import Call, calls_of
from tests.faults.proxy import Direction, Link
from tests.faults.scenarios import served_from_cache
from tests.faults.shop import Shop, open_shop
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.faults.cluster import Cluster
    from tests.faults.history import Query

__all__ = ["measure_unacknowledged"]

_BOUND = 1.0
_POLL = 0.01
_CUT_OFF = 200
_PACE = 0.1
_COMMIT = b"COMMIT;"
_PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class _Slot:
    """Half an hour of a barber's day: the entry that shows it, and its start."""

    query: Query
    start: int


@dataclass(slots=True)
class _Watch:
    """Readers of both caches: `began` has what waits to be seen there, `took` what was."""

    began: list[dict[_Slot, float]] = field(default_factory=lambda: [{}, {}])
    took: dict[_Slot, float] = field(default_factory=dict)
    old: int = 0
    told: int = 0

    def booked(self, slot: _Slot, at: float) -> None:
        """Wait for it to be taken, in the answers of both."""
        for began in self.began:
            began[slot] = at

    async def read(self, channel: grpc.aio.Channel, call: Call, process: int) -> None:
        """Ask again and again, every 10 ms, until it is cancelled."""
        method: Any = channel.unary_unary(f"/chairside.cache.v1.CacheService/{call.method}")
        began = self.began[process]
        while True:
            answer = pb.GetAvailabilityResponse.FromString(
                await method(call.request, timeout=_PATIENCE)
            )
            now = time.monotonic()
            free = dict(call.parse(answer))
            for slot in list(began):
                if slot.start in free[slot.query]:
                    self.old += 1
                else:
                    seconds = now - began.pop(slot)
                    self.took[slot] = max(seconds, self.took.get(slot, 0.0))
            await asyncio.sleep(_POLL)

    async def all_seen(self) -> None:
        """Wait until nothing waits to be seen."""

        async def seen() -> bool:
            return not any(self.began)

        await eventually(seen, seconds=_PATIENCE)


async def measure_unacknowledged(cluster: Cluster, kills: int) -> Section:
    """Kill a booking process so often after its COMMIT, and cut it off from the cache 200 times."""
    async with AsyncExitStack() as stack:
        connection = await cluster.connect()
        stack.push_async_callback(connection.close)
        killed, cut_off = _Watch(), _Watch()
        for watch, book in ((killed, _killed), (cut_off, _cut_off)):
            shop = await open_shop(connection)
            all_days = len(shop.barbers) * len(shop.days)
            call = next(one for one in calls_of(shop) if len(one.touches) == all_days)
            async with asyncio.TaskGroup() as group:
                readers = []
                for process, service in enumerate(cluster.caches):
                    await served_from_cache(cluster, process, call)
                    channel = grpc.aio.insecure_channel(service.address)
                    await stack.enter_async_context(channel)
                    readers.append(group.create_task(watch.read(channel, call, process)))
                await book(cluster, shop, watch, kills)
                for reader in readers:
                    reader.cancel()
    return _section(killed, cut_off, kills)


def _slots(shop: Shop) -> Iterator[tuple[_Slot, booking_pb.CreateAppointmentRequest]]:
    """Give all half hours, the barbers and days in turn."""
    service = min(shop.services)
    for half in range(8):
        for day in shop.days:
            for barber in shop.barbers:
                start = shop.starts(day)[2 * half]
                yield (
                    _Slot(("free", barber, service, day.toordinal()), start),
                    booking_pb.CreateAppointmentRequest(
                        organization_id=shop.organization_id,
                        request_id=str(uuid4()),
                        barber_id=barber,
                        service_id=service,
                        client_id=shop.clients[0],
                        start_time=Timestamp(seconds=start),
                    ),
                )


async def _killed(cluster: Cluster, shop: Shop, watch: _Watch, times: int) -> None:
    """Kill the process that books when the answer to its COMMIT comes; start another one."""
    slots = _slots(shop)
    booking, proxy = cluster.bookings[0], cluster.proxies["booking-postgres"][0]
    while len(watch.took) < times:
        slot, request = next(slots)
        struck: list[float] = []

        def strike(
            link: Link, direction: Direction, data: bytes, struck: list[float] = struck
        ) -> bool:
            if direction is Direction.REQUESTS:
                link.committing = _COMMIT in data
            elif link.committing and not struck:
                struck.append(time.monotonic())
                os.killpg(booking.pid, signal.SIGKILL)
            return False

        async with grpc.aio.insecure_channel(booking.address) as channel:
            proxy.taps.append(strike)
            with suppress(grpc.aio.AioRpcError):
                await BookingServiceStub(channel).CreateAppointment(request, timeout=_PATIENCE)
            proxy.taps.remove(strike)
        watch.booked(slot, struck[0])
        await booking.wait()
        await watch.all_seen()
        await booking.start()


async def _cut_off(cluster: Cluster, shop: Shop, watch: _Watch, _times: int) -> None:
    """Book at a steady pace; no booking process can reach a cache."""
    proxies = cluster.proxies["booking-cache"]
    for proxy in proxies:
        proxy.cut()
    try:
        async with grpc.aio.insecure_channel(cluster.bookings[1].address) as channel:
            stub = BookingServiceStub(channel)

            async def book(slot: _Slot, request: booking_pb.CreateAppointmentRequest) -> None:
                # Counted from the sending: some milliseconds before the commit.
                watch.booked(slot, time.monotonic())
                answer = await stub.CreateAppointment(request, timeout=_PATIENCE)
                watch.told += answer.cache_applied

            async with asyncio.TaskGroup() as group:
                for (slot, request), _ in zip(_slots(shop), range(_CUT_OFF), strict=False):
                    group.create_task(book(slot, request))
                    await asyncio.sleep(_PACE)
        await watch.all_seen()
    finally:
        for proxy in proxies:
            proxy.heal()


def _section(killed: _Watch, cut_off: _Watch, kills: int) -> Section:
    rows, worst = [], 0.0
    watches = {"booking process killed after COMMIT": killed, "cut off from the cache": cut_off}
    for name, watch in watches.items():
        took = sorted(watch.took.values())
        late = took[math.ceil(0.99 * len(took)) - 1]
        worst = max(worst, late)
        figures = (statistics.median(took), late, took[-1])
        rows.append((name, str(len(took)), *(f"{one:.2f} s" for one in figures)))
    old = killed.old + cut_off.old
    return Section(
        title="How soon is seen what nobody acknowledged",
        command=f"python -m benchmarks outages --kills {kills}",
        about=(
            "From a booking's commit (or its sending, where it was cut off) to the first answer\n"
            "of *both* cache processes that shows it, each asked every 10 ms for all its days.\n"
            f"Until then {old:,} answers did not show it: the control."
        ),
        columns=("Never told", "Times", "Median", "99 % within", "Longest"),
        rows=rows,
        bounds=(
            Bound("99 % seen", f"within {_BOUND:g} s", f"{worst:.2f} s", worst <= _BOUND),
            Bound("told all the same", "0", f"{cut_off.told}", not cut_off.told),
            Bound("answers from before", "more than 0", f"{old:,}", old > 0),
        ),
    )
