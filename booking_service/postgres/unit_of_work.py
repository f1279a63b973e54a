"""The transaction that a mutation runs in: rolled back unless it is committed."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from booking_service.use_cases.ports import Changes
from service_kit.errors import Unavailable
from service_kit.postgres import DATABASE_IDENTITY, FAULTS, GONE

__all__ = ["UnitOfWork", "UnitsOfWork"]

# Of an organization with more pending events than this, one event tells all.
_MOST_PENDING = 200

# One row at least, so that the id is known where nothing changed. As text, because
# drivers would parse the JSON and do not know xid8. Without an order the pending ones cost
# no more where an outage left many thousands; the subquery reads $2 once, not for each.
_CHANGES = f"""
SELECT xact.id::text AS xid, true AS own, o.id AS turn, o.event::text
FROM (SELECT pg_current_xact_id() AS id OFFSET 0) AS xact
LEFT JOIN outbox o ON o.xid = xact.id
UNION ALL (
    SELECT NULL, false, NULL, p.event::text FROM outbox p
    WHERE p.organization_id = $1 AND p.xid <> pg_current_xact_id()
        AND p.xid <> ALL ((SELECT $2::text::xid8[])::xid8[])
    LIMIT {_MOST_PENDING + 1}
) ORDER BY own DESC, turn
"""  # noqa: S608 - a constant


class UnitOfWork:
    """Work in one READ COMMITTED transaction on `connection`."""

    def __init__(self, connection: AsyncConnection, applied: Callable[[], Collection[int]]) -> None:
        self._connection = connection
        self._applied = applied

    @property
    def connection(self) -> AsyncConnection:
        """The connection on which the transaction is open."""
        return self._connection

    async def database(self) -> str:
        """Name the database by system identifier and timeline; asked once a connection.

        A connection that writes does not outlive its timeline.
        """
        info = self._connection.info
        if "database" not in info:
            row = (await self._connection.exec_driver_sql(DATABASE_IDENTITY)).one()
            info["database"] = row[0]
        return str(info["database"])

    async def changes(self, organization_id: int) -> Changes:
        """Return the transaction's id, its events so far in order, and what is pending.

        No trigger is deferred, so what is read after the last statement is all that
        the commit will publish. Pending is what others committed in the organization and
        is not known to be applied: the transaction may be built on that, and then its own
        events tell what it found, not what caches still show. 0 is no organization. Asks
        the driver itself: every mutation pays for this statement, and SQLAlchemy's way to
        it costs more than Postgres's answer.

        Raises:
            Unavailable: The connection broke (reason DATABASE_UNAVAILABLE).
        """
        pooled = await self._connection.get_raw_connection()
        driver: asyncpg.Connection = pooled.driver_connection
        applied = "{" + ",".join(map(str, self._applied())) + "}"
        try:
            rows = await driver.fetch(_CHANGES, organization_id, applied)
        except GONE as error:
            raise _unavailable() from error
        events = [row[3] for row in rows if row[1] and row[3] is not None]
        pending = [row[3] for row in rows if not row[1]]
        if len(pending) > _MOST_PENDING:
            pending = [json.dumps({"organization_id": organization_id, "organization": {}})]
        return Changes(int(rows[0][0]), (*events, *pending), await self.database())

    async def commit(self) -> None:
        """Commit.

        Raises:
            Unavailable: The connection broke before the answer came (reason
                COMMIT_OUTCOME_UNKNOWN): the change is made or it is not, and a repeat
                with the same request id will tell.
            sqlalchemy.exc.DBAPIError: The server refused; nothing is changed.
        """
        try:
            await self._connection.commit()
        except (DBAPIError, *GONE) as error:
            # A refusal carries an SQLSTATE; 57P (shutdown) may come after the commit.
            state = getattr(getattr(error, "orig", None), "sqlstate", None) or ""
            if state and not state.startswith(("08", "57P")):
                raise
            reason = "COMMIT_OUTCOME_UNKNOWN"
            message = "the database went away during the commit; repeat with the same request_id"
            raise Unavailable(reason, message) from error


class UnitsOfWork:
    """Open transactions on the engine's connections.

    `applied` gives the transactions whose events this process knows to be applied although
    they are not deleted yet; `unit` is what is made of a connection.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        applied: Callable[[], Collection[int]] = frozenset,
        unit: type[UnitOfWork] = UnitOfWork,
    ) -> None:
        self._engine = engine
        self._applied = applied
        self._unit = unit

    def __call__(self) -> AbstractAsyncContextManager[UnitOfWork]:
        """Open one when entered; on leaving, roll back what was not committed.

        Raises on entering:
            Unavailable: No connection can be made (reason DATABASE_UNAVAILABLE).
            sqlalchemy.exc.TimeoutError: All connections stayed in use.
        """
        return self._open()

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[UnitOfWork]:
        try:
            connection = await self._engine.connect()
        except (DBAPIError, *FAULTS) as error:
            raise _unavailable() from error
        try:
            yield self._unit(connection, self._applied)
        except asyncpg.InternalClientError as error:
            raise _unavailable() from error
        finally:
            # In a task of its own: a caller that goes away takes no connection along.
            await asyncio.shield(asyncio.create_task(_give_back(connection)))


async def _give_back(connection: AsyncConnection) -> None:
    """Roll back and return the connection to the pool, which drops a broken one."""
    # What the caller learns is what broke it, not that it is broken still.
    with suppress(DBAPIError, *GONE):
        await connection.close()


def _unavailable() -> Unavailable:
    reason, message = "DATABASE_UNAVAILABLE", "the database does not answer"
    return Unavailable(reason, message)
