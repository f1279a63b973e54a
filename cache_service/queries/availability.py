"""The free slots of one barber for one service on one local day of the shop."""

from __future__ import annotations

import asyncio
import math
import struct
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from booking_service.domain.slots import FreeSlot, day_slots
from cache_service.invalidation import tags
from cache_service.queries.availability_facts import Facts, load_facts
from cache_service.queries.declare import LoadContext, cache_result

__all__ = ["SLOT_BYTES", "AvailabilityDay", "DaySlots", "availability", "slot_bytes"]

SLOT_BYTES = 18
"""The length of one slot on the wire, as an element of BarberAvailability.slots."""
_SLOTS_AT_ONCE = 1500
"""About 10 ms of computing, after which the process's other calls have their turn."""
_SLOTS_OF_A_DAY = 25
"""What a day costs before its first slot, in slots."""
_HEADER = struct.Struct("<HHHHH")
_HELD = struct.Struct("<qqq")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST_SECOND, _END_SECOND = 1 << 28, 1 << 35
"""Instants whose varint has five bytes: the years 1978 to 3058."""


@dataclass(frozen=True, slots=True)
class AvailabilityDay:
    """Which day of whom, for what."""

    organization_id: int
    barber_id: int
    service_id: int
    date: date


def slot_bytes(start: int, end: int) -> bytes:
    """Serialise a slot of seconds since the epoch as BarberAvailability.slots has it."""
    return b"\x12\x10\x0a\x06\x08" + _varint5(start) + b"\x12\x06\x08" + _varint5(end)


def _varint5(value: int) -> bytes:
    return bytes(
        (
            value & 127 | 128,
            value >> 7 & 127 | 128,
            value >> 14 & 127 | 128,
            value >> 21 & 127 | 128,
            value >> 28,
        )
    )


class DaySlots(NamedTuple):
    """All slots of a day that no firm appointment meets, whatever the time is now.

    Free ones are kept as they go over the wire, so that dropping the past is a slice.
    `held` ones (start, end, free_from) meet a pending appointment whose hold ends then; that
    is in microseconds, since a booking may be made from that very instant on.
    """

    time_zone: str
    lead_seconds: int
    horizon_days: int
    starts: tuple[int, ...]
    wire: bytes
    held: tuple[tuple[int, int, int], ...]

    def encode(self) -> bytes:
        """Return the entry's payload."""
        zone = self.time_zone.encode()
        counts = (len(self.starts), len(self.held), len(zone))
        return b"".join(
            (
                _HEADER.pack(self.lead_seconds // 60, self.horizon_days, *counts),
                zone,
                struct.pack(f"<{len(self.starts)}q", *self.starts),
                self.wire,
                *(_HELD.pack(*held) for held in self.held),
            )
        )

    @classmethod
    def decode(cls, payload: bytes) -> DaySlots:
        """Read an entry's payload."""
        lead, horizon, count, held_count, zone_length = _HEADER.unpack_from(payload)
        at = _HEADER.size + zone_length
        zone = payload[_HEADER.size : at].decode()
        starts = struct.unpack_from(f"<{count}q", payload, at)
        at += 8 * count
        wire = payload[at : at + SLOT_BYTES * count]
        at += SLOT_BYTES * count
        held = tuple(_HELD.unpack_from(payload, at + _HELD.size * n) for n in range(held_count))
        return cls(zone, lead * 60, horizon, starts, wire, held)

    def bookable(self, day: date, now: datetime, within: tuple[int, int] | None = None) -> bytes:
        """Return what can be booked now, serialised, by start time.

        Drops starts before now + lead time, a day after today + horizon, slots still held,
        and starts outside of `within` (seconds, half-open).
        """
        if day > _last_day(self.time_zone, now.date(), now.hour, now.minute, self.horizon_days):
            return b""
        second = -int(-now.timestamp() // 1)
        earliest = second + self.lead_seconds
        latest = _END_SECOND
        if within is not None:
            earliest, latest = max(earliest, within[0]), within[1]
        first = bisect_left(self.starts, earliest)
        last = bisect_left(self.starts, latest) if within is not None else len(self.starts)
        free = self.wire[first * SLOT_BYTES : last * SLOT_BYTES]
        if not self.held:
            return free
        instant = _microseconds(now)
        released = [
            (start, slot_bytes(start, end))
            for start, end, free_from in self.held
            if free_from <= instant and earliest <= start < latest
        ]
        if not released:
            return free
        slots = [
            (start, self.wire[at * SLOT_BYTES : (at + 1) * SLOT_BYTES])
            for at, start in enumerate(self.starts[first:last], first)
        ]
        return b"".join(wire for _, wire in sorted(slots + released))

    def steady_until(self, now: datetime) -> float:
        """Return until when (seconds since the epoch) `bookable` says what it says now.

        That is when the first slot comes too near, or the first hold ends; infinite if
        there is nothing of the kind to come. The end of the day, from which another one can
        be booked, is for the caller to know.
        """
        instant, lead = _microseconds(now), self.lead_seconds
        first = bisect_left(self.starts, -int(-now.timestamp() // 1) + lead)
        ends = [float(start - lead) for start in self.starts[first : first + 1]]
        for start, _, free_from in self.held:
            # What is free again comes too near in its turn.
            ends.append(free_from / 1e6 if free_from > instant else float(start - lead))
        return min((end for end in ends if end >= now.timestamp()), default=math.inf)


@lru_cache(maxsize=1024)
def _last_day(time_zone: str, day: date, hour: int, minute: int, horizon_days: int) -> date:
    """Return the last local day that can be booked in that minute (UTC)."""
    now = datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)
    return now.astimezone(ZoneInfo(time_zone)).date() + timedelta(days=horizon_days)


def _tags(arguments: AvailabilityDay) -> tuple[str, ...]:
    return (
        tags.day(arguments.barber_id, arguments.date),
        tags.hours(arguments.barber_id),
        tags.barber(arguments.barber_id),
        tags.service(arguments.service_id),
    )


@cache_result("availability", tags=_tags)
async def availability(context: LoadContext, arguments: Sequence[AvailabilityDay]) -> list[bytes]:
    """Load days of slots with one statement.

    NotFound: the organization, a barber, or the service (deleted ones too).
    FailedPrecondition: BARBER_INACTIVE, SERVICE_NOT_OFFERED.
    """
    facts = await load_facts(
        context.connection,
        arguments[0].organization_id,
        barber_ids=sorted({one.barber_id for one in arguments}),
        service_ids=sorted({one.service_id for one in arguments}),
        first=min(one.date for one in arguments),
        last=max(one.date for one in arguments),
    )
    payloads, slots = list[bytes](), 0
    for one in arguments:
        day = _day(facts, one)
        payloads.append(day.encode())
        slots += _SLOTS_OF_A_DAY + len(day.starts)
        if slots > _SLOTS_AT_ONCE:
            slots = 0
            await asyncio.sleep(0)
    return payloads


def _day(facts: Facts, arguments: AvailabilityDay) -> DaySlots:
    slots = day_slots(
        arguments.date,
        facts.zone,
        facts.periods(arguments.barber_id, arguments.date),
        facts.time_off.get(arguments.barber_id, ()),
        facts.terms(arguments.barber_id, arguments.service_id),
        facts.slot_interval,
        facts.blocked_near(arguments.barber_id, arguments.date),
    )
    free = [_seconds(slot) for slot in slots if slot.free_from is None]
    held = [_seconds(slot) for slot in slots if slot.free_from is not None]
    known = [one for one in free if one[0] >= _FIRST_SECOND and one[1] < _END_SECOND]
    return DaySlots(
        time_zone=facts.zone.key,
        lead_seconds=facts.lead_minutes * 60,
        horizon_days=facts.horizon_days,
        starts=tuple(start for start, _, _ in known),
        wire=b"".join(slot_bytes(start, end) for start, end, _ in known),
        held=tuple(held),
    )


def _seconds(slot: FreeSlot) -> tuple[int, int, int]:
    free_from = 0 if slot.free_from is None else _microseconds(slot.free_from)
    return int(slot.start.timestamp()), int(slot.end.timestamp()), free_from


def _microseconds(instant: datetime) -> int:
    return (instant - _EPOCH) // _MICROSECOND
