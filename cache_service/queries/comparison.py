"""A calendar period up to a day against as much of the one before."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import text

from booking_service.domain.money import change_pct, pct
from cache_service.invalidation import tags
from cache_service.queries import reports, reports_sql
from cache_service.queries.declare import LoadContext, Rpc, cache_analytics
from cache_service.queries.revenue import read_days, sum_of
from chairside.cache.v1 import analytics_pb2, cache_service_pb2
from service_kit.validation import Violations
from service_kit.values import to_date

__all__ = [
    "COLUMNS",
    "SIDES",
    "SIDE_NAMES",
    "ComparisonArguments",
    "comparison",
    "comparison_of",
    "days_compared",
    "sides_of",
    "tags_of_comparison",
]

_DAY = timedelta(days=1)
_AGAINST = {
    analytics_pb2.AGAINST_UNSPECIFIED: "month",
    analytics_pb2.AGAINST_MONTH: "month",
    analytics_pb2.AGAINST_QUARTER: "quarter",
    analytics_pb2.AGAINST_YEAR: "year",
}
_NAMES = {
    "month": analytics_pb2.AGAINST_MONTH,
    "quarter": analytics_pb2.AGAINST_QUARTER,
    "year": analytics_pb2.AGAINST_YEAR,
}
_FIRST_DAYS: Mapping[str, Callable[[date], date]] = {
    "month": lambda day: day.replace(day=1),
    "quarter": lambda day: day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1),
    "year": lambda day: day.replace(month=1, day=1),
}
_CURRENT = ("asked.current_first", "asked.current_last")
_PREVIOUS = ("asked.previous_first", "asked.previous_last")
COLUMNS = f"""
    {reports_sql.money_by_day(*_CURRENT)} AS current_money,
    {reports_sql.totals(*_CURRENT)} AS current_totals,
    {reports_sql.money_by_day(*_PREVIOUS)} AS previous_money,
    {reports_sql.totals(*_PREVIOUS)} AS previous_totals"""
"""What `comparison_of` takes of a row."""
SIDES = """CAST(:current_firsts AS date[]), CAST(:current_lasts AS date[]),
        CAST(:previous_firsts AS date[]), CAST(:previous_lasts AS date[])"""
"""The arrays of the days asked for, and below the names of theirs that `COLUMNS` has."""
SIDE_NAMES = "current_first, current_last, previous_first, previous_last"
_SQL = text(f"""
    {reports_sql.HEAD}, {COLUMNS}
    FROM organizations shop
    CROSS JOIN unnest(CAST(:barber_ids AS bigint[]), {SIDES}) WITH ORDINALITY
        AS asked (barber_id, {SIDE_NAMES}, number)
    WHERE shop.id = :organization_id
""")


@dataclass(frozen=True, slots=True)
class ComparisonArguments:
    """Whose figures (0: the shop's), up to which local day, of a month, quarter or year."""

    organization_id: int
    barber_id: int
    as_of: date
    against: str


@dataclass(frozen=True, slots=True)
class _Side:
    """What the local days [start, end) hold."""

    start: date
    end: date
    revenue: Decimal
    appointments: int
    completion: Decimal
    clients: int


def days_compared(as_of: date, against: str) -> tuple[date, date, date, date]:
    """Return first day and day after the last of the current period, and of the one before.

    The one before has as many days, or all that it has if it is shorter.
    """
    first_of = _FIRST_DAYS[against]
    first = first_of(as_of)
    before = first_of(first - _DAY)
    return first, as_of, before, min(before + (as_of - first), first)


def sides_of(days: Sequence[tuple[date, date, date, date]]) -> dict[str, object]:
    """Return the parameters of `SIDES` for what `days_compared` gave."""
    names = ("current_firsts", "current_lasts", "previous_firsts", "previous_lasts")
    return {name: list(column) for name, column in zip(names, zip(*days, strict=True), strict=True)}


def _arguments(
    request: cache_service_pb2.GetAnalyticsRequest, today: date | None
) -> list[ComparisonArguments]:
    found = Violations()
    as_of = reports.as_of_day(found, request, today)
    against = found.enum("comparison.against", request.comparison.against, _AGAINST)
    found.raise_if_any()
    return [
        ComparisonArguments(
            request.organization_id,
            request.barber_id,
            as_of,
            _AGAINST[analytics_pb2.Against.ValueType(against)],
        )
    ]


def tags_of_comparison(barber: int, as_of: date, against: str) -> tuple[str, ...]:
    """Return the tags of what the report says of a barber (0: the shop) up to a day."""
    first, last, before, before_last = days_compared(as_of, against)
    return (
        *reports.subject_tags(barber),
        *tags.money_within(barber, first, last),
        *tags.money_within(barber, before, before_last),
        *tags.bookings_within(barber, first, last),
        *tags.bookings_within(barber, before, before_last),
    )


@cache_analytics(
    "comparison",
    ttl=timedelta(minutes=10),
    tags=lambda one: tags_of_comparison(one.barber_id, one.as_of, one.against),
    rpc=Rpc("comparison", _arguments, needs_today=reports.needs_as_of),
)
async def comparison(context: LoadContext, arguments: Sequence[ComparisonArguments]) -> list[bytes]:
    """Load comparisons; NotFound: the organization or the barber."""
    days = [days_compared(one.as_of, one.against) for one in arguments]
    rows = await reports.load_rows(context.connection, _SQL, arguments, sides_of(days))
    return [
        cache_service_pb2.GetAnalyticsResponse(
            comparison=comparison_of(one.as_of, one.against, row)
        ).SerializeToString()
        for one, row in zip(arguments, rows, strict=True)
    ]


def comparison_of(as_of: date, against: str, row: Any) -> analytics_pb2.ComparisonReport:  # noqa: ANN401 - a row with COLUMNS
    """Work out the report from a row with `COLUMNS` and the currency."""
    first, last, before, before_last = days_compared(as_of, against)
    now = _side(first, last, row.current_money, row.current_totals)
    then = _side(before, before_last, row.previous_money, row.previous_totals)
    points = now.completion - then.completion if last > first else None
    return analytics_pb2.ComparisonReport(
        as_of_date=to_date(as_of),
        against=_NAMES[against],
        current=_period(now, row.currency),
        previous=_period(then, row.currency),
        revenue_change=reports.number(change_pct(now.revenue, then.revenue)),
        appointments_change=reports.number(change_pct(now.appointments, then.appointments)),
        completion_change=reports.number(points),
        clients_change=reports.number(change_pct(now.clients, then.clients)),
    )


def _side(start: date, end: date, money: str | None, totals: str) -> _Side:
    appointments, completed, clients = json.loads(totals)
    return _Side(
        start=start,
        end=end,
        revenue=sum_of(read_days(money).values()).revenue,
        appointments=appointments,
        completion=pct(completed, appointments),
        clients=clients,
    )


def _period(side: _Side, currency: str) -> analytics_pb2.ComparisonPeriod:
    return analytics_pb2.ComparisonPeriod(
        start_date=to_date(side.start),
        end_date=to_date(side.end),
        revenue=reports.cents(side.revenue, currency),
        appointments=side.appointments,
        completion_rate=float(side.completion),
        clients=side.clients,
    )
