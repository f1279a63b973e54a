"""How long barbers are open on local days: what utilisation is measured by."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from booking_service.domain.intervals import Interval
from booking_service.domain.opening import Period, open_time

__all__ = ["Hours", "OpenTime", "open_time_of", "read_hours"]

_DAY = timedelta(days=1)


@dataclass(slots=True)
class Hours:
    """A barber's weeks by the day from which they hold, special days, and time off."""

    starts: list[date] = field(default_factory=list)
    weeks: list[dict[int, list[Period]]] = field(default_factory=list)
    special: dict[date, list[Period]] = field(default_factory=dict)
    time_off: list[Interval] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class OpenTime:
    """Whole minutes of open time of all barbers together, and the days on which any is open."""

    minutes: int
    days: int


def read_hours(aggregated: str | None) -> list[Hours]:
    """Read each barber's hours from the JSON of `reports_sql.HOURS`."""
    found = []
    for weeks, special, time_off in json.loads(aggregated or "[]"):
        hours = Hours()
        for valid_from, weekday, periods in weeks or ():
            start = date.fromisoformat(valid_from)
            if not hours.starts or hours.starts[-1] != start:
                hours.starts.append(start)
                hours.weeks.append({})
            hours.weeks[-1][weekday] = _periods(periods)
        for day, periods in special or ():
            hours.special[date.fromisoformat(day)] = _periods(periods)
        hours.time_off = [
            (_instant(starts_at), _instant(ends_at)) for starts_at, ends_at in time_off or ()
        ]
        found.append(hours)
    return found


def open_time_of(barbers: Sequence[Hours], zone: ZoneInfo, start: date, end: date) -> OpenTime:
    """Measure the open time of the local days [start, end).

    Days without anything special are the sum of their weekly periods; days of clock changes,
    special hours or time off go through the rules of opening hours. So a year of ten barbers
    takes a few milliseconds.
    """
    days = [start + n * _DAY for n in range((end - start).days)]
    changes = _days_of_clock_changes(days, zone)
    total = timedelta()
    open_days = set()
    for hours in barbers:
        regular = [
            {weekday: _length(periods) for weekday, periods in week.items()} for week in hours.weeks
        ]
        away = _days_away(hours.time_off, zone)
        for day in days:
            at = bisect_right(hours.starts, day) - 1
            if day in away or day in changes or day in hours.special:
                weekly = hours.weeks[at].get(day.weekday(), []) if at >= 0 else []
                spans = open_time(day, zone, weekly, hours.special.get(day), hours.time_off)
                length = sum((until - since for since, until in spans), timedelta())
            elif at >= 0:
                length = regular[at].get(day.weekday(), timedelta())
            else:
                continue
            if length:
                total += length
                open_days.add(day)
    return OpenTime(total // timedelta(minutes=1), len(open_days))


def _days_of_clock_changes(days: Sequence[date], zone: ZoneInfo) -> set[date]:
    found = set()
    for day in days:
        midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
        if midnight.utcoffset() != (midnight + _DAY).replace(fold=1).utcoffset():
            found.add(day)
    return found


def _days_away(time_off: Sequence[Interval], zone: ZoneInfo) -> Mapping[date, None]:
    """Return the local days that time off meets."""
    found: dict[date, None] = {}
    for starts_at, ends_at in time_off:
        day, last = starts_at.astimezone(zone).date(), ends_at.astimezone(zone).date()
        while day <= last:
            found[day] = None
            day += _DAY
    return found


def _length(periods: Sequence[Period]) -> timedelta:
    return timedelta(minutes=sum(closes - opens for opens, closes in periods))


def _periods(periods: Any) -> list[Period]:  # noqa: ANN401 - of JSON
    return [(opens, closes) for opens, closes in periods or ()]


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
