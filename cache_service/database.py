"""The primary, as the cache service may see it: read-only snapshots and the outbox."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar, cast

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from booking_service.postgres.revision import REVISION
from cache_service.coherence.ports import Loaded
from cache_service.queries.declare import Arguments, CachedQuery, LoadContext
from service_kit.clock import Clock
from service_kit.errors import ResourceExhausted, Unavailable
from service_kit.postgres import GONE, async_url, driver_of

__all__ = ["SNAPSHOTS", "STATEMENTS", "OutboxRow", "Primary", "make_engine"]

A = TypeVar("A", bound=Arguments)

SNAPSHOTS = "REPEATABLE READ"
STATEMENTS = "AUTOCOMMIT"

_AWAY = ("08", "28", "3D", "57P", "53300")
"""SQL states of a lost connection, and of a server that starts, stops, crashed, is full, or does
not let us in, as with another password or without the database."""
_OUTBOX = """
SELECT xid::text, id, organization_id, event::text,
    extract(epoch FROM clock_timestamp() - created_at)::float8
FROM outbox
WHERE created_at < clock_timestamp() - make_interval(secs => $1)
ORDER BY xid, id LIMIT $2
"""


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One committed change that waits to be applied; `event` is JSON, `age` in seconds."""

    xid: str
    row_id: int
    organization_id: int
    event: str
    age: float


def make_engine(
    url: str, *, pool_size: int, timeout: float, pool_timeout: float, isolation: str
) -> AsyncEngine:
    """Make a pool of its own, so that a stampede of loads cannot starve the relay.

    `timeout` bounds each statement and the connecting, `pool_timeout` the wait for a
    connection, both in seconds. `isolation` is REPEATABLE READ, for snapshots, which are
    read-only, or AUTOCOMMIT, for single statements.
    """
    read_only = isolation == SNAPSHOTS
    return create_async_engine(
        async_url(url),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=pool_timeout,
        # The text of an error is logged, and parameters are names and phone numbers, too.
        hide_parameters=True,
        isolation_level=isolation,
        execution_options={"postgresql_readonly": read_only},
        connect_args={
            "timeout": timeout,
            "command_timeout": timeout,
            "server_settings": {
                "application_name": "chairside-cache",
                "jit": "off",
                # A statement prepared while the outbox was empty would scan it for good.
                "enable_seqscan": "on" if read_only else "off",
            },
        },
    )


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    """Turn the faults of driver and pool into errors that say what a caller can do."""
    try:
        yield
    except PoolTimeoutError as error:
        message = "too many reads wait for the database"
        raise ResourceExhausted("DATABASE_BUSY", message, retry_after=0.5) from error
    except GONE as error:
        message = "the database does not answer"
        raise Unavailable("DATABASE_UNAVAILABLE", message) from error
    except DBAPIError as error:
        away = error.connection_invalidated or isinstance(error, InterfaceError)
        if not away and not str(getattr(error.orig, "sqlstate", "")).startswith(_AWAY):
            raise
        message = "the database does not answer"
        raise Unavailable("DATABASE_UNAVAILABLE", message) from error


class Primary:
    """Loads for cached reads on one pool, and the outbox on another."""

    def __init__(self, loads: AsyncEngine, work: AsyncEngine, clock: Clock) -> None:
        self._loads = loads
        self._work = work
        self._clock = clock

    async def load(self, query: CachedQuery[A], arguments: Sequence[A]) -> Loaded:
        """Load entries in a fresh REPEATABLE READ READ ONLY transaction of two statements.

        Raises what the query's loader raises; Unavailable, ResourceExhausted.
        """
        try:
            return await self._load(query, arguments)
        except Unavailable as error:
            # A pooled connection that a restart of the server cut is found out only by its
            # use, and the pool was emptied by that. A read may simply be done again; but not
            # one that took too long, which would only ask twice as much of a slow server.
            if isinstance(error.__cause__, TimeoutError):
                raise
            return await self._load(query, arguments)

    async def _load(self, query: CachedQuery[A], arguments: Sequence[A]) -> Loaded:
        async with _translated(), self._loads.connect() as connection:
            snapshot = await _snapshot(connection)
            context = LoadContext(connection, self._clock.now())
            payloads = await query.load(context, arguments)
            await connection.commit()
            return Loaded(snapshot, payloads)

    async def barber_ids(self, organization_id: int) -> list[int]:
        """Return all barbers of an organization, inactive ones included."""
        async with _translated(), self._loads.connect() as connection:
            rows = await connection.execute(
                text("SELECT id FROM barbers WHERE organization_id = :organization_id"),
                {"organization_id": organization_id},
            )
            return list(rows.scalars())

    async def revision(self) -> str | None:
        """Return which schema the database has."""
        async with _translated(), self._work.connect() as connection:
            return cast("str | None", await connection.scalar(REVISION))

    async def outbox(self, *, older_than: float, limit: int) -> list[OutboxRow]:
        """Read, without locks, events older than that many seconds, by transaction.

        By the primary key: an index on the time would cost every mutation, and the rows
        are few.
        """
        async with _translated(), driver_of(self._work) as driver:
            return [OutboxRow(*row) for row in await driver.fetch(_OUTBOX, older_than, limit)]

    async def forget(self, rows: Sequence[OutboxRow]) -> None:
        """Delete events that were applied; those that are gone already do not matter."""
        async with _translated(), self._work.connect() as connection:
            await connection.execute(
                text(
                    "DELETE FROM outbox o USING json_to_recordset(CAST(:applied AS json)) "
                    "AS a(xid xid8, id bigint) WHERE o.xid = a.xid AND o.id = a.id"
                ),
                {"applied": json.dumps([{"xid": row.xid, "id": row.row_id} for row in rows])},
            )


async def _snapshot(connection: AsyncConnection) -> str:
    """Read the snapshot; as the first statement it also fixes the transaction's own."""
    return str((await connection.execute(text("SELECT pg_current_snapshot()::text"))).scalar_one())
