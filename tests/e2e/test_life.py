"""Processes that end, die and come back while others call them."""

import asyncio
import re
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import grpc
import pytest

from chairside.booking.v1 import booking_service_pb2 as pb
from chairside.booking.v1.booking_service_pb2_grpc import BookingServiceStub
from chairside.cache.v1 import cache_service_pb2
from chairside.cache.v1.cache_service_pb2_grpc import CacheServiceStub
from devstack.ports import free_port
from devstack.services import ServiceProcess
from service_kit.values import from_timestamp, to_date
from tests.conftest import NewSystem
from tests.e2e.programs import scrape
from tests.integration.booking.house import MONDAY, Shop, open_house, open_shop, request_id
from tests.support.failures import failure
from tests.support.stack import System
from tests.support.waiting import eventually

NINE = MONDAY + timedelta(hours=1)
WEEK = timedelta(days=7)


@dataclass(slots=True)
class Town:
    """Both services, a shop, and a connection of the database's owner."""

    system: System
    shop: Shop
    sql: asyncpg.Connection

    @asynccontextmanager
    async def stubs(self) -> AsyncIterator[tuple[Any, Any]]:
        """Connect anew to both: channels that saw a process die wait before they try again."""
        async with (
            grpc.aio.insecure_channel(self.system.cache.address) as cache,
            grpc.aio.insecure_channel(self.system.booking.address) as booking,
        ):
            yield CacheServiceStub(cache), BookingServiceStub(booking)

    def asking(self, start: datetime) -> cache_service_pb2.GetAvailabilityRequest:
        """Ask for the first barber's day."""
        return cache_service_pb2.GetAvailabilityRequest(
            organization_id=self.shop.id,
            barber_ids=self.shop.barbers[:1],
            service_id=self.shop.service,
            start_date=to_date(start.date()),
        )

    async def offers(self, cache: Any, start: datetime) -> bool:
        """Tell whether a default read offers that time."""
        answer = await cache.GetAvailability(self.asking(start), timeout=10)
        return start in {from_timestamp(slot.start_time) for slot in answer.barbers[0].slots}

    async def is_told(self) -> bool:
        """Tell whether the booking service reaches the cache: after an outage within a second."""
        request = pb.CreateClientRequest(organization_id=self.shop.id, name="Bob")
        async with self.stubs() as (_, booking):
            return bool((await booking.CreateClient(request, timeout=10)).cache_applied)

    async def nothing_waits(self) -> bool:
        """Tell whether the outbox is empty."""
        return not await self.sql.fetchval("SELECT count(*) FROM outbox")


@pytest.fixture(scope="module")
async def town(new_system: NewSystem) -> AsyncIterator[Town]:
    """Run both services on fixed ports, so that one that comes back is found again."""
    variables = {
        "CHAIRSIDE_CLOCK_START": MONDAY.isoformat(),
        "CHAIRSIDE_CACHE_LISTEN": f"127.0.0.1:{free_port()}",
        "CHAIRSIDE_BOOKING_LISTEN": f"127.0.0.1:{free_port()}",
        "CHAIRSIDE_CACHE_LOAD_QUEUE": "1000",
        "CHAIRSIDE_BOOKING_CACHE_TIMEOUT": "20",
        # What waits for a lock of a test is not to be given up before the test is done.
        "CHAIRSIDE_CACHE_STATEMENT_TIMEOUT": "60",
        "CHAIRSIDE_BOOKING_STATEMENT_TIMEOUT": "60",
    }
    async with new_system(variables) as system, open_house(system.database) as house:
        shop = await open_shop(house)
        connection = await asyncpg.connect(system.database.url)
        yield Town(system, shop, connection)
        await connection.close()


def metric(text: str, name: str) -> float:
    """Add up a metric's values."""
    found = re.findall(rf"^{name}(?:\{{[^}}]*\}})? (\S+)$", text, re.MULTILINE)
    assert found, name
    return sum(map(float, found))


async def outcome(call: Awaitable[object]) -> str:
    """Return a call's code by name."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code().name
    return "OK"


def times() -> Iterator[datetime]:
    """Go through times of which none meets another: six a day, for two months."""
    for day in range(1, 60):
        for hour in range(6):
            yield NINE + timedelta(days=day, hours=hour)


async def test_cancelled_calls_leave_nothing_open(town: Town) -> None:
    """Half of 400 callers hang up while all wait; the others are answered, and none stays open."""
    request = pb.SearchAvailabilityRequest(
        organization_id=town.shop.id, service_id=town.shop.service
    )

    async def waited_for() -> bool:
        return metric(await scrape(town.system.booking), "grpc_server_open_calls") > 20

    async with town.stubs() as (_, booking):
        calls = []
        async with town.sql.transaction():
            await town.sql.execute("LOCK TABLE special_hours IN ACCESS EXCLUSIVE MODE")
            for number in range(400):
                request.start_date.CopyFrom(to_date((NINE + WEEK + number * WEEK / 70).date()))
                calls.append(booking.SearchAvailability(request, timeout=20))
            outcomes = [asyncio.ensure_future(outcome(call)) for call in calls]
            await eventually(waited_for)
            for call in calls[::2]:
                call.cancel()
        codes = await asyncio.gather(*outcomes, return_exceptions=True)
        assert set(codes[1::2]) == {"OK"}
        assert sum(code != "OK" for code in codes[::2]) > 50  # the control: they did hang up

        async def nothing_open() -> bool:
            processes = town.system.booking, town.system.cache
            texts = [await scrape(process) for process in processes]
            booking, cache = [metric(text, "grpc_server_open_calls") for text in texts]
            return booking == 0 and cache <= 1  # the stream that the booking service reads on

        await eventually(nothing_open)
        assert 'grpc_code="CANCELLED"' in await scrape(town.system.booking)
        assert await outcome(booking.SearchAvailability(request, timeout=20)) == "OK"


async def test_bookings_go_on_while_the_cache_service_is_dead(town: Town) -> None:
    """Killed during bookings none fails; the next process applies what it missed."""
    chosen = list(times())[:36]
    async with town.stubs() as (cache, _):
        for start in chosen:
            assert await town.offers(cache, start)  # cached: what a stale read would show
    applied = {}
    async with town.stubs() as (_, booking):
        for number, start in enumerate(chosen):
            if number == len(chosen) // 3:
                await town.system.cache.kill()
            answer = await booking.CreateAppointment(town.shop.request(start), timeout=10)
            applied[start] = answer.cache_applied
    assert list(applied.values()) == [number < len(chosen) // 3 for number in range(len(chosen))]
    assert not await town.nothing_waits()
    await town.system.cache.restart()
    await eventually(town.nothing_waits)
    async with town.stubs() as (cache, _):
        for start in chosen:
            assert not await town.offers(cache, start)
    assert metric(await scrape(town.system.cache), "chairside_cache_relayed_events_total") >= 24
    await eventually(town.is_told)


async def test_a_commit_that_nobody_told_of_is_relayed_and_repeated(town: Town) -> None:
    """The booking service dies after its commit; reads follow, and a repeat gets its answer."""
    start, booked_by = NINE + 9 * WEEK, request_id()
    request = town.shop.request(start, request_id=booked_by)
    relayed = metric(await scrape(town.system.cache), "chairside_cache_relayed_events_total")
    async with town.stubs() as (cache, booking):
        assert await town.offers(cache, start)
        town.system.cache.signal(signal.SIGSTOP)
        try:
            booking_it = asyncio.ensure_future(outcome(booking.CreateAppointment(request)))

            async def committed() -> Any:
                return await town.sql.fetchval(
                    "SELECT id FROM appointments WHERE starts_at = $1", start
                )

            appointment_id = await eventually(committed)
            await town.system.booking.kill()
            assert await booking_it == "UNAVAILABLE"
            assert not await town.nothing_waits()
        finally:
            town.system.cache.signal(signal.SIGCONT)
        await eventually(town.nothing_waits)
        assert not await town.offers(cache, start)
    text = await scrape(town.system.cache)
    assert metric(text, "chairside_cache_relayed_events_total") > relayed
    await town.system.booking.restart()
    async with town.stubs() as (_, booking):
        repeated = await booking.CreateAppointment(request)
        assert repeated.appointment.appointment_id == appointment_id
        other = town.shop.request(start + timedelta(hours=1), request_id=booked_by)
        assert (await failure(booking.CreateAppointment(other))).fields == ["request_id"]
    assert (
        await town.sql.fetchval("SELECT count(*) FROM appointments WHERE starts_at = $1", start)
        == 1
    )


@pytest.mark.parametrize("name", ["booking", "cache"])
async def test_sigterm_under_load_fails_no_call_that_has_begun(town: Town, name: str) -> None:
    """What has begun is answered, what is new is UNAVAILABLE, and the exit code is 0."""
    process: ServiceProcess = getattr(town.system, name)
    shop = town.shop
    user = pb.GetAppointmentRequest(organization_id=shop.id, appointment_id=1)
    codes: Counter[str] = Counter()

    async with town.stubs() as (cache, booking):

        async def caller() -> None:
            code = ""
            while code != "UNAVAILABLE":
                call = (
                    booking.GetAppointment(user, timeout=10)
                    if name == "booking"
                    else cache.GetAvailability(town.asking(NINE), timeout=10)
                )
                code = await outcome(call)
                codes[code] += 1

        # This call has begun: it waits for a row, or for a table, that we hold.
        transaction = town.sql.transaction()
        await transaction.start()
        await town.sql.execute("LOCK TABLE clients IN ACCESS EXCLUSIVE MODE")
        begun = asyncio.ensure_future(
            booking.UpdateClient(
                pb.UpdateClientRequest(
                    organization_id=shop.id,
                    client={"client_id": shop.client, "name": "Eve"},
                    update_mask={"paths": ["name"]},
                ),
                timeout=30,
            )
            if name == "booking"
            else cache.GetUserData(
                cache_service_pb2.GetUserDataRequest(
                    organization_id=shop.id, client_id=shop.client
                ),
                timeout=30,
            )
        )
        second = await asyncpg.connect(town.system.database.url)

        async def waits() -> bool:
            return bool(await second.fetchval("SELECT 1 FROM pg_locks WHERE NOT granted"))

        await eventually(waits)
        callers = [asyncio.ensure_future(caller()) for _ in range(20)]

        async def busy() -> bool:
            return codes["OK"] > 100

        await eventually(busy, seconds=20)
        process.signal(signal.SIGTERM)
        await asyncio.gather(*callers)
        assert not begun.done()
        await transaction.rollback()
        await second.close()
        assert (await begun).client.name
    assert await process.wait() == 0
    assert set(codes) == {"OK", "UNAVAILABLE"}
    assert codes["UNAVAILABLE"] == len(callers)
    await process.start()
