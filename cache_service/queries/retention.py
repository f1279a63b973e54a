"""How clients stay: who comes back, and who has not been for how long."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import text

from booking_service.domain.money import pct
from cache_service.invalidation import tags
from cache_service.queries import clients_sql, reports, reports_sql
from cache_service.queries.declare import LoadContext, Rpc, cache_analytics
from chairside.cache.v1 import analytics_pb2, cache_service_pb2
from service_kit.values import to_date

__all__ = [
    "COLUMNS",
    "retention",
    "retention_of",
    "tags_of_retention",
]

COLUMNS = f"""
    (SELECT json_build_array(
        count(*),
        count(*) FILTER (WHERE asked.as_of - c.last_visit <= 30),
        count(*) FILTER (WHERE asked.as_of - c.last_visit BETWEEN 31 AND 60),
        count(*) FILTER (WHERE c.visits > 1))
     FROM {clients_sql.clients("asked.as_of")} c)::text AS retained,
    (SELECT json_build_array(
        count(*) FILTER (WHERE c.first < asked.as_of - 90),
        count(*) FILTER (WHERE c.first < asked.as_of - 90 AND c.last >= asked.as_of - 90))
     FROM (
        SELECT min(v.day) AS first, max(v.day) AS last
        FROM {clients_sql.visit_days("asked.as_of - 180", "asked.as_of")} v
        GROUP BY v.client_id
     ) c)::text AS repeated"""  # noqa: S608 - constants
"""What `retention_of` takes of a row."""
_SQL = text(f"{reports_sql.HEAD}, {COLUMNS} {clients_sql.OF_DAYS}")


def tags_of_retention(barber: int, as_of: date) -> tuple[str, ...]:
    """Return the tags of what the report says of a barber (0: the shop) as of a day."""
    return (*reports.subject_tags(barber), *tags.visits_before(barber, as_of))


@cache_analytics(
    "retention",
    tags=lambda arguments: tags_of_retention(arguments.barber_id, arguments.as_of),
    rpc=Rpc("retention", reports.as_of_arguments, needs_today=reports.needs_as_of),
)
async def retention(
    context: LoadContext, arguments: Sequence[reports.AsOfArguments]
) -> list[bytes]:
    """Load reports on how clients stay; NotFound: the organization or the barber."""
    rows = await reports.load_as_of(context.connection, _SQL, arguments)
    return [
        cache_service_pb2.GetAnalyticsResponse(
            retention=retention_of(one.as_of, row)
        ).SerializeToString()
        for one, row in zip(arguments, rows, strict=True)
    ]


def retention_of(as_of: date, row: Any) -> analytics_pb2.RetentionReport:  # noqa: ANN401 - a row with COLUMNS
    """Work out the report from a row with `COLUMNS`."""
    clients, active, at_risk, returning = json.loads(row.retained)
    earlier, repeat = json.loads(row.repeated)
    return analytics_pb2.RetentionReport(
        as_of_date=to_date(as_of),
        clients=clients,
        active_clients=active,
        at_risk_clients=at_risk,
        lost_clients=clients - active - at_risk,
        new_clients=clients - returning,
        returning_clients=returning,
        retention_rate=float(pct(returning, clients)),
        earlier_clients=earlier,
        repeat_clients=repeat,
        repeat_rate_90=float(pct(repeat, earlier)),
    )
