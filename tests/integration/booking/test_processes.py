"""Booking as real processes, over the real cache service."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import count
from pathlib import Path
from urllib.request import urlopen

import asyncpg
import grpc
import pytest

from chairside.booking.v1 import booking_service_pb2 as pb
from chairside.booking.v1.booking_service_pb2_grpc import BookingServiceStub
from devstack.services import ServiceProcess
from tests.conftest import NewSystem
from tests.integration.booking.house import (
    MONDAY,
    Shop,
    day,
    every_day,
    open_house,
    open_shop,
    stamp,
)
from tests.support.failures import read_failure
from tests.support.stack import System
from tests.support.waiting import in_time

NINE = MONDAY + timedelta(hours=1)
WHEN = {"CHAIRSIDE_CLOCK_START": "2025-06-02T12:00:00Z"}
# Hundreds wait for two barbers.
PATIENT = WHEN | {
    "CHAIRSIDE_BOOKING_DEFAULT_DEADLINE": "60",
    "CHAIRSIDE_BOOKING_POOL_TIMEOUT": "60",
    "CHAIRSIDE_BOOKING_STATEMENT_TIMEOUT": "60",
}


@pytest.fixture(scope="module")
async def town(new_system: NewSystem) -> AsyncIterator[tuple[System, Shop]]:
    """Run both services on a Monday morning, with a shop that opened before."""
    async with new_system(PATIENT) as system, open_house(system.database) as house:
        yield system, await open_shop(house)


def search(shop: Shop) -> pb.SearchAvailabilityRequest:
    """Ask for the Monday of the first barber."""
    return pb.SearchAvailabilityRequest(
        organization_id=shop.id,
        barber_ids=shop.barbers[:1],
        service_id=shop.service,
        start_date=day(2025, 6, 2),
    )


async def test_a_booked_slot_is_gone_from_the_next_search(town: tuple[System, Shop]) -> None:
    """Search, book, search: the acknowledged booking is not offered, and its event is deleted."""
    system, shop = town
    stub = BookingServiceStub(system.booking_channel)
    before = await stub.SearchAvailability(search(shop))
    first = before.barbers[0].slots[0].start_time
    again = await stub.SearchAvailability(search(shop))
    assert again.barbers[0].slots[0].start_time == first
    request = shop.request(NINE)
    request.start_time.CopyFrom(first)
    booked = await stub.CreateAppointment(request)
    assert booked.cache_applied
    after = await stub.SearchAvailability(search(shop))
    assert first not in [slot.start_time for slot in after.barbers[0].slots]
    dashboard = await stub.GetDashboard(pb.GetDashboardRequest(organization_id=shop.id))
    assert len(dashboard.revenue.series) == 30
    connection = await asyncpg.connect(system.database.url)
    async with asyncio.timeout(10):
        while await connection.fetchval("SELECT count(*) FROM outbox"):  # noqa: ASYNC110 - a table
            await asyncio.sleep(0.01)
    await connection.close()


async def test_two_processes_never_book_one_time_twice(
    town: tuple[System, Shop], tmp_path: Path
) -> None:
    """Bookings and moves both ways, through two processes at once, leave no overlap."""
    system, shop = town
    second = ServiceProcess(
        "booking_service",
        {
            "CHAIRSIDE_BOOKING_LISTEN": "127.0.0.1:0",
            "CHAIRSIDE_BOOKING_METRICS_LISTEN": "127.0.0.1:0",
            "CHAIRSIDE_BOOKING_DATABASE_URL": system.database.booking_url,
            "CHAIRSIDE_BOOKING_CACHE_TARGET": system.cache.address,
            **PATIENT,
        },
        tmp_path,
    )
    async with second, grpc.aio.insecure_channel(second.address) as channel:
        stubs = [BookingServiceStub(system.booking_channel), BookingServiceStub(channel)]
        week = timedelta(days=7)
        moving = [
            (
                await stubs[n % 2].CreateAppointment(
                    shop.request(NINE + week + timedelta(hours=n), barber_id=shop.barbers[n % 2])
                )
            ).appointment.appointment_id
            for n in range(6)
        ]
        calls = []
        for n in range(300):
            at = NINE + week + timedelta(minutes=5 * (n * 7 % 80))
            stub, barber = stubs[n % 2], shop.barbers[n // 2 % 2]
            if n % 3:
                calls.append(stub.CreateAppointment(shop.request(at, barber_id=barber)))
            else:
                calls.append(
                    stub.RescheduleAppointment(
                        pb.RescheduleAppointmentRequest(
                            organization_id=shop.id,
                            appointment_id=moving[n % 6],
                            barber_id=barber,
                            start_time=stamp(at),
                        )
                    )
                )
        outcomes = Counter(await asyncio.gather(*map(_outcome, calls)))
    assert set(outcomes) == {"OK", "SLOT_TAKEN"}
    connection = await asyncpg.connect(system.database.url)
    overlaps = await connection.fetchval(
        "SELECT count(*) FROM appointments a JOIN appointments b ON a.barber_id = b.barber_id"
        " AND a.id < b.id AND a.blocked && b.blocked"
        " WHERE a.status <> 'cancelled' AND b.status <> 'cancelled'"
    )
    await connection.execute("SELECT pg_stat_force_next_flush()")
    deadlocks = await connection.fetchval(
        "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    )
    await connection.close()
    assert (overlaps, deadlocks) == (0, 0)


async def test_a_cache_service_that_dies_fails_no_mutation(new_system: NewSystem) -> None:
    """With the cache service stopped a booking succeeds unapplied, and searching is UNAVAILABLE."""
    async with new_system(WHEN) as system, open_house(system.database) as house:
        shop = await open_shop(house, barbers=1)
        stub = BookingServiceStub(system.booking_channel)
        assert (await stub.CreateAppointment(shop.request(NINE))).cache_applied
        await system.cache.stop()
        response = await stub.SetWeeklyHours(
            pb.SetWeeklyHoursRequest(
                organization_id=shop.id, barber_id=shop.barbers[0], weekdays=every_day(10, 12)
            )
        )
        assert not response.cache_applied
        told = await asyncio.to_thread(_metrics, system.booking.metrics_port)
        assert 'chairside_booking_invalidations_total{outcome="applied"} 1.0' in told
        assert 'chairside_booking_invalidations_total{outcome="failed"} 1.0' in told
        try:
            await stub.SearchAvailability(search(shop))
        except grpc.aio.AioRpcError as error:
            failed = read_failure(error)
            assert (failed.code, failed.reason) == ("UNAVAILABLE", "CACHE_SERVICE_UNAVAILABLE")
        else:
            pytest.fail("nobody could have answered")


async def test_a_mutation_is_applied_although_redis_is_dead(new_system: NewSystem) -> None:
    """With Redis killed a booking waits for the leases once, and is applied all the same.

    If the cache cannot ask the authority either, it is not; a caller in a hurry is not kept.
    """
    async with new_system(WHEN) as system, open_house(system.database) as house:
        shop = await open_shop(house, barbers=1)
        stub = BookingServiceStub(system.booking_channel)
        slots = (NINE + timedelta(minutes=40 * number) for number in count())
        before = await stub.SearchAvailability(search(shop))
        assert before.barbers[0].slots[0].start_time == stamp(NINE)
        await system.valkey.kill()
        # Three of these together are shorter than what the first must wait for.
        hurried = await in_time(
            lambda: stub.CreateAppointment(shop.request(next(slots)), timeout=0.4)
        )
        assert not hurried.cache_applied
        assert (await stub.CreateAppointment(shop.request(next(slots)))).cache_applied
        after = await stub.SearchAvailability(search(shop))
        assert after.barbers[0].slots[0].start_time.seconds > stamp(NINE).seconds + 40 * 60
        # Nobody waits any more: a deadline that leaves no time for a lease is long enough now.
        assert (await stub.CreateAppointment(shop.request(next(slots)), timeout=1)).cache_applied
        await house.sql("REVOKE SELECT ON authority FROM chairside_cache")
        assert not (await stub.CreateAppointment(shop.request(next(slots)))).cache_applied


def _metrics(port: int) -> str:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:
        return str(response.read().decode())


async def _outcome(call: "grpc.aio.UnaryUnaryCall") -> str:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return read_failure(error).reason
    return "OK"
