"""A client in short: visits, spend, segment, the next and the last appointment."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import text

from booking_service.domain.money import to_cents
from cache_service.invalidation import tags
from cache_service.queries import records
from cache_service.queries.declare import LoadContext, Rpc, cache_user_data
from chairside.cache.v1 import cache_service_pb2, types_pb2
from service_kit.errors import NotFound
from service_kit.validation import Violations
from service_kit.values import from_timestamp, to_money

__all__ = ["UserArguments", "segment", "user_data"]

_SETTLED = timedelta(days=1)
_LENGTH_BYTES = 4
_BEGUN = (types_pb2.APPOINTMENT_STATUS_IN_PROGRESS, types_pb2.APPOINTMENT_STATUS_COMPLETED)

_SQL = text("""
    SELECT o.currency, c.id AS known_client, c.name, c.email, c.phone, c.notes AS client_notes,
           c.version AS client_version, facts.visits, facts.spent,
           a.id, a.barber_id, a.service_id, a.client_id, a.status, a.starts_at, a.ends_at,
           a.price, a.hold_until, a.notes, a.cancellation_reason, a.version
    FROM organizations o
    LEFT JOIN clients c ON c.organization_id = o.id AND c.id = ANY(:client_ids)
        AND NOT c.deleted
    LEFT JOIN LATERAL (SELECT
        (SELECT count(DISTINCT CAST(v.starts_at AT TIME ZONE o.time_zone AS date))
         FROM appointments v
         WHERE v.organization_id = o.id AND v.client_id = c.id
           AND v.status = 'completed') AS visits,
        coalesce((SELECT sum(p.amount) FROM payments p
                  WHERE p.organization_id = o.id AND p.client_id = c.id
                    AND p.status = 'completed'), 0)
        - coalesce((SELECT sum(r.amount) FROM refunds r
                    WHERE r.organization_id = o.id AND r.client_id = c.id), 0) AS spent
    ) facts ON c.id IS NOT NULL
    LEFT JOIN LATERAL (
        SELECT * FROM appointments n
        WHERE n.organization_id = o.id AND n.client_id = c.id
          AND n.status NOT IN ('cancelled', 'no_show')
          AND (n.starts_at > :settled OR n.hold_until > :settled)
        UNION ALL
        (SELECT * FROM appointments l
         WHERE l.organization_id = o.id AND l.client_id = c.id
           AND l.status NOT IN ('cancelled', 'no_show', 'pending')
           AND l.starts_at <= :settled
         ORDER BY l.starts_at DESC, l.id DESC LIMIT 1)
    ) a ON true
    WHERE o.id = :organization_id
    ORDER BY a.starts_at, a.id
""")
"""All that may be the next one or the last one now or later, of a client's appointments."""


@dataclass(frozen=True, slots=True)
class UserArguments:
    """Which client."""

    organization_id: int
    client_id: int


def segment(spent: Decimal, visits: int) -> types_pb2.ClientSegment.ValueType:
    """Return how a client counts, by money spent and local days visited."""
    if spent >= 500 and visits >= 5:  # noqa: PLR2004 - the definition
        return types_pb2.CLIENT_SEGMENT_VIP
    if spent >= 200 and visits >= 3:  # noqa: PLR2004 - the definition
        return types_pb2.CLIENT_SEGMENT_REGULAR
    if visits >= 2:  # noqa: PLR2004 - the definition
        return types_pb2.CLIENT_SEGMENT_RETURNING
    return types_pb2.CLIENT_SEGMENT_NEW


def _arguments(
    request: cache_service_pb2.GetUserDataRequest, _today: date | None
) -> list[UserArguments]:
    found = Violations()
    found.id("organization_id", request.organization_id)
    found.id("client_id", request.client_id)
    found.raise_if_any()
    return [UserArguments(request.organization_id, request.client_id)]


def _respond(
    _request: cache_service_pb2.GetUserDataRequest,
    parts: Sequence[tuple[UserArguments, bytes]],
    now: datetime,
) -> tuple[bytes, float]:
    """Return what there is to see now: until an appointment begins or a hold ends."""
    payload = parts[0][1]
    _, candidates = _parsed(payload)
    times = [one.start_time for one in candidates]
    times += [one.hold_until for one in candidates if one.HasField("hold_until")]
    to_come = (at.timestamp() for at in map(from_timestamp, times) if at > now)
    return _seen(payload, now), min(to_come, default=math.inf)


def _parsed(
    payload: bytes,
) -> tuple[cache_service_pb2.GetUserDataResponse, Sequence[types_pb2.Appointment]]:
    """Return the response without its appointments, and those that may be in it."""
    at = _LENGTH_BYTES + int.from_bytes(payload[:_LENGTH_BYTES], "big")
    response = cache_service_pb2.GetUserDataResponse.FromString(payload[_LENGTH_BYTES:at])
    candidates = cache_service_pb2.ListAppointmentsResponse.FromString(payload[at:])
    return response, candidates.appointments


def _seen(payload: bytes, now: datetime) -> bytes:
    """Choose the next and the last appointment; a hold that ended is neither.

    One that was started or completed early has begun, whatever its time.
    """
    response, candidates = _parsed(payload)
    for one in candidates:
        if one.HasField("hold_until") and from_timestamp(one.hold_until) <= now:
            continue
        if one.status in _BEGUN or from_timestamp(one.start_time) <= now:
            response.last_appointment.CopyFrom(one)
        elif not response.HasField("next_appointment"):
            response.next_appointment.CopyFrom(one)
    return response.SerializeToString()


def _tags(arguments: UserArguments) -> tuple[str, ...]:
    return (
        tags.client(arguments.client_id),
        tags.client_bookings(arguments.client_id),
        tags.client_money(arguments.client_id),
    )


@cache_user_data("user_data", tags=_tags, rpc=Rpc("GetUserData", _arguments, _respond), seen=_seen)
async def user_data(context: LoadContext, arguments: Sequence[UserArguments]) -> list[bytes]:
    """Load clients in short; NotFound: the organization, or a client (deleted ones too).

    A payload is the response without its appointments, after its length, and then all
    appointments that may be the next or the last one, by start.
    """
    organization_id = arguments[0].organization_id
    rows = (
        await context.connection.execute(
            _SQL,
            {
                "organization_id": organization_id,
                "client_ids": [one.client_id for one in arguments],
                "settled": context.now - _SETTLED,
            },
        )
    ).all()
    if not rows:
        raise NotFound("organization", organization_id)
    by_client: dict[int, list[Any]] = {}
    for row in rows:
        by_client.setdefault(row.known_client, []).append(row)
    for one in arguments:
        if one.client_id not in by_client:
            raise NotFound("client", one.client_id)
    return [_payload(by_client[one.client_id], organization_id) for one in arguments]


def _payload(rows: list[Any], organization_id: int) -> bytes:
    first = rows[0]
    head = cache_service_pb2.GetUserDataResponse(
        client=types_pb2.Client(
            client_id=first.known_client,
            organization_id=organization_id,
            name=first.name,
            email=first.email,
            phone=first.phone,
            notes=first.client_notes,
            etag=str(first.client_version),
        ),
        visits=first.visits,
        spent=to_money(to_cents(first.spent), first.currency),
        segment=segment(first.spent, first.visits),
    ).SerializeToString()
    candidates = cache_service_pb2.ListAppointmentsResponse(
        appointments=[
            records.appointment(row, organization_id, row.currency)
            for row in rows
            if row.id is not None
        ]
    ).SerializeToString()
    return len(head).to_bytes(_LENGTH_BYTES, "big") + head + candidates
