"""The stops of the tour. Each checks what it shows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import grpc
import redis.asyncio
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.money_pb2 import Money
from redis.exceptions import RedisError

from chairside.booking.v1 import booking_service_pb2 as booking
from chairside.cache.v1 import cache_service_pb2 as cache
from chairside.cache.v1 import types_pb2
from devstack.demo.caller import Caller, reason_of, timed
from service_kit.values import from_money, from_timestamp, to_money

__all__ = ["STOPS", "Tour"]

_RACERS = 20
_FOUND_WITHIN = 20.0


@dataclass(slots=True)
class Tour:
    """Where the tour is: what it chose and booked so far. `say` prints a line."""

    caller: Caller
    redis_url: str
    say: Callable[[str], None]
    barber: types_pb2.Barber = field(default_factory=types_pb2.Barber)
    service_id: int = 0
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    day: date = date.min
    appointment: types_pb2.Appointment = field(default_factory=types_pb2.Appointment)

    def local(self, instant: Timestamp) -> str:
        """Return an instant as the shop's clock shows it."""
        return f"{from_timestamp(instant).astimezone(self.zone):%a %d %b %Y %H:%M}"

    async def starts(self, day: date) -> set[int]:
        """Return the starts of a day's free slots, in seconds, by a default read."""
        answer = await self.caller.slots(self.barber.barber_id, self.service_id, day)
        return {slot.start_time.seconds for slot in answer.barbers[0].slots}

    def day_of(self, instant: Timestamp) -> date:
        """Return the shop's local day of an instant."""
        return from_timestamp(instant).astimezone(self.zone).date()


def _source(answer: cache.GetAvailabilityResponse) -> str:
    return types_pb2.Source.Name(answer.cache_info.source)


async def read_twice(tour: Tour) -> None:
    """Ask for a week of slots twice: a miss, then a hit."""
    for barber in await tour.caller.barbers():
        for offer in barber.services:
            first = await tour.caller.slots(barber.barber_id, offer.service_id)
            if not first.HasField("next_available"):
                continue
            tour.zone = ZoneInfo(first.time_zone)
            # Not the next day that has any: its first slot may be too near once it is booked.
            next_day = tour.day_of(first.next_available.slot.start_time) + timedelta(days=1)
            later = await tour.caller.slots(barber.barber_id, offer.service_id, next_day)
            if later.HasField("next_available"):
                tour.barber, tour.service_id = barber, offer.service_id
                tour.day = tour.day_of(later.next_available.slot.start_time)
                break
        if tour.service_id:
            break
    assert tour.service_id, "no barber has a free slot"
    scope = cache.Scope(
        organization_id=tour.caller.organization_id, barber_id=tour.barber.barber_id
    )
    await tour.caller.cache.Invalidate(cache.InvalidateRequest(scope=scope))
    for _ in range(2):
        answer, milliseconds = await timed(
            tour.caller.slots(tour.barber.barber_id, tour.service_id, tour.day, days=7)
        )
        count = len(answer.barbers[0].slots)
        tour.say(
            f"   {tour.barber.name}, a week from {tour.day}: {count} free slots, "
            f"{_source(answer)}, {milliseconds:.1f} ms"
        )


async def race(tour: Tour) -> None:
    """Let 20 callers book one slot at once."""
    answer = await tour.caller.slots(tour.barber.barber_id, tour.service_id, tour.day)
    slot = answer.next_available.slot
    results = await asyncio.gather(
        *(tour.caller.book(tour.barber.barber_id, tour.service_id, slot) for _ in range(_RACERS)),
        return_exceptions=True,
    )
    won = [one for one in results if isinstance(one, booking.CreateAppointmentResponse)]
    lost = [reason_of(one) for one in results if isinstance(one, grpc.aio.AioRpcError)]
    tour.say(
        f"   {tour.local(slot.start_time)}: {len(won)} of {_RACERS} booked it, "
        f"{lost.count('SLOT_TAKEN')} got SLOT_TAKEN"
    )
    assert len(won) == 1, "one must win"
    assert lost == ["SLOT_TAKEN"] * (_RACERS - 1), f"the others must get SLOT_TAKEN: {lost}"
    tour.appointment = won[0].appointment
    tour.day = tour.day_of(slot.start_time)
    tour.say(f"   cache_applied: {won[0].cache_applied}")


async def gone(tour: Tour) -> None:
    """See the slot gone, and gone from the cache."""
    taken = tour.appointment.start_time.seconds
    for _ in range(2):
        answer = await tour.caller.slots(tour.barber.barber_id, tour.service_id, tour.day)
        free = {slot.start_time.seconds for slot in answer.barbers[0].slots}
        assert taken not in free, "a slot is offered after it was booked"
        tour.say(f"   not offered any more: {_source(answer)}")


async def move(tour: Tour) -> None:
    """Reschedule to another day: the old day is free, the new one taken, at once."""
    old = tour.appointment.start_time
    later = tour.day + timedelta(days=1)
    answer = await tour.caller.slots(tour.barber.barber_id, tour.service_id, later)
    new = answer.next_available.slot.start_time
    moved = await tour.caller.booking.RescheduleAppointment(
        booking.RescheduleAppointmentRequest(
            organization_id=tour.caller.organization_id,
            appointment_id=tour.appointment.appointment_id,
            start_time=new,
        )
    )
    tour.appointment = moved.appointment
    freed = old.seconds in await tour.starts(tour.day_of(old))
    taken = new.seconds not in await tour.starts(tour.day_of(new))
    tour.say(f"   {tour.local(old)} is free again: {freed}")
    tour.say(f"   {tour.local(new)} is taken: {taken}")
    assert freed, "the old time must be free"
    assert taken, "the new time must be taken"
    tour.day = tour.day_of(new)


async def pay(tour: Tour) -> None:
    """Pay, and see the revenue report move by exactly that."""
    first, end = tour.day - timedelta(days=100), tour.day + timedelta(days=1)
    before = (await tour.caller.revenue(first, end)).revenue.total.revenue
    again = await tour.caller.revenue(first, end)
    amount = Money(currency_code=before.currency_code, units=42, nanos=500_000_000)
    await tour.caller.booking.ConfirmPayment(
        booking.ConfirmPaymentRequest(
            organization_id=tour.caller.organization_id,
            appointment_id=tour.appointment.appointment_id,
            amount=amount,
            method="card",
        )
    )
    after = (await tour.caller.revenue(first, end)).revenue.total.revenue
    code = before.currency_code
    tour.say(
        f"   revenue {from_money(before):,} {code} "
        f"({types_pb2.Source.Name(again.cache_info.source)}), paid {from_money(amount):,}, "
        f"revenue {from_money(after):,} {code}"
    )
    expected = to_money(from_money(before) + from_money(amount), code)
    assert after == expected, "the report must show the payment"


async def without_redis(tour: Tour) -> None:
    """Kill Redis: reads come from the database, bookings succeed; then it comes back."""
    client = redis.asyncio.Redis.from_url(tour.redis_url)
    try:
        await client.shutdown(nosave=True, now=True, force=True)
    except RedisError:
        tour.say("   Redis does not answer any more")
    finally:
        await client.aclose()
    answer, milliseconds = await timed(
        tour.caller.slots(tour.barber.barber_id, tour.service_id, tour.day)
    )
    tour.say(f"   slots without it: {_source(answer)}, {milliseconds:.1f} ms")
    booked, milliseconds = await timed(
        tour.caller.book(tour.barber.barber_id, tour.service_id, answer.next_available.slot)
    )
    tour.say(
        f"   booked without it; cache_applied: {booked.cache_applied}, after "
        f"{milliseconds:.0f} ms: by then no process serves from it"
    )
    assert booked.cache_applied, "the cache must be off by now"
    start = booked.appointment.start_time
    assert start.seconds not in await tour.starts(tour.day_of(start)), "still offered"
    async with asyncio.timeout(_FOUND_WITHIN):
        while True:
            answer = await tour.caller.slots(tour.barber.barber_id, tour.service_id, tour.day)
            if answer.cache_info.source != types_pb2.SOURCE_DATABASE:
                break
            await asyncio.sleep(0.2)
    assert start.seconds not in await tour.starts(tour.day_of(start)), "offered again"
    tour.say(f"   Redis is back: {_source(answer)}, and the slot is still taken")


STOPS: tuple[tuple[str, Callable[[Tour], Awaitable[None]]], ...] = (
    ("A week of free slots, asked for twice", read_twice),
    ("One slot, 20 callers at once", race),
    ("The slot is gone, from the cache too", gone),
    ("A reschedule frees the old day and takes the new", move),
    ("A payment moves the revenue report", pay),
    ("Redis is killed", without_redis),
)
