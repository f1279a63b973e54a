"""Callers who hang up, of reads and of bookings: nothing of theirs is left over."""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import urlopen
from uuid import uuid4
from zoneinfo import ZoneInfo

import grpc
import pytest
import redis.asyncio

from chairside.booking.v1 import booking_service_pb2 as booking_pb
from chairside.booking.v1.booking_service_pb2_grpc import BookingServiceStub
from devstack.services import ServiceProcess
from tests.integration.cache.pair import MONDAY, Pair, everything_of
from tests.integration.cache.shops import Shop, open_shop
from tests.support.waiting import eventually

SECONDS = float(os.environ.get("CANCELLING_SECONDS", "20"))
READERS, BOOKERS = 40, 10
LOAD_POOL = 8
POOLS = LOAD_POOL + 2 + 2 + 1
"""Connections of a cache process: its loads', the relay's, the looks', and the keeper's."""
BOOKING_POOLS = 10 + 1
"""Of the booking service: for its transactions, and for what it does behind them."""
_IMPATIENCE = 0.01
_KINDS = ("asyncio_tasks", "grpc_server_open_calls")
_LOADS = (
    "chairside_cache_loads_running",
    "chairside_cache_loads_waiting",
    "chairside_cache_shared_loads",
)
_CONNECTIONS = """
SELECT usename, count(*) FROM pg_stat_activity
WHERE usename LIKE 'chairside%' AND datname = current_database() GROUP BY usename
"""


@pytest.fixture
async def booking(pair: Pair, tmp_path: Path) -> AsyncIterator[ServiceProcess]:
    """Run the booking service over the pair's database; it tells the first process."""
    variables = {
        "CHAIRSIDE_BOOKING_LISTEN": "127.0.0.1:0",
        "CHAIRSIDE_BOOKING_METRICS_LISTEN": "127.0.0.1:0",
        "CHAIRSIDE_BOOKING_DATABASE_URL": pair.database.booking_url,
        "CHAIRSIDE_BOOKING_CACHE_TARGET": pair.one.process.address,
    }
    async with ServiceProcess("booking_service", variables, tmp_path) as process:
        yield process


class _Callers:
    """Calls of two shops: days that are cold, bookings of next months, now and then an end."""

    def __init__(self, pair: Pair, shops: list[Shop], stub: Any, clients: list[int]) -> None:
        self.gone = self.answered = 0
        self._pair = pair
        self._shops = shops
        self._stub = stub
        self._clients = clients
        self._chance = random.Random(5)  # noqa: S311 - no secret
        self._today = datetime.now(UTC).date()

    def read(self, number: int) -> Awaitable[object]:
        """Ask a process for a day of sixty."""
        shop = self._shops[number % 2]
        day = MONDAY + timedelta(days=self._chance.randrange(60))
        where: Any = shop.organization_id, shop.services[0], shop.barbers, day, 1
        return self._pair.both[number // 2 % 2].availability(*where)

    def book(self, number: int) -> Awaitable[object]:
        """Book an hour, which may be taken."""
        shop = self._shops[number % 2]
        day = self._today + timedelta(days=self._chance.randrange(2, 60))
        hour = datetime(
            day.year, day.month, day.day, 9 + number % 8, tzinfo=ZoneInfo(shop.time_zone)
        )
        request = booking_pb.CreateAppointmentRequest(
            organization_id=shop.organization_id,
            request_id=str(uuid4()),
            barber_id=shop.barbers[0],
            service_id=shop.services[0],
            client_id=self._clients[number % 2],
            start_time={"seconds": int(hour.timestamp())},
        )
        call: Awaitable[object] = self._stub.CreateAppointment(request, timeout=10)
        return call

    async def hang_up(self, seconds: float) -> None:
        """Go on for so long, half of all callers not waiting for their answers."""
        end = asyncio.get_running_loop().time() + seconds

        async def caller(number: int, begin: Any) -> None:
            while asyncio.get_running_loop().time() < end:
                call = asyncio.ensure_future(begin(number))
                if self._chance.random() < 0.5:
                    await asyncio.wait({call}, timeout=self._chance.random() * _IMPATIENCE)
                    call.cancel()
                with suppress(asyncio.CancelledError, grpc.aio.AioRpcError):
                    await call
                self.gone += call.cancelled()
                self.answered += not call.cancelled()

        async def changer() -> None:
            while asyncio.get_running_loop().time() < end:
                await self._pair.one.stub.Invalidate(everything_of(self._shops[0]))
                await asyncio.sleep(0.02)

        readers = (caller(number, self.read) for number in range(READERS))
        bookers = (caller(number, self.book) for number in range(BOOKERS))
        await asyncio.gather(changer(), *readers, *bookers)

    async def take_all_places(self) -> None:
        """Have as many loads run in each process as may: none of their places is lost."""
        async with self._pair.connection.transaction():
            # A load reads that table.
            await self._pair.connection.execute("LOCK TABLE special_hours IN ACCESS EXCLUSIVE MODE")
            for shop in self._shops:
                await self._pair.one.stub.Invalidate(everything_of(shop))
            calls = [asyncio.ensure_future(self.read(number)) for number in range(400)]

            async def all_taken() -> bool:
                running = [cache.metric(_LOADS[0]) for cache in self._pair.both]
                return running == [LOAD_POOL] * len(running)

            await eventually(all_taken, seconds=20)
        for answer in await asyncio.gather(*calls, return_exceptions=True):
            assert not isinstance(answer, BaseException) or isinstance(answer, grpc.aio.AioRpcError)


async def test_callers_that_hang_up_leave_nothing_behind(
    pair: Pair, held_shop: Shop, booking: ServiceProcess
) -> None:
    """For a while half of all callers hang up: no task, call, load, place or connection stays."""
    shops = [held_shop, await open_shop(pair.connection)]
    add = "INSERT INTO clients (organization_id, name) VALUES ($1, 'C') RETURNING id"
    clients = [await pair.connection.fetchval(add, shop.organization_id) for shop in shops]
    async with (
        redis.asyncio.from_url(pair.valkey.url) as redis_client,
        grpc.aio.insecure_channel(booking.address) as channel,
    ):
        callers = _Callers(pair, shops, BookingServiceStub(channel), clients)

        async def held() -> dict[str, Any]:
            """Tell what is held now, while nobody calls."""
            found: dict[str, Any] = {"redis": len(await redis_client.client_list())}
            for number, cache in enumerate(pair.both):
                found |= {f"{name} {number}": cache.metric(name) for name in (*_KINDS, *_LOADS)}
            found |= {f"{name} booking": _metric(booking, name) for name in _KINDS}
            return found

        async def idle() -> dict[str, Any]:
            found = await held()
            assert not any(value for name, value in found.items() if name.startswith(_LOADS))
            assert not any(value for name, value in found.items() if name.startswith(_KINDS[1]))
            return found

        await callers.take_all_places()
        # What each is at its least: work of the processes' own comes and goes.
        looks = [await eventually(idle) for _ in range(20)]
        before = {name: min(look[name] for look in looks) for name in looks[0]}

        async def as_before() -> bool:
            now = await held()
            assert now == before
            return True

        await eventually(as_before)  # the control: by itself it stays as it is
        await callers.hang_up(SECONDS)
        assert min(callers.gone, callers.answered) > 100 * SECONDS / 10  # the control: they did
        await callers.take_all_places()
        await eventually(as_before)
    connections = dict(await pair.connection.fetch(_CONNECTIONS))
    assert connections["chairside_cache"] <= len(pair.both) * POOLS
    assert connections["chairside_booking"] <= BOOKING_POOLS
    for process in (*(cache.process for cache in pair.both), booking):
        assert "Traceback" not in process.output()


def _metric(process: ServiceProcess, name: str) -> float:
    with urlopen(f"http://127.0.0.1:{process.metrics_port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    (value,) = (line.split()[1] for line in lines if line.split()[0] == name)
    return float(value)
