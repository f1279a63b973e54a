"""What clients are worth: what they spent, and what they are expected to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import text

from booking_service.domain.money import ratio
from cache_service.invalidation import tags
from cache_service.queries import clients_sql, reports, reports_sql
from cache_service.queries.declare import LoadContext, Rpc, cache_analytics
from cache_service.queries.reports import cents, number
from chairside.cache.v1 import analytics_pb2, cache_service_pb2, types_pb2
from service_kit.values import to_date

__all__ = [
    "COLUMNS",
    "lifetime_value",
    "lifetime_value_of",
    "mean_predicted",
    "tags_of_value",
]

# predicted = spent / visits x 365 / (days / (visits - 1)) x 2, in one division to 30 places
# and rounded to 20: so equal values compare equal however they came about, since different
# ones with divisors as small as these differ by more. Segments are `user_data.segment`'s.
_VALUED = f"""
    SELECT v.*, asked.as_of - v.last_visit > 60
        AND v.segment >= {types_pb2.CLIENT_SEGMENT_REGULAR} AS at_risk
    FROM (
        SELECT c.*,
            CASE WHEN c.visits > 1 AND c.last_visit - c.first_visit <= 90 * (c.visits - 1)
                THEN round((c.spent * 730 * (c.visits - 1))::numeric(60, 30)
                           / (c.visits * (c.last_visit - c.first_visit)), 20)
                ELSE c.spent END AS predicted,
            CASE WHEN c.spent >= 500 AND c.visits >= 5 THEN {types_pb2.CLIENT_SEGMENT_VIP}
                WHEN c.spent >= 200 AND c.visits >= 3 THEN {types_pb2.CLIENT_SEGMENT_REGULAR}
                WHEN c.visits >= 2 THEN {types_pb2.CLIENT_SEGMENT_RETURNING}
                ELSE {types_pb2.CLIENT_SEGMENT_NEW} END AS segment
        FROM {clients_sql.clients("asked.as_of")} c
    ) v"""  # noqa: S608 - constants


def _top(condition: str) -> str:
    """Give the ten of the greatest predicted value, with their names."""
    return f"""
    (SELECT json_agg(json_build_array(v.client_id, n.name, v.segment, v.spent, v.visits,
                v.predicted, v.first_visit, v.last_visit)
            ORDER BY v.predicted DESC, v.client_id)
     FROM (SELECT * FROM valued WHERE {condition}
           ORDER BY predicted DESC, client_id LIMIT 10) v
     JOIN clients n ON n.id = v.client_id)"""  # noqa: S608 - constants


COLUMNS = f"""
    (WITH valued AS MATERIALIZED ({_VALUED})
     SELECT json_build_array(
        (SELECT json_agg(json_build_array(g.segment, g.at_risk, g.clients, g.spent, g.visits,
                    g.predicted) ORDER BY g.segment, g.at_risk)
         FROM (SELECT segment, at_risk, count(*) AS clients, sum(spent) AS spent,
                   sum(visits) AS visits, sum(predicted) AS predicted
               FROM valued GROUP BY segment, at_risk) g),
        {_top("true")},
        {_top("at_risk")}))::text AS valued"""  # noqa: S608 - constants
"""What `lifetime_value_of` takes of a row, beside the currency."""
_SQL = text(f"{reports_sql.HEAD}, {COLUMNS} {clients_sql.OF_DAYS}")
_SEGMENTS = (
    types_pb2.CLIENT_SEGMENT_NEW,
    types_pb2.CLIENT_SEGMENT_RETURNING,
    types_pb2.CLIENT_SEGMENT_REGULAR,
    types_pb2.CLIENT_SEGMENT_VIP,
)


class _Group(NamedTuple):
    """Clients of one segment, all at risk or none."""

    segment: int
    at_risk: bool
    clients: int
    spent: Decimal
    visits: int
    predicted: Decimal


def tags_of_value(barber: int, as_of: date) -> tuple[str, ...]:
    """Return the tags of what the report says of a barber (0: the shop) as of a day."""
    return (
        *reports.subject_tags(barber),
        tags.CLIENTS,  # their names
        *tags.visits_before(barber, as_of),
        *tags.spent_before(barber, as_of),
    )


@cache_analytics(
    "lifetime_value",
    tags=lambda arguments: tags_of_value(arguments.barber_id, arguments.as_of),
    rpc=Rpc("lifetime_value", reports.as_of_arguments, needs_today=reports.needs_as_of),
)
async def lifetime_value(
    context: LoadContext, arguments: Sequence[reports.AsOfArguments]
) -> list[bytes]:
    """Load reports on what clients are worth; NotFound: the organization or the barber."""
    rows = await reports.load_as_of(context.connection, _SQL, arguments)
    return [
        cache_service_pb2.GetAnalyticsResponse(
            lifetime_value=lifetime_value_of(one.as_of, row)
        ).SerializeToString()
        for one, row in zip(arguments, rows, strict=True)
    ]


def lifetime_value_of(as_of: date, row: Any) -> analytics_pb2.LifetimeValueReport:  # noqa: ANN401 - a row with COLUMNS
    """Work out the report from a row with `COLUMNS`."""
    found, top, top_at_risk = json.loads(row.valued, parse_float=Decimal)
    groups = [_Group(*group) for group in found or ()]
    currency = row.currency
    return analytics_pb2.LifetimeValueReport(
        as_of_date=to_date(as_of),
        total=_together(types_pb2.CLIENT_SEGMENT_UNSPECIFIED, groups, currency),
        segments=[
            _together(segment, [g for g in groups if g.segment == segment], currency)
            for segment in _SEGMENTS
        ],
        top_clients=[_client(client, currency) for client in top or ()],
        at_risk=_together(
            types_pb2.CLIENT_SEGMENT_UNSPECIFIED, [g for g in groups if g.at_risk], currency
        ),
        top_at_risk_clients=[_client(client, currency) for client in top_at_risk or ()],
    )


def mean_predicted(row: Any) -> Decimal | None:  # noqa: ANN401 - a row with COLUMNS
    """Tell the mean predicted value of a row's clients, unrounded; None if there are none."""
    found, *_ = json.loads(row.valued, parse_float=Decimal)
    groups = [_Group(*group) for group in found or ()]
    return ratio(
        sum((group.predicted for group in groups), Decimal(0)),
        sum(group.clients for group in groups),
    )


def _together(
    segment: types_pb2.ClientSegment.ValueType, groups: Iterable[_Group], currency: str
) -> analytics_pb2.ClientValues:
    clients = visits = 0
    spent = predicted = Decimal(0)
    for group in groups:
        clients += group.clients
        visits += group.visits
        spent += group.spent
        predicted += group.predicted
    return analytics_pb2.ClientValues(
        segment=segment,
        clients=clients,
        spent=cents(spent, currency),
        visits=visits,
        predicted=cents(predicted, currency),
        mean_spent=cents(ratio(spent, clients), currency),
        mean_visits=number(ratio(visits, clients)),
        mean_predicted=cents(ratio(predicted, clients), currency),
    )


def _client(client: Sequence[Any], currency: str) -> analytics_pb2.ClientValue:
    client_id, name, segment, spent, visits, predicted, first, last = client
    first_visit, last_visit = date.fromisoformat(first), date.fromisoformat(last)
    return analytics_pb2.ClientValue(
        client_id=client_id,
        name=name,
        segment=segment,
        spent=cents(spent, currency),
        visits=visits,
        average_order=cents(ratio(spent, visits), currency),
        mean_days_between_visits=number(ratio((last_visit - first_visit).days, visits - 1)),
        predicted=cents(predicted, currency),
        first_visit=to_date(first_visit),
        last_visit=to_date(last_visit),
    )
