"""The way to a six-figure income: windows of 30 and 365 days before a day."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import text

from cache_service.invalidation import tags
from cache_service.queries import clients_sql, reports, reports_sql
from cache_service.queries.declare import LoadContext, Rpc, cache_analytics
from cache_service.queries.open_time import open_time_of, read_hours
from cache_service.queries.revenue import read_days, sum_of
from cache_service.queries.six_figure_figures import Measured, report_of
from chairside.cache.v1 import analytics_pb2, cache_service_pb2
from service_kit.validation import Violations

__all__ = [
    "COLUMNS",
    "SixFigureArguments",
    "check_target",
    "six_figure",
    "six_figure_of",
    "tags_of_income",
]

_MAX_TARGET = 1_000_000_000
_MONTH = timedelta(days=30)

COLUMNS = f"""
    {reports_sql.money_by_day("asked.as_of - 60", "asked.as_of")} AS income_money,
    {reports_sql.hours("asked.as_of - 30", "asked.as_of")} AS income_hours,
    {reports_sql.booked_seconds("asked.as_of - 30", "asked.as_of")} AS income_seconds,
    (SELECT json_build_array(count(DISTINCT v.client_id), count(*))
     FROM {clients_sql.visit_days("asked.as_of - 365", "asked.as_of")} v)::text AS income_visits,
    (SELECT json_build_array(count(*), count(*) FILTER (WHERE c.visits > 1))
     FROM {clients_sql.clients("asked.as_of")} c)::text AS income_clients"""  # noqa: S608 - constants
"""What `six_figure_of` takes of a row, beside currency and time zone."""
_SQL = text(f"{reports_sql.HEAD}, {COLUMNS} {clients_sql.OF_DAYS}")


@dataclass(frozen=True, slots=True)
class SixFigureArguments:
    """Whose income (0: the shop's), as of which local day, aimed at what a year."""

    organization_id: int
    barber_id: int
    as_of: date
    target: float


def _arguments(
    request: cache_service_pb2.GetAnalyticsRequest, today: date | None
) -> list[SixFigureArguments]:
    found = Violations()
    as_of = reports.as_of_day(found, request, today)
    target = request.six_figure.target_annual_income
    check_target(found, "six_figure.target_annual_income", target)
    found.raise_if_any()
    return [SixFigureArguments(request.organization_id, request.barber_id, as_of, target)]


def check_target(found: Violations, field: str, target: float) -> None:
    """Record a violation unless the income aimed at is one."""
    if not (math.isfinite(target) and 0 < target <= _MAX_TARGET):
        found.add(field, f"must be greater than 0 and at most {_MAX_TARGET:,}")


def tags_of_income(barber: int, as_of: date) -> tuple[str, ...]:
    """Return the tags of what the report says of a barber (0: the shop) as of a day."""
    return (
        *reports.subject_tags(barber),
        # Retention looks at all history; only visits count there and in utilisation, so that
        # a booking made or called off leaves this report alone.
        *tags.visits_before(barber, as_of),
        tags.hours(barber),
        *tags.openings_within(barber, as_of - _MONTH, as_of),
        *tags.money_within(barber, as_of - 2 * _MONTH, as_of),
    )


@cache_analytics(
    "six_figure",
    tags=lambda arguments: tags_of_income(arguments.barber_id, arguments.as_of),
    rpc=Rpc("six_figure", _arguments, needs_today=reports.needs_as_of),
)
async def six_figure(context: LoadContext, arguments: Sequence[SixFigureArguments]) -> list[bytes]:
    """Load six-figure reports; NotFound: the organization or the barber."""
    rows = await reports.load_as_of(context.connection, _SQL, arguments)
    return [
        cache_service_pb2.GetAnalyticsResponse(
            six_figure=six_figure_of(one.as_of, one.target, row)
        ).SerializeToString()
        for one, row in zip(arguments, rows, strict=True)
    ]


def six_figure_of(as_of: date, target: float, row: Any) -> analytics_pb2.SixFigureReport:  # noqa: ANN401 - a row with COLUMNS
    """Work out the report from a row with `COLUMNS`."""
    since = as_of - _MONTH
    days = read_days(row.income_money)
    opened = open_time_of(read_hours(row.income_hours), ZoneInfo(row.time_zone), since, as_of)
    active, recent_visits = json.loads(row.income_visits)
    clients, returning = json.loads(row.income_clients)
    measured = Measured(
        target=Decimal(repr(target)),
        month=sum_of(money for day, money in days.items() if day >= since),
        month_before=sum_of(money for day, money in days.items() if day < since),
        booked_minutes=row.income_seconds // 60,
        open_minutes=opened.minutes,
        open_days=opened.days,
        clients=clients,
        returning=returning,
        active_clients=active,
        recent_visits=recent_visits,
    )
    return report_of(measured, as_of, row.currency)
