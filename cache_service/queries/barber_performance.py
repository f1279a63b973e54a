"""How a barber does in a range, or the whole shop."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import text

from booking_service.domain.money import pct, ratio
from cache_service.invalidation import tags
from cache_service.queries import reports, reports_sql
from cache_service.queries.bookings import (
    Bookings,
    peak,
    read_bookings,
    read_sold,
    service_stats,
)
from cache_service.queries.declare import LoadContext, Rpc, cache_analytics
from cache_service.queries.open_time import OpenTime, open_time_of, read_hours
from cache_service.queries.revenue import read_days, sum_of
from chairside.cache.v1 import analytics_pb2, cache_service_pb2

__all__ = ["Performance", "barber_performance", "performance_of"]

_DAYS = ("asked.first", "asked.last")
_HOUR = 60
_SQL = text(f"""
    {reports_sql.HEAD},
        {reports_sql.counted(*_DAYS)} AS booked,
        {reports_sql.sold(*_DAYS)} AS sold,
        {reports_sql.visitors(*_DAYS)} AS visitors,
        {reports_sql.money_by_day(*_DAYS)} AS money,
        {reports_sql.hours(*_DAYS)} AS hours,
        {reports_sql.SERVICE_NAMES} AS names
    {reports_sql.OF_RANGES}
""")


@dataclass(frozen=True, slots=True)
class Performance:
    """What a range holds: bookings, revenue, open time; clients with a visit, with two or more."""

    bookings: Bookings
    revenue: Decimal
    opened: OpenTime
    clients: int
    repeat_clients: int


def _tags(arguments: reports.RangeArguments) -> tuple[str, ...]:
    barber, days = arguments.barber_id, (arguments.start, arguments.end)
    return (
        *reports.subject_tags(barber),
        tags.SERVICES,  # their names
        tags.hours(barber),
        *tags.openings_within(barber, *days),
        *tags.bookings_within(barber, *days),
        *tags.money_within(barber, *days),
        *tags.earned_within(barber, *days),
    )


@cache_analytics(
    "barber_performance", tags=_tags, rpc=Rpc("barber_performance", reports.range_arguments)
)
async def barber_performance(
    context: LoadContext, arguments: Sequence[reports.RangeArguments]
) -> list[bytes]:
    """Load how barbers do; NotFound: the organization or the barber."""
    rows = await reports.load_ranges(context.connection, _SQL, arguments)
    return [_report(one, row) for one, row in zip(arguments, rows, strict=True)]


def _report(arguments: reports.RangeArguments, row: Any) -> bytes:  # noqa: ANN401 - a row of the statement above
    bookings = read_bookings(row.booked)
    clients, repeat_clients = json.loads(row.visitors)
    measured = Performance(
        bookings=bookings,
        revenue=sum_of(read_days(row.money).values()).revenue,
        opened=open_time_of(
            read_hours(row.hours), ZoneInfo(row.time_zone), arguments.start, arguments.end
        ),
        clients=clients,
        repeat_clients=repeat_clients,
    )
    report = performance_of(measured, row.currency)
    report.by_service.extend(service_stats(bookings, read_sold(row.sold), row.names, row.currency))
    return cache_service_pb2.GetAnalyticsResponse(barber_performance=report).SerializeToString()


def performance_of(measured: Performance, currency: str) -> analytics_pb2.BarberPerformanceReport:
    """Work out the report without its services."""
    bookings, opened = measured.bookings, measured.opened
    hourly = ratio(measured.revenue * _HOUR, bookings.booked_minutes)
    return analytics_pb2.BarberPerformanceReport(
        total=bookings.by_status.total(),
        completion_rate=bookings.rate("completed"),
        cancellation_rate=bookings.rate("cancelled"),
        no_show_rate=bookings.rate("no_show"),
        revenue=reports.cents(measured.revenue, currency),
        booked_hours=bookings.booked_minutes / _HOUR,
        revenue_per_booked_hour=reports.cents(hourly, currency),
        open_hours=opened.minutes / _HOUR,
        utilisation=float(pct(bookings.booked_minutes, opened.minutes)),
        clients=measured.clients,
        repeat_clients=measured.repeat_clients,
        peak_hour=peak(bookings.by_hour),
        peak_weekday=peak(bookings.by_weekday),
    )
