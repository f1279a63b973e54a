"""Work availability out by brute force, minute by minute, from the rules' own words.

Deliberately slow and simple, and without a line in common with the service's own code: what a
clock in the shop shows decides each minute on its own.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

__all__ = ["Appointment", "OpenMinutes", "bookable", "free_starts", "open_minutes"]

MINUTE = timedelta(minutes=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Appointment:
    """What holds time: buffers included; `hold_until` only where it is pending."""

    blocked_from: datetime
    blocked_until: datetime
    hold_until: datetime | None = None


@dataclass(frozen=True)
class OpenMinutes:
    """Minutes since 1970: those open, and those at which each period's doors open."""

    minutes: frozenset[int]
    openings: tuple[tuple[int, int], ...]


def open_minutes(
    day: date,
    zone: ZoneInfo,
    periods: Sequence[tuple[int, int]],
    time_off: Iterable[tuple[datetime, datetime]] = (),
) -> OpenMinutes:
    """Look at the shop's clock in every minute that may belong to the day."""
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    within: list[list[int]] = [[] for _ in periods]
    at = noon - timedelta(hours=30)
    while at < noon + timedelta(hours=30):
        local = at.astimezone(zone)
        if local.date() == day:
            shown = local.hour * 60 + local.minute
            for index, (opening, closing) in enumerate(periods):
                if opening <= shown < closing:
                    within[index].append(_minute(at))
        at += MINUTE
    away = {
        minute
        for since, until in time_off
        for minute in range(_minute(since), _minute(until + MINUTE - timedelta.resolution))
    }
    everything = {minute for minutes in within for minute in minutes}
    return OpenMinutes(
        minutes=frozenset(everything - away),
        openings=tuple((minutes[0], minutes[-1]) for minutes in within if minutes),
    )


def free_starts(
    opened: OpenMinutes,
    *,
    duration: int,
    buffer_before: int,
    buffer_after: int,
    slot_interval: int,
    appointments: Sequence[Appointment],
    now: datetime,
) -> list[datetime]:
    """Try every step from every opening; all spans in minutes. Holds that ended hold nothing."""
    holding = [each for each in appointments if each.hold_until is None or each.hold_until > now]
    starts = {
        minute
        for first, last in opened.openings
        for minute in range(first, last + 1, slot_interval)
        if all(minute + step in opened.minutes for step in range(duration))
    }
    free: list[datetime] = []
    for minute in sorted(starts):
        start = EPOCH + minute * MINUTE
        since = start - buffer_before * MINUTE
        until = start + (duration + buffer_after) * MINUTE
        if not any(each.blocked_from < until and since < each.blocked_until for each in holding):
            free.append(start)
    return free


def bookable(
    starts: Iterable[datetime],
    zone: ZoneInfo,
    *,
    now: datetime,
    lead_minutes: int,
    horizon_days: int,
) -> list[datetime]:
    """Drop what is too soon, and what lies after the local day today + horizon."""
    last = now.astimezone(zone).date() + timedelta(days=horizon_days)
    return [
        start
        for start in starts
        if start - now >= lead_minutes * MINUTE and start.astimezone(zone).date() <= last
    ]


def _minute(instant: datetime) -> int:
    return (instant - EPOCH) // MINUTE
