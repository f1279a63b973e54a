"""Slots as they are read from an entry, against the rule that bookings are decided by."""

import math
from datetime import UTC, date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest

from booking_service.domain.slots import FreeSlot, offered
from cache_service.queries.availability import DaySlots, slot_bytes

ZONE = ZoneInfo("America/Toronto")
DAY = date(2025, 6, 2)
OPENS = datetime(2025, 6, 2, 13, tzinfo=UTC)
HOUR, MICROSECOND = timedelta(hours=1), timedelta(microseconds=1)
LEAD = timedelta(minutes=15)
HELD_UNTIL = OPENS - 2 * HOUR + timedelta(milliseconds=250)
SLOTS = [
    FreeSlot(OPENS, OPENS + HOUR, None),
    FreeSlot(OPENS + HOUR, OPENS + 2 * HOUR, HELD_UNTIL),
    FreeSlot(OPENS + 2 * HOUR, OPENS + 3 * HOUR, None),
]


def _seconds(instant: datetime) -> int:
    return int(instant.timestamp())


def _entry() -> DaySlots:
    """Make the entry of those slots, encoded and read again."""
    free = [slot for slot in SLOTS if slot.free_from is None]
    entry = DaySlots(
        time_zone=ZONE.key,
        lead_seconds=_seconds(datetime.fromtimestamp(0, UTC) + LEAD),
        horizon_days=1,
        starts=tuple(_seconds(slot.start) for slot in free),
        wire=_wire(free),
        held=tuple(
            (_seconds(slot.start), _seconds(slot.end), round(slot.free_from.timestamp() * 1e6))
            for slot in SLOTS
            if slot.free_from is not None
        ),
    )
    return DaySlots.decode(entry.encode())


def _wire(slots: list[FreeSlot]) -> bytes:
    return b"".join(slot_bytes(_seconds(slot.start), _seconds(slot.end)) for slot in slots)


@pytest.mark.parametrize("step", [-MICROSECOND, timedelta(), MICROSECOND], ids=str)
@pytest.mark.parametrize(
    "boundary",
    [
        HELD_UNTIL,
        HELD_UNTIL.replace(microsecond=0) + timedelta(seconds=1),
        *(slot.start - LEAD for slot in SLOTS),
        datetime(2025, 6, 1, 4, tzinfo=UTC),
    ],
    ids=str,
)
def test_what_is_offered_is_what_can_be_booked_to_the_microsecond(
    boundary: datetime, step: timedelta
) -> None:
    """At lead time, horizon and a hold's end the entry says exactly what the rule says."""
    now = boundary + step
    bookable = offered(SLOTS, ZONE, now=now, lead_time=LEAD, horizon_days=1)
    assert _entry().bookable(DAY, now) == _wire(bookable)


def test_the_boundaries_are_ones() -> None:
    """Around the end of the hold and the horizon's midnight the answer does change."""

    def count(now: datetime) -> int:
        return len(offered(SLOTS, ZONE, now=now, lead_time=LEAD, horizon_days=1))

    assert (count(HELD_UNTIL - MICROSECOND), count(HELD_UNTIL)) == (2, 3)
    midnight = datetime(2025, 6, 1, 4, tzinfo=UTC)
    assert (count(midnight - MICROSECOND), count(midnight)) == (0, 2)


@pytest.mark.parametrize("seed", range(20))
def test_what_is_said_to_be_steady_does_not_change(seed: int) -> None:
    """Until the moment that is named, the same slots can be booked; then others can."""
    lot = Random(seed)  # noqa: S311
    entry = _entry()
    now = OPENS - 3 * HOUR + lot.random() * 5 * HOUR
    until = entry.steady_until(now)
    if until == math.inf:
        assert now > SLOTS[-1].start - LEAD
        assert entry.bookable(DAY, now) == b""
        return
    span = until - now.timestamp()
    said = entry.bookable(DAY, now)
    for part in (0.0, lot.random(), 0.999999):
        assert entry.bookable(DAY, now + timedelta(seconds=span * part)) == said
    assert entry.bookable(DAY, now + timedelta(seconds=span + 1.0)) != said
