"""What is acknowledged is no older than what it was built on, acknowledged itself or not.

A change is committed and its Invalidate never arrives; another one that finds it is
acknowledged. The relay may not help: it cannot read the outbox here.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from chairside.booking.v1 import booking_service_pb2 as pb
from chairside.booking.v1.booking_service_pb2_grpc import BookingServiceStub
from chairside.cache.v1 import analytics_pb2, cache_service_pb2, types_pb2
from chairside.cache.v1.cache_service_pb2_grpc import CacheServiceStub
from devstack.services import ServiceProcess
from tests.conftest import NewSystem
from tests.integration.booking.house import (
    HOUR,
    MONDAY,
    Shop,
    cad,
    day,
    every_day,
    open_house,
    open_shop,
    request_id,
    stamp,
)
from tests.support.stack import System

if TYPE_CHECKING:
    from chairside.booking.v1.booking_service_pb2_grpc import BookingServiceAsyncStub

TEN = MONDAY + 2 * HOUR
NEXT_MONTH = TEN + timedelta(days=35)
WHEN = {"CHAIRSIDE_CLOCK_START": "2025-06-02T12:00:00Z"}
FRESH = types_pb2.Consistency(fully_consistent=True)
JUNE = {"start_date": day(2025, 6, 1), "end_date": day(2025, 7, 1)}


@dataclass
class Street:
    """A shop that two booking processes serve; the `silent` one's Invalidates never arrive."""

    system: System
    shop: Shop
    told: "BookingServiceAsyncStub"
    silent: "BookingServiceAsyncStub"
    appointment: int = 0
    payment: int = 0

    async def open(self) -> None:
        """Open a new shop, with an appointment that is paid for."""
        self.shop = await open_shop(self.shop.house)
        booked = await self.told.CreateAppointment(self.shop.request(TEN))
        assert booked.cache_applied
        self.appointment = booked.appointment.appointment_id
        self.payment = (await _pay(self)).payment.payment_id

    async def read(self, consistency: types_pb2.Consistency | None = None) -> list[Any]:
        """Read all that is asked about June."""
        stub = CacheServiceStub(self.system.cache_channel)
        mine = {"organization_id": self.shop.id, "consistency": consistency}
        barber = {"barber_id": self.shop.barbers[0]}
        analytics = cache_service_pb2.GetAnalyticsRequest
        answers = [
            await stub.GetAnalytics(analytics(**mine, **JUNE, appointment_stats={})),
            await stub.GetAnalytics(analytics(**mine, **JUNE, patterns={})),
            await stub.GetAnalytics(
                analytics(**mine, **JUNE, revenue={"group_by": analytics_pb2.GROUP_BY_MONTH})
            ),
            await stub.ListAppointments(cache_service_pb2.ListAppointmentsRequest(**mine, **JUNE)),
            await stub.GetSchedule(cache_service_pb2.GetScheduleRequest(**mine, **barber)),
            await stub.GetBookedSlots(
                cache_service_pb2.GetBookedSlotsRequest(
                    **mine, **barber, start_date=day(2025, 6, 2), end_date=day(2025, 6, 3)
                )
            ),
        ]
        for answer in answers:
            answer.ClearField("cache_info")
        return answers

    def move(self, stub: "BookingServiceAsyncStub", to: datetime) -> Awaitable[Any]:
        """Move the appointment."""
        return stub.RescheduleAppointment(
            pb.RescheduleAppointmentRequest(
                organization_id=self.shop.id, appointment_id=self.appointment, start_time=stamp(to)
            )
        )


Change = Callable[[Street], Awaitable[Any]]


def _move(street: Street) -> Awaitable[Any]:
    return street.move(street.silent, NEXT_MONTH)


async def _move_twice(street: Street) -> Any:
    await street.move(street.silent, NEXT_MONTH + HOUR)
    return await _move(street)


def _new_zone(street: Street) -> Awaitable[Any]:
    return street.silent.UpdateOrganization(
        pb.UpdateOrganizationRequest(
            organization={"organization_id": street.shop.id, "time_zone": "America/Vancouver"},
            update_mask={"paths": ["time_zone"]},
        )
    )


def _shorter_days(stub: "BookingServiceAsyncStub", shop: Shop) -> Awaitable[Any]:
    return stub.SetWeeklyHours(
        pb.SetWeeklyHoursRequest(
            organization_id=shop.id,
            barber_id=shop.barbers[0],
            valid_from=day(2025, 1, 1),
            weekdays=every_day(9, 15),
        )
    )


def _cancel(street: Street) -> Awaitable[Any]:
    return street.told.CancelAppointment(
        pb.CancelAppointmentRequest(
            organization_id=street.shop.id, appointment_id=street.appointment
        )
    )


def _pay(street: Street) -> Awaitable[Any]:
    return street.told.ConfirmPayment(
        pb.ConfirmPaymentRequest(
            organization_id=street.shop.id, appointment_id=street.appointment, amount=cad(7)
        )
    )


def _refund(street: Street) -> Awaitable[Any]:
    return street.told.RefundPayment(
        pb.RefundPaymentRequest(organization_id=street.shop.id, payment_id=street.payment)
    )


def _move_on(street: Street) -> Awaitable[Any]:
    return street.move(street.told, NEXT_MONTH + 2 * HOUR)


def _book(street: Street) -> Awaitable[Any]:
    return street.told.CreateAppointment(street.shop.request(TEN + 4 * HOUR))


CASES: dict[str, tuple[Change, Change]] = {
    "cancelled after a move": (_move, _cancel),
    "paid after a move": (_move, _pay),
    "given back after a move": (_move, _refund),
    "moved after a move": (_move, _move_on),
    "cancelled after two moves": (_move_twice, _cancel),
    "booked after a new zone": (_new_zone, _book),
    # What is so already changes nothing, and is acknowledged all the same.
    "hours that are so already": (
        lambda street: _shorter_days(street.silent, street.shop),
        lambda street: _shorter_days(street.told, street.shop),
    ),
}


@pytest.fixture(scope="module")
async def street(
    new_system: NewSystem, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Street]:
    """Run the services, of which the cache's role may not read the outbox."""
    async with AsyncExitStack() as stack:
        system = await stack.enter_async_context(new_system(WHEN))
        house = await stack.enter_async_context(open_house(system.database))
        second = ServiceProcess(
            "booking_service",
            {
                "CHAIRSIDE_BOOKING_LISTEN": "127.0.0.1:0",
                "CHAIRSIDE_BOOKING_METRICS_LISTEN": "127.0.0.1:0",
                "CHAIRSIDE_BOOKING_DATABASE_URL": system.database.booking_url,
                "CHAIRSIDE_BOOKING_CACHE_TARGET": "127.0.0.1:1",
                **WHEN,
            },
            tmp_path_factory.mktemp("silent"),
        )
        await stack.enter_async_context(second)
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(second.address))
        await house.sql("REVOKE SELECT ON outbox FROM chairside_cache")
        told, silent = BookingServiceStub(system.booking_channel), BookingServiceStub(channel)
        yield Street(system, Shop(house, 0), told, silent)


@pytest.mark.parametrize("pending", [True, False])
@pytest.mark.parametrize("case", CASES)
async def test_what_was_found_unapplied_is_applied_with_what_is_built_on_it(
    street: Street, case: str, *, pending: bool
) -> None:
    """Nothing that was read before is read again; the control: without the pending events, it is.

    The first change was answered as not applied, and until the second nobody sees it.
    """
    first, second = CASES[case]
    await street.open()
    before = await street.read()
    assert not (await first(street)).cache_applied
    assert await street.read() == before
    if not pending:
        await street.shop.house.sql("DELETE FROM outbox")
    assert (await second(street)).cache_applied
    after, true = await street.read(), await street.read(FRESH)
    assert before != true
    assert (after == true) is pending


async def test_a_repeat_is_told_with_what_was_pending(shop: Shop) -> None:
    """The answer that is kept for repeats keeps the pending events, too."""

    async def refuse() -> bool:
        return False

    cache, sql = shop.house.cache, shop.house.sql
    await sql("UPDATE clients SET notes = 'x'")
    cache.answer = refuse
    request = shop.request(TEN, request_id=request_id())
    await shop.house.stub.CreateAppointment(request)
    await sql("DELETE FROM outbox")
    cache.answer = cache.applied
    assert (await shop.house.stub.CreateAppointment(request)).cache_applied
    first, second = ([json.loads(event) for event in events] for events in cache.told)
    assert [list(event) for event in first] == [
        ["organization_id", "appointment"],
        ["organization_id", "client"],
    ]
    assert second == first


async def test_what_was_pending_is_not_deleted_behind(shop: Shop) -> None:
    """Only its own events are: whose the others are deletes them, or the relay."""
    sql = shop.house.sql
    await sql("UPDATE clients SET notes = 'x'")
    (other,) = await sql("SELECT xid::text FROM outbox")
    await shop.house.stub.CreateAppointment(shop.request(TEN))
    (own,) = await sql("SELECT xid::text FROM outbox WHERE event->'appointment' IS NOT NULL")
    assert shop.house.cache.acknowledged == [int(own[0])] != [int(other[0])]
