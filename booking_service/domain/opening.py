"""Opening hours: periods of local time turned into instants, over every clock change.

An instant is open exactly if the shop's own clock then shows the day and a time in one of
the periods. All rules of clock changes follow from that:

- an end or an opening in the missing hour of a spring day is the gap's end;
- the hour that an autumn day has twice is open twice, so an opening in it is its first and a
  closing in it its last occurrence (and where a break lies in that hour, the break comes twice);
- a midnight that a zone skips (Africa/Cairo) begins the day at the gap's end, and a day that a
  zone skips altogether (Pacific/Apia, 2011-12-30) has no open time.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo

from booking_service.domain.intervals import Interval, merge, subtract

__all__ = [
    "Period",
    "day_bounds",
    "local_day",
    "local_midnight",
    "open_periods",
    "open_time",
    "period_intervals",
]

Period = tuple[int, int]
"""Opening and closing in whole minutes after local midnight, 0..1440, half-open."""

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)


def local_day(instant: datetime, zone: tzinfo) -> date:
    """Tell the date that the shop's clock shows at an aware `instant`."""
    return instant.astimezone(zone).date()


def local_midnight(day: date, zone: tzinfo) -> datetime:
    """Find the first instant of a local day, in UTC.

    Where midnight exists twice it is the first, where it is missing the end of the gap.
    """
    segments = _segments(day, zone)
    (base, _, until) = segments[0]
    if until is None or base < until:
        return base
    return max(segments[1][0], until)


def day_bounds(day: date, zone: tzinfo) -> Interval:
    """Bound a local day by instants: its midnight and the next day's; bounds never overlap."""
    return local_midnight(day, zone), local_midnight(day + _DAY, zone)


def period_intervals(
    day: date, zone: tzinfo, periods: Iterable[Period]
) -> list[tuple[Interval, ...]]:
    """Turn each period into its instants: none, one interval, or two around a clock change.

    In the order of `periods`, periods without an instant left out; each inner tuple sorted.
    """
    segments = _segments(day, zone)
    result: list[tuple[Interval, ...]] = []
    for opening, closing in periods:
        pieces: list[Interval] = []
        for base, since, until in segments:
            start = base + timedelta(minutes=opening)
            end = base + timedelta(minutes=closing)
            if since is not None and start < since:
                start = since
            if until is not None and end > until:
                end = until
            if start < end:
                pieces.append((start, end))
        if pieces:
            result.append(tuple(merge(pieces)))
    return result


def open_periods(day: date, zone: tzinfo, periods: Sequence[Period]) -> list[Interval]:
    """Turn the periods of a local day into open instants, sorted, disjoint, abutting ones joined.

    `periods` are minutes after local midnight, in any order. The module's rules of clock
    changes apply.
    """
    return merge(interval for pieces in period_intervals(day, zone, periods) for interval in pieces)


def open_time(
    day: date,
    zone: tzinfo,
    weekly: Sequence[Period],
    special: Sequence[Period] | None,
    time_off: Sequence[Interval],
) -> list[Interval]:
    """Work out a local day's open time: special hours if there are any, else the weekly ones.

    `special` replaces `weekly` where it is not None (empty: closed). `time_off` cuts either;
    it may be unsorted, overlap itself and reach beyond the day.
    """
    periods = weekly if special is None else special
    return subtract(open_periods(day, zone, periods), merge(time_off))


def _segments(day: date, zone: tzinfo) -> list[tuple[datetime, datetime | None, datetime | None]]:
    """Split a local day where its offset changes: (virtual midnight, since, until), in UTC.

    The virtual midnight is the day's 00:00 at the segment's own offset, from which minutes
    count in elapsed time. Bounds are None where the segment has none.
    """
    start = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - a reading of a wall clock
    end = start + _DAY
    # fold 0 reads an ambiguous or missing time with the offset before the change, fold 1 with
    # the one after: so both are right also where the change touches midnight itself.
    before = start.replace(tzinfo=zone).utcoffset()
    after = end.replace(tzinfo=zone, fold=1).utcoffset()
    if before is None or after is None:
        message = f"{zone} is not a time zone with offsets"
        raise ValueError(message)
    base_before = (start - before).replace(tzinfo=UTC)
    if before == after:
        return [(base_before, None, None)]
    base_after = (start - after).replace(tzinfo=UTC)
    low = min(base_before, base_after)
    high = max(base_before, base_after) + _DAY
    while high - low > _SECOND:
        middle = low + (high - low) // _SECOND // 2 * _SECOND
        if middle.astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return [(base_before, None, high), (base_after, high, None)]
