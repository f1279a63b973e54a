"""Counts and rates of appointments, and how much of the open time they fill."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import text

from booking_service.domain.money import pct
from cache_service.invalidation import tags
from cache_service.queries import reports, reports_sql
from cache_service.queries.declare import LoadContext, Rpc, cache_analytics
from cache_service.queries.open_time import open_time_of, read_hours
from cache_service.queries.records import status_number
from chairside.cache.v1 import analytics_pb2, cache_service_pb2
from service_kit.validation import Violations

__all__ = ["StatsArguments", "appointment_stats"]

_DAYS = ("asked.first", "asked.last")
_SQL = text(f"""
    {reports_sql.HEAD},
        {reports_sql.booked(*_DAYS)} AS booked,
        {reports_sql.earned_by_service(*_DAYS)} AS earned,
        {reports_sql.hours(*_DAYS)} AS hours,
        (SELECT json_object_agg(s.id, s.name) FROM services s
         WHERE s.organization_id = shop.id)::text AS names
    FROM organizations shop
    CROSS JOIN unnest(CAST(:barber_ids AS bigint[]), CAST(:firsts AS date[]),
                      CAST(:lasts AS date[])) WITH ORDINALITY
        AS asked (barber_id, first, last, number)
    WHERE shop.id = :organization_id
""")  # noqa: S608 - constants


@dataclass(frozen=True, slots=True)
class StatsArguments:
    """Whose appointments (0: the shop's), that start on the local days [start, end)."""

    organization_id: int
    barber_id: int
    start: date
    end: date


def _arguments(
    request: cache_service_pb2.GetAnalyticsRequest, _today: date | None
) -> list[StatsArguments]:
    found = Violations()
    start, end = reports.report_days(found, request)
    found.raise_if_any()
    return [StatsArguments(request.organization_id, request.barber_id, start, end)]


def _tags(arguments: StatsArguments) -> tuple[str, ...]:
    barber = arguments.barber_id
    months = tags.months(arguments.start, arguments.end)
    return (
        *reports.subject_tags(barber),
        tags.SERVICES,  # their names
        tags.hours(barber),
        *(tags.openings(barber, month) for month in months),
        *(tags.bookings(barber, month) for month in months),
        *(tags.earned(barber, month) for month in months),
    )


@cache_analytics(
    "appointment_stats",
    ttl=timedelta(minutes=30),
    tags=_tags,
    rpc=Rpc("appointment_stats", _arguments),
)
async def appointment_stats(
    context: LoadContext, arguments: Sequence[StatsArguments]
) -> list[bytes]:
    """Load statistics; NotFound: the organization or the barber."""
    rows = await reports.load_rows(
        context.connection,
        _SQL,
        arguments,
        {
            "firsts": [one.start for one in arguments],
            "lasts": [one.end for one in arguments],
        },
    )
    return [_report(one, row) for one, row in zip(arguments, rows, strict=True)]


def _report(arguments: StatsArguments, row: Any) -> bytes:  # noqa: ANN401 - a row of the statement above
    by_status: Counter[str] = Counter()
    by_hour: Counter[int] = Counter()
    by_service: dict[int, Counter[str]] = defaultdict(Counter)
    booked_seconds = 0
    for service_id, status, hour, count, seconds in json.loads(row.booked or "[]"):
        by_status[status] += count
        by_service[service_id][status] += count
        if status != "cancelled":
            by_hour[hour] += count
        if status == "completed":
            booked_seconds += seconds
    earned = dict(json.loads(row.earned or "[]", parse_float=Decimal))
    names = json.loads(row.names or "{}")
    booked = booked_seconds // 60
    opened = open_time_of(
        read_hours(row.hours), ZoneInfo(row.time_zone), arguments.start, arguments.end
    )
    total = by_status.total()
    report = analytics_pb2.AppointmentStatsReport(
        total=total,
        by_status=sorted(
            (
                analytics_pb2.StatusCount(status=status_number(status), count=count)
                for status, count in by_status.items()
            ),
            key=lambda one: one.status,
        ),
        completion_rate=float(pct(by_status["completed"], total)),
        cancellation_rate=float(pct(by_status["cancelled"], total)),
        no_show_rate=float(pct(by_status["no_show"], total)),
        by_service=[
            _service(
                service_id,
                names[str(service_id)],
                by_service[service_id],
                Decimal(earned.get(service_id, 0)),
                row.currency,
            )
            for service_id in sorted(by_service)
        ],
        by_hour=[
            analytics_pb2.HourCount(hour=hour, count=by_hour[hour]) for hour in sorted(by_hour)
        ],
        booked_minutes=booked,
        open_minutes=opened.minutes,
        utilisation=float(pct(booked, opened.minutes)),
    )
    return cache_service_pb2.GetAnalyticsResponse(appointment_stats=report).SerializeToString()


def _service(
    service_id: int, name: str, by_status: Counter[str], revenue: Decimal, currency: str
) -> analytics_pb2.ServiceStats:
    count = by_status.total()
    return analytics_pb2.ServiceStats(
        service_id=service_id,
        name=name,
        count=count,
        revenue=reports.cents(revenue, currency),
        completed=by_status["completed"],
        cancelled=by_status["cancelled"],
        no_shows=by_status["no_show"],
        completion_rate=float(pct(by_status["completed"], count)),
        cancellation_rate=float(pct(by_status["cancelled"], count)),
        no_show_rate=float(pct(by_status["no_show"], count)),
    )
