"""A barber's hours: the weeks that hold now or later, coming time off, coming special days."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import text

from booking_service.domain.opening import local_day, local_midnight
from cache_service.invalidation import tags
from cache_service.queries.declare import LoadContext, Rpc, cache_result
from chairside.cache.v1 import cache_service_pb2, types_pb2
from service_kit.errors import NotFound
from service_kit.validation import Violations
from service_kit.values import from_date, from_timestamp, to_date, to_periods, to_timestamp

__all__ = ["ScheduleArguments", "schedule"]

_DAY = timedelta(days=1)
_SETTLED = timedelta(days=2)
"""What was over so long ago is past in every zone, and for every process's clock."""

_SQL = text("""
    SELECT o.time_zone, b.id AS barber_id,
        (SELECT json_agg(json_build_array(w.valid_from, w.weekday,
            (SELECT json_agg(json_build_array(lower(p), upper(p)) ORDER BY p)
             FROM unnest(w.periods) p)) ORDER BY w.valid_from, w.weekday)
         FROM weekly_hours w
         WHERE w.organization_id = o.id AND w.barber_id = b.id
           AND w.valid_from >= coalesce(
               (SELECT max(v.valid_from) FROM weekly_hours v
                WHERE v.barber_id = b.id AND v.valid_from <= CAST(:settled_day AS date)),
               '-infinity'))::text AS weeks,
        (SELECT json_agg(json_build_array(t.id, t.starts_at, t.ends_at, t.reason)
                         ORDER BY t.starts_at, t.id)
         FROM time_off t
         WHERE t.organization_id = o.id AND t.barber_id = b.id
           AND t.ends_at > :settled)::text AS time_off,
        (SELECT json_agg(json_build_array(h.day,
            (SELECT json_agg(json_build_array(lower(p), upper(p)) ORDER BY p)
             FROM unnest(h.periods) p)) ORDER BY h.day)
         FROM special_hours h
         WHERE h.organization_id = o.id AND h.barber_id = b.id
           AND h.day >= CAST(:settled_day AS date))::text AS special
    FROM organizations o
    LEFT JOIN barbers b ON b.organization_id = o.id AND b.id = ANY(:barber_ids)
    WHERE o.id = :organization_id
""")


@dataclass(frozen=True, slots=True)
class ScheduleArguments:
    """Whose schedule."""

    organization_id: int
    barber_id: int


def _arguments(
    request: cache_service_pb2.GetScheduleRequest, _today: date | None
) -> list[ScheduleArguments]:
    found = Violations()
    found.id("organization_id", request.organization_id)
    found.id("barber_id", request.barber_id)
    found.raise_if_any()
    return [ScheduleArguments(request.organization_id, request.barber_id)]


def _respond(
    _request: cache_service_pb2.GetScheduleRequest,
    parts: Sequence[tuple[ScheduleArguments, bytes]],
    now: datetime,
) -> tuple[bytes, float]:
    """Return what there is to see now: until the day or a time off ends."""
    seen = _seen(parts[0][1], now)
    zone = ZoneInfo(seen.time_zone)
    ends = [from_timestamp(one.end_time) for one in seen.time_off]
    until = min([local_midnight(local_day(now, zone) + _DAY, zone), *ends])
    return seen.SerializeToString(), until.timestamp()


def _seen(payload: bytes, now: datetime) -> cache_service_pb2.GetScheduleResponse:
    """Drop the weeks, the time off and the special days that are over by now."""
    response = cache_service_pb2.GetScheduleResponse.FromString(payload)
    today = local_day(now, ZoneInfo(response.time_zone))
    weeks = list(response.weekly_hours)
    begun = [week for week in weeks if from_date(week.valid_from) <= today]
    time_off = [one for one in response.time_off if from_timestamp(one.end_time) > now]
    special = [one for one in response.special_days if from_date(one.date) >= today]
    return cache_service_pb2.GetScheduleResponse(
        weekly_hours=weeks[max(len(begun) - 1, 0) :],
        time_off=time_off,
        special_days=special,
        time_zone=response.time_zone,
    )


@cache_result(
    "schedule",
    ttl=timedelta(hours=1),
    tags=lambda arguments: (tags.schedule(arguments.barber_id), tags.barber(arguments.barber_id)),
    rpc=Rpc("GetSchedule", _arguments, _respond),
    seen=_seen,
)
async def schedule(context: LoadContext, arguments: Sequence[ScheduleArguments]) -> list[bytes]:
    """Load schedules, all that is to come; NotFound: the organization or a barber."""
    settled = context.now - _SETTLED
    rows = (
        await context.connection.execute(
            _SQL,
            {
                "organization_id": arguments[0].organization_id,
                "barber_ids": [one.barber_id for one in arguments],
                "settled": settled,
                "settled_day": settled.date(),
            },
        )
    ).all()
    if not rows:
        raise NotFound("organization", arguments[0].organization_id)
    found = {row.barber_id: _payload(row) for row in rows if row.barber_id is not None}
    for one in arguments:
        if one.barber_id not in found:
            raise NotFound("barber", one.barber_id)
    return [found[one.barber_id] for one in arguments]


def _payload(row: Any) -> bytes:  # noqa: ANN401 - a row of the statement above
    weeks: dict[str, list[types_pb2.WeekdayHours]] = {}
    for valid_from, weekday, periods in json.loads(row.weeks or "[]"):
        weeks.setdefault(valid_from, []).append(
            types_pb2.WeekdayHours(weekday=weekday, periods=to_periods(periods or ()))
        )
    return cache_service_pb2.GetScheduleResponse(
        weekly_hours=[
            types_pb2.WeeklyHours(
                valid_from=to_date(date.fromisoformat(valid_from)), weekdays=weekdays
            )
            for valid_from, weekdays in weeks.items()
        ],
        time_off=[
            types_pb2.TimeOff(
                time_off_id=time_off_id,
                barber_id=row.barber_id,
                start_time=to_timestamp(datetime.fromisoformat(starts_at)),
                end_time=to_timestamp(datetime.fromisoformat(ends_at)),
                reason=reason,
            )
            for time_off_id, starts_at, ends_at, reason in json.loads(row.time_off or "[]")
        ],
        special_days=[
            types_pb2.SpecialHours(
                barber_id=row.barber_id,
                date=to_date(date.fromisoformat(day)),
                periods=to_periods(periods or ()),
            )
            for day, periods in json.loads(row.special or "[]")
        ],
        time_zone=row.time_zone,
    ).SerializeToString()
