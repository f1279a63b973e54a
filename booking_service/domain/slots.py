"""Free slots of one barber on one local day, and whether a booking is allowed at all."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from enum import StrEnum
from typing import NamedTuple

from booking_service.domain.intervals import Interval, merge, subtract
from booking_service.domain.opening import (
    Period,
    local_day,
    open_periods,
    period_intervals,
)

__all__ = [
    "Blocked",
    "FreeSlot",
    "Refusal",
    "ServiceTerms",
    "candidate_slots",
    "check_booking",
    "day_slots",
    "offered",
]


@dataclass(frozen=True, slots=True)
class ServiceTerms:
    """What a service takes of a barber's time: its own duration and the buffers around it."""

    duration: timedelta
    buffer_before: timedelta = timedelta()
    buffer_after: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class Blocked:
    """An appointment's own blocked interval, buffers included, half-open.

    `hold_until` is None for one that holds for good, else the instant a pending one's hold ends.
    """

    start: datetime
    end: datetime
    hold_until: datetime | None = None


class FreeSlot(NamedTuple):
    """A bookable time `[start, end)` without buffers.

    `free_from` is None where it is free now, else the instant at which the last hold on it ends.
    """

    start: datetime
    end: datetime
    free_from: datetime | None


class Refusal(StrEnum):
    """Why a booking is not allowed, before any other appointment is looked at."""

    BEYOND_HORIZON = "BEYOND_HORIZON"
    LEAD_TIME = "LEAD_TIME"
    OUTSIDE_HOURS = "OUTSIDE_HOURS"


def candidate_slots(  # noqa: PLR0917 - the order of the rules
    day: date,
    zone: tzinfo,
    periods: Sequence[Period],
    time_off: Sequence[Interval],
    terms: ServiceTerms,
    slot_interval: timedelta,
) -> list[datetime]:
    """List the starts at which a service fits a local day's open time, sorted, in UTC.

    Starts step by `slot_interval` in elapsed time from each period's opening; time off takes
    starts away but does not move them. `periods` are the day's own (special or weekly).

    Raises:
        ValueError: the slot interval or the duration is not positive.

    """
    if slot_interval <= timedelta() or terms.duration <= timedelta():
        message = "slot interval and duration must be positive"
        raise ValueError(message)
    pieces = period_intervals(day, zone, periods)
    spans = merge(interval for intervals in pieces for interval in intervals)
    spans = subtract(spans, merge(time_off)) if time_off else spans
    starts: list[datetime] = []
    for intervals in pieces:
        at, closing = intervals[0][0], intervals[-1][1]
        while at < closing:
            starts.append(at)
            at += slot_interval
    if len(pieces) > 1:
        # Periods of one hour that exists twice interleave, and their grids may coincide.
        starts = sorted(set(starts))
    fitting: list[datetime] = []
    duration, index = terms.duration, 0
    for start in starts:
        end = start + duration
        while index < len(spans) and spans[index][1] < end:
            index += 1
        if index == len(spans):
            break
        if spans[index][0] <= start:
            fitting.append(start)
    return fitting


def day_slots(  # noqa: PLR0917 - the order of the rules
    day: date,
    zone: tzinfo,
    periods: Sequence[Period],
    time_off: Sequence[Interval],
    terms: ServiceTerms,
    slot_interval: timedelta,
    blocked: Sequence[Blocked],
) -> list[FreeSlot]:
    """List a local day's slots that no firm appointment meets, whatever the time is now.

    `blocked` are the barber's appointments of every status but cancelled, also those of the
    days around whose buffers reach into this one, in any order. A slot that meets only pending
    ones carries in `free_from` the greatest `hold_until` among them.

    Raises:
        ValueError: the slot interval or the duration is not positive.

    """
    starts = candidate_slots(day, zone, periods, time_off, terms, slot_interval)
    if not starts:
        return []
    firm = merge((each.start, each.end) for each in blocked if each.hold_until is None)
    pending = [
        (each.start, each.end, each.hold_until)
        for each in blocked
        if each.hold_until is not None and each.start < each.end
    ]
    pending.sort()
    before, duration = terms.buffer_before, terms.duration
    around = duration + terms.buffer_after
    slots: list[FreeSlot] = []
    index = 0
    for start in starts:
        since, until = start - before, start + around
        while index < len(firm) and firm[index][1] <= since:
            index += 1
        if index < len(firm) and firm[index][0] < until:
            continue
        free_from: datetime | None = None
        for hold_start, hold_end, hold_until in pending:
            if hold_start >= until:
                break
            if hold_end > since and (free_from is None or hold_until > free_from):
                free_from = hold_until
        slots.append(FreeSlot(start, start + duration, free_from))
    return slots


def offered(
    slots: Iterable[FreeSlot],
    zone: tzinfo,
    *,
    now: datetime,
    lead_time: timedelta,
    horizon_days: int,
) -> list[FreeSlot]:
    """Keep of `slots` what a caller may book at `now`: rules that a cached value cannot hold.

    Drops starts before now + lead time, starts on local days after today + horizon, and slots
    whose last hold has not ended by `now`.
    """
    earliest = now + lead_time
    last_day = local_day(now, zone) + timedelta(days=horizon_days)
    return [
        slot
        for slot in slots
        if slot.start >= earliest
        and (slot.free_from is None or slot.free_from <= now)
        and local_day(slot.start, zone) <= last_day
    ]


def check_booking(  # noqa: PLR0917 - the order of the rules
    start: datetime,
    terms: ServiceTerms,
    day: date,
    zone: tzinfo,
    periods: Sequence[Period],
    time_off: Sequence[Interval],
    now: datetime,
    lead_time: timedelta,
    horizon_days: int,
) -> Refusal | None:
    """Say why a booking at `start` is not allowed, or None; other appointments are not looked at.

    `day` is the shop's local day of `start`, `periods` that day's own (special or weekly). A
    booking need not be on the grid, only in open time; its buffers may reach outside. Where
    several reasons hold, lead time goes before horizon before hours.
    """
    if start < now + lead_time:
        return Refusal.LEAD_TIME
    if day > local_day(now, zone) + timedelta(days=horizon_days):
        return Refusal.BEYOND_HORIZON
    end = start + terms.duration
    spans = subtract(open_periods(day, zone, periods), merge(time_off))
    if any(since <= start and end <= until for since, until in spans):
        return None
    return Refusal.OUTSIDE_HOURS
