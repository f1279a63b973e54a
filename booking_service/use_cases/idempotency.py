"""Answer a repeated request with its first success.

The first statement of a mutation inserts its request id; a concurrent repeat waits
there until the first one is decided. A failure rolls the row back, so only
successes are repeated. An id is one of its organization: another's is another id.
"""

import json
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, null, select, update
from sqlalchemy.dialects.postgresql import insert

from booking_service.postgres import tables
from booking_service.use_cases.ports import Changes
from booking_service.use_cases.transaction import Transaction
from service_kit.errors import InvalidArgument, Violation

__all__ = ["KEPT", "Request", "Success", "claim", "purge", "store"]

KEPT = timedelta(hours=24)

_table = tables.request_ids
_STORED = ("method", "fingerprint", "response", "events")
_columns = tuple(_table.c[name] for name in _STORED)


@dataclass(frozen=True, slots=True)
class Request:
    """A request as far as repeats are concerned: `fingerprint` tells different ones apart.

    `organization_id` is that of the shop it changes, 0 where it makes one.
    """

    method: str
    request_id: UUID | None
    fingerprint: bytes
    organization_id: int


@dataclass(frozen=True, slots=True)
class Success:
    """What a mutation answers, and what it changed."""

    response: bytes
    changes: Changes


async def claim(tx: Transaction, request: Request) -> Success | None:
    """Take the request's id, or return the success that has it since at most 24 hours.

    Raises InvalidArgument if the id belongs to a different request.
    """
    if request.request_id is None:
        return None
    taking = insert(_table).values(
        organization_id=request.organization_id,
        request_id=request.request_id,
        method=request.method,
        fingerprint=request.fingerprint,
        response=None,
        events=null(),
        created_at=tx.now,
    )
    taken = await tx.connection.execute(
        taking.on_conflict_do_update(
            index_elements=[_table.c.organization_id, _table.c.request_id],
            set_={name: taking.excluded[name] for name in (*_STORED, "created_at")},
            where=_table.c.created_at < tx.now - KEPT,
        ).returning(*_columns)
    )
    first = taken.one_or_none()
    if first is None:
        first = (await tx.connection.execute(select(*_columns).where(_has(request)))).one()
    elif first.response is None:
        return None
    # Else it was taken by a process of the version before: a trigger brought its success here.
    if (first.method, first.fingerprint) != (request.method, request.fingerprint):
        raise InvalidArgument([Violation("request_id", "was used for a different request")])
    stored = first.events
    return Success(
        first.response,
        Changes(
            int(stored["xid"]),
            [json.dumps(event) for event in stored["events"]],
            stored["database"],
        ),
    )


async def store(tx: Transaction, request: Request, success: Success) -> None:
    """Keep a success for repeats, in the transaction that makes it one."""
    if request.request_id is None:
        return
    # The id as text: JSON readers lose digits of a number above 2^53.
    kept = {
        "database": success.changes.database,
        "xid": str(success.changes.xid),
        "events": [json.loads(event) for event in success.changes.events],
    }
    await tx.connection.execute(
        update(_table).where(_has(request)).values(response=success.response, events=kept)
    )


async def purge(tx: Transaction) -> int:
    """Forget requests older than 24 hours; return how many."""
    old = delete(_table).where(_table.c.created_at < tx.now - KEPT)
    return (await tx.connection.execute(old)).rowcount


def _has(request: Request) -> ColumnElement[bool]:
    return and_(
        _table.c.organization_id == request.organization_id,
        _table.c.request_id == request.request_id,
    )
