"""The busy times of one barber on one local day of the shop, buffers included."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import text

from cache_service.invalidation import tags
from cache_service.queries.declare import LoadContext, Rpc, cache_result
from cache_service.queries.ranges import days_from
from cache_service.queries.records import status_number
from chairside.cache.v1 import cache_service_pb2, types_pb2
from service_kit.errors import NotFound
from service_kit.validation import Violations
from service_kit.values import from_timestamp, to_timestamp

__all__ = ["BookedDay", "booked_slots"]

MAX_DAYS = 62
_DAY = timedelta(days=1)
_INSTANT = timedelta(microseconds=1)

_SQL = text("""
    SELECT o.time_zone, b.id AS barber_id, a.id, a.status, a.hold_until, a.blocked_from,
           a.blocked_until
    FROM organizations o
    LEFT JOIN barbers b ON b.organization_id = o.id AND b.id = ANY(:barber_ids)
    LEFT JOIN appointments a ON a.organization_id = o.id AND a.barber_id = b.id
        AND a.status <> 'cancelled'
        AND a.blocked && tsrange(CAST(:first AS date) - 1, CAST(:last AS date) + 2)
    WHERE o.id = :organization_id
    ORDER BY a.blocked_from, a.id
""")
"""Days of UTC, one more on each side than any zone's."""


@dataclass(frozen=True, slots=True)
class BookedDay:
    """Which day of whom."""

    organization_id: int
    barber_id: int
    date: date


def _arguments(
    request: cache_service_pb2.GetBookedSlotsRequest, today: date | None
) -> list[BookedDay]:
    found = Violations()
    found.id("organization_id", request.organization_id)
    found.id("barber_id", request.barber_id)
    start, end = days_from(found, request, today, most=MAX_DAYS)
    found.raise_if_any()
    return [
        BookedDay(request.organization_id, request.barber_id, start + n * _DAY)
        for n in range((end - start).days)
    ]


def _respond(
    _request: cache_service_pb2.GetBookedSlotsRequest,
    parts: Sequence[tuple[BookedDay, bytes]],
    now: datetime,
) -> tuple[bytes, float]:
    """Unite the days: an interval over midnight once, a pending one only while it holds.

    Each day is as fresh as its own entry, so that an appointment which moves may be in two of
    them: neither may hide the other.
    """
    united: dict[tuple[int, bytes, bytes], types_pb2.BusyInterval] = {}
    time_zone, until = "", math.inf
    for _, payload in parts:
        day = cache_service_pb2.GetBookedSlotsResponse.FromString(payload)
        time_zone = day.time_zone
        for busy in day.intervals:
            hold = from_timestamp(busy.hold_until) if busy.HasField("hold_until") else None
            if hold is None or hold > now:
                until = until if hold is None else min(until, hold.timestamp())
                start, end = busy.start_time, busy.end_time
                united[busy.appointment_id, start.SerializeToString(), end.SerializeToString()] = (
                    busy
                )
    intervals = sorted(
        united.values(),
        key=lambda busy: (busy.start_time.seconds, busy.start_time.nanos, busy.appointment_id),
    )
    response = cache_service_pb2.GetBookedSlotsResponse(intervals=intervals, time_zone=time_zone)
    return response.SerializeToString(), until


# Not tags.day: a confirmation changes no free slot, but the status that is told here.
@cache_result(
    "booked_slots",
    tags=lambda one: (tags.busy(one.barber_id, one.date), tags.barber(one.barber_id)),
    rpc=Rpc(
        "GetBookedSlots",
        _arguments,
        _respond,
        needs_today=lambda request: not request.HasField("start_date"),
    ),
)
async def booked_slots(context: LoadContext, arguments: Sequence[BookedDay]) -> list[bytes]:
    """Load days of busy times; NotFound: the organization or a barber."""
    rows = (
        await context.connection.execute(
            _SQL,
            {
                "organization_id": arguments[0].organization_id,
                "barber_ids": list({one.barber_id for one in arguments}),
                "first": min(one.date for one in arguments),
                "last": max(one.date for one in arguments),
            },
        )
    ).all()
    if not rows:
        raise NotFound("organization", arguments[0].organization_id)
    time_zone = rows[0].time_zone
    zone = ZoneInfo(time_zone)
    known = {row.barber_id for row in rows}
    busy: dict[tuple[int, date], list[types_pb2.BusyInterval]] = defaultdict(list)
    for row in rows:
        if row.id is None:
            continue
        interval = types_pb2.BusyInterval(
            start_time=to_timestamp(row.blocked_from),
            end_time=to_timestamp(row.blocked_until),
            appointment_id=row.id,
            status=status_number(row.status),
            hold_until=None if row.hold_until is None else to_timestamp(row.hold_until),
        )
        for day in _local_days(row.blocked_from, row.blocked_until, zone):
            busy[row.barber_id, day].append(interval)
    for one in arguments:
        if one.barber_id not in known:
            raise NotFound("barber", one.barber_id)
    return [
        cache_service_pb2.GetBookedSlotsResponse(
            intervals=busy[one.barber_id, one.date], time_zone=time_zone
        ).SerializeToString()
        for one in arguments
    ]


def _local_days(start: datetime, end: datetime, zone: ZoneInfo) -> Iterator[date]:
    """List the local days that [start, end) meets."""
    day = start.astimezone(zone).date()
    last = (end - _INSTANT).astimezone(zone).date()
    while day <= last:
        yield day
        day += _DAY
