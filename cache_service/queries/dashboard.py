"""All reports in short, in one entry from one snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import text

from cache_service.invalidation import tags
from cache_service.queries import (
    comparison,
    lifetime_value,
    reports,
    reports_sql,
    retention,
    six_figure,
)
from cache_service.queries.dashboard_figures import report_of
from cache_service.queries.declare import LoadContext, Rpc, cache_analytics
from chairside.cache.v1 import cache_service_pb2
from service_kit.validation import Violations

__all__ = ["DashboardArguments", "dashboard"]

_SIX_FIGURES = 100_000.0
_AGAINST = "month"
_DAYS = ("asked.first", "asked.last")
_SQL = text(f"""
    {reports_sql.HEAD},
        {reports_sql.counted(*_DAYS)} AS booked,
        {reports_sql.visitors(*_DAYS)} AS visitors,
        {reports_sql.money_by_day(*_DAYS)} AS money,
        {reports_sql.hours(*_DAYS)} AS hours,
        {reports_sql.SERVICE_NAMES} AS names,
        {six_figure.COLUMNS},
        {retention.COLUMNS},
        {lifetime_value.COLUMNS},
        {comparison.COLUMNS}
    FROM organizations shop
    CROSS JOIN unnest(
        CAST(:barber_ids AS bigint[]), CAST(:firsts AS date[]), CAST(:lasts AS date[]),
        CAST(:as_ofs AS date[]), {comparison.SIDES}
    ) WITH ORDINALITY
        AS asked (barber_id, first, last, as_of, {comparison.SIDE_NAMES}, number)
    WHERE shop.id = :organization_id
""")


@dataclass(frozen=True, slots=True)
class DashboardArguments:
    """Whose business (0: the shop's), on the local days [start, end), as of which day.

    `target` is the yearly income aimed at.
    """

    organization_id: int
    barber_id: int
    start: date
    end: date
    as_of: date
    target: float


def _arguments(
    request: cache_service_pb2.GetAnalyticsRequest, today: date | None
) -> list[DashboardArguments]:
    found = Violations()
    start, end, as_of = reports.days_and_day(found, request, today)
    options, target = request.dashboard, _SIX_FIGURES
    if options.HasField("target_annual_income"):
        target = options.target_annual_income
        six_figure.check_target(found, "dashboard.target_annual_income", target)
    found.raise_if_any()
    organization_id, barber_id = request.organization_id, request.barber_id
    return [DashboardArguments(organization_id, barber_id, start, end, as_of, target)]


def _tags(arguments: DashboardArguments) -> tuple[str, ...]:
    barber, as_of = arguments.barber_id, arguments.as_of
    days = (arguments.start, arguments.end)
    found = (
        tags.SERVICES,  # the names of insights
        *tags.openings_within(barber, *days),
        *tags.bookings_within(barber, *days),
        *tags.money_within(barber, *days),
        *six_figure.tags_of_income(barber, as_of),
        *retention.tags_of_retention(barber, as_of),
        *tags.spent_before(barber, as_of),
        *comparison.tags_of_comparison(barber, as_of, _AGAINST),
    )
    return tuple(dict.fromkeys(found))


@cache_analytics(
    "dashboard",
    tags=_tags,
    rpc=Rpc("dashboard", _arguments, needs_today=reports.needs_as_of),
)
async def dashboard(context: LoadContext, arguments: Sequence[DashboardArguments]) -> list[bytes]:
    """Load dashboards; NotFound: the organization or the barber."""
    rows = await reports.load_rows(
        context.connection,
        _SQL,
        arguments,
        {
            "firsts": [one.start for one in arguments],
            "lasts": [one.end for one in arguments],
            "as_ofs": [one.as_of for one in arguments],
            **comparison.sides_of(
                [comparison.days_compared(one.as_of, _AGAINST) for one in arguments]
            ),
        },
    )
    return [
        cache_service_pb2.GetAnalyticsResponse(
            dashboard=report_of(one.start, one.end, one.as_of, one.target, row)
        ).SerializeToString()
        for one, row in zip(arguments, rows, strict=True)
    ]
