"""Counts and rates of appointments, and how much of the open time they fill."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import text

from booking_service.domain.money import pct
from cache_service.invalidation import tags
from cache_service.queries import reports, reports_sql
from cache_service.queries.bookings import (
    Bookings,
    held,
    read_bookings,
    read_sold,
    service_stats,
)
from cache_service.queries.declare import LoadContext, Rpc, cache_analytics
from cache_service.queries.open_time import OpenTime, open_time_of, read_hours
from cache_service.queries.records import status_number
from chairside.cache.v1 import analytics_pb2, cache_service_pb2

__all__ = ["appointment_stats", "stats_of"]

_DAYS = ("asked.first", "asked.last")
_SQL = text(f"""
    {reports_sql.HEAD},
        {reports_sql.counted(*_DAYS)} AS booked,
        {reports_sql.sold(*_DAYS)} AS sold,
        {reports_sql.hours(*_DAYS)} AS hours,
        {reports_sql.SERVICE_NAMES} AS names
    {reports_sql.OF_RANGES}
""")


def _tags(arguments: reports.RangeArguments) -> tuple[str, ...]:
    barber, days = arguments.barber_id, (arguments.start, arguments.end)
    return (
        *reports.subject_tags(barber),
        tags.SERVICES,  # their names
        tags.hours(barber),
        *tags.openings_within(barber, *days),
        *tags.bookings_within(barber, *days),
        *tags.earned_within(barber, *days),
    )


@cache_analytics(
    "appointment_stats",
    ttl=timedelta(minutes=30),
    tags=_tags,
    rpc=Rpc("appointment_stats", reports.range_arguments),
)
async def appointment_stats(
    context: LoadContext, arguments: Sequence[reports.RangeArguments]
) -> list[bytes]:
    """Load statistics; NotFound: the organization or the barber."""
    rows = await reports.load_ranges(context.connection, _SQL, arguments)
    return [_report(one, row) for one, row in zip(arguments, rows, strict=True)]


def _report(arguments: reports.RangeArguments, row: Any) -> bytes:  # noqa: ANN401 - a row of the statement above
    bookings = read_bookings(row.booked)
    opened = open_time_of(
        read_hours(row.hours), ZoneInfo(row.time_zone), arguments.start, arguments.end
    )
    report = stats_of(bookings, opened)
    report.by_service.extend(service_stats(bookings, read_sold(row.sold), row.names, row.currency))
    report.by_hour.extend(
        analytics_pb2.HourCount(hour=hour, count=held(by_status))
        for hour, by_status in sorted(bookings.by_hour.items())
        if held(by_status)
    )
    return cache_service_pb2.GetAnalyticsResponse(appointment_stats=report).SerializeToString()


def stats_of(bookings: Bookings, opened: OpenTime) -> analytics_pb2.AppointmentStatsReport:
    """Work out the statistics of all appointments together, without those by service and hour."""
    return analytics_pb2.AppointmentStatsReport(
        total=bookings.by_status.total(),
        by_status=sorted(
            (
                analytics_pb2.StatusCount(status=status_number(status), count=count)
                for status, count in bookings.by_status.items()
            ),
            key=lambda one: one.status,
        ),
        completion_rate=bookings.rate("completed"),
        cancellation_rate=bookings.rate("cancelled"),
        no_show_rate=bookings.rate("no_show"),
        booked_minutes=bookings.booked_minutes,
        open_minutes=opened.minutes,
        utilisation=float(pct(bookings.booked_minutes, opened.minutes)),
    )
