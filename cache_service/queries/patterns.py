"""When and what is booked: appointments by hour, weekday, month and service."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import text

from booking_service.domain.money import pct
from cache_service.invalidation import tags
from cache_service.queries import reports, reports_sql
from cache_service.queries.bookings import Bookings, Sold, held, peak, read_bookings, read_sold
from cache_service.queries.declare import LoadContext, Rpc, cache_analytics
from chairside.cache.v1 import analytics_pb2, cache_service_pb2

__all__ = ["busiest", "patterns"]

_DAYS = ("asked.first", "asked.last")
_SQL = text(f"""
    {reports_sql.HEAD},
        {reports_sql.counted(*_DAYS)} AS booked,
        {reports_sql.sold(*_DAYS)} AS sold,
        {reports_sql.SERVICE_NAMES} AS names
    {reports_sql.OF_RANGES}
""")


def _tags(arguments: reports.RangeArguments) -> tuple[str, ...]:
    barber, days = arguments.barber_id, (arguments.start, arguments.end)
    return (
        *reports.subject_tags(barber),
        tags.SERVICES,  # their names
        *tags.bookings_within(barber, *days),
        *tags.earned_within(barber, *days),
    )


@cache_analytics("patterns", tags=_tags, rpc=Rpc("patterns", reports.range_arguments))
async def patterns(
    context: LoadContext, arguments: Sequence[reports.RangeArguments]
) -> list[bytes]:
    """Load booking patterns; NotFound: the organization or the barber."""
    rows = await reports.load_ranges(context.connection, _SQL, arguments)
    return [_report(row) for row in rows]


def _report(row: Any) -> bytes:  # noqa: ANN401 - a row of the statement above
    bookings = read_bookings(row.booked)
    report = busiest(bookings)
    report.by_hour.extend(
        analytics_pb2.HourPattern(hour=key, count=count, no_shows=no_shows)
        for key, count, no_shows in _held(bookings.by_hour)
    )
    report.by_weekday.extend(
        analytics_pb2.WeekdayPattern(weekday=key, count=count, no_shows=no_shows)
        for key, count, no_shows in _held(bookings.by_weekday)
    )
    report.by_month.extend(
        analytics_pb2.MonthPattern(month=key, count=count)
        for key, count, _ in _held(bookings.by_month)
    )
    report.by_service.extend(_services(bookings, row))
    return cache_service_pb2.GetAnalyticsResponse(patterns=report).SerializeToString()


def busiest(bookings: Bookings) -> analytics_pb2.PatternsReport:
    """Tell the busiest hour, weekday and month alone."""
    return analytics_pb2.PatternsReport(
        busiest_hour=peak(bookings.by_hour),
        busiest_weekday=peak(bookings.by_weekday),
        busiest_month=peak(bookings.by_month),
    )


def _held(table: Mapping[int, Any]) -> Iterator[tuple[int, int, int]]:
    """Give key, appointments and no-shows, without what has cancelled appointments alone."""
    for key, by_status in sorted(table.items()):
        if held(by_status):
            yield key, held(by_status), by_status["no_show"]


def _services(
    bookings: Bookings,
    row: Any,  # noqa: ANN401 - as above
) -> Iterator[analytics_pb2.ServicePattern]:
    sold, names = read_sold(row.sold), json.loads(row.names or "{}")
    for service_id, by_status in sorted(bookings.by_service.items()):
        count = by_status.total()
        yield analytics_pb2.ServicePattern(
            service_id=service_id,
            name=names[str(service_id)],
            count=count,
            no_shows=by_status["no_show"],
            completion_rate=float(pct(by_status["completed"], count)),
            no_show_rate=float(pct(by_status["no_show"], count)),
            mean_payment=reports.cents(sold.get(service_id, Sold()).mean_payment, row.currency),
        )
