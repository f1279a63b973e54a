"""How the version before claims a request id, and keeps a success: in one table of all shops."""

import json

from sqlalchemy import text

from booking_service.use_cases.idempotency import Request, Success
from booking_service.use_cases.ports import Changes
from booking_service.use_cases.transaction import Transaction
from service_kit.errors import InvalidArgument, Violation

__all__ = ["claim", "store"]

_TAKE = text("""
INSERT INTO idempotent_requests AS theirs (request_id, method, fingerprint, created_at)
VALUES (:request_id, :method, :fingerprint, :now)
ON CONFLICT (request_id) DO UPDATE SET method = :method, fingerprint = :fingerprint,
    response = NULL, events = NULL, created_at = :now
WHERE theirs.created_at < CAST(:now AS timestamptz) - INTERVAL '24 hours'
RETURNING request_id
""")
_FIRST = text("""
SELECT method, fingerprint, response, events FROM idempotent_requests WHERE request_id = :request_id
""")
_STORE = text("""
UPDATE idempotent_requests SET response = :response, events = CAST(:events AS jsonb)
WHERE request_id = :request_id
""")


async def claim(tx: Transaction, request: Request) -> Success | None:
    """Take the request's id, or return the success that has it; InvalidArgument."""
    said = {
        "request_id": request.request_id,
        "method": request.method,
        "fingerprint": request.fingerprint,
        "now": tx.now,
    }
    if (await tx.connection.execute(_TAKE, said)).one_or_none() is not None:
        return None
    first = (await tx.connection.execute(_FIRST, {"request_id": request.request_id})).one()
    if (first.method, first.fingerprint) != (request.method, request.fingerprint):
        raise InvalidArgument([Violation("request_id", "was used for a different request")])
    stored = first.events
    events = [json.dumps(event) for event in stored["events"]]
    return Success(first.response, Changes(int(stored["xid"]), events, stored["database"]))


async def store(tx: Transaction, request: Request, success: Success) -> None:
    """Keep a success for repeats."""
    changes = success.changes
    kept = {
        "database": changes.database,
        "xid": str(changes.xid),
        "events": [json.loads(event) for event in changes.events],
    }
    said = {
        "request_id": request.request_id,
        "response": success.response,
        "events": json.dumps(kept),
    }
    await tx.connection.execute(_STORE, said)
