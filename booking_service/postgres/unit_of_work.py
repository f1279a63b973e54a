"""The transaction that a mutation runs in: rolled back unless it is committed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from booking_service.use_cases.ports import Changes
from service_kit.errors import Unavailable
from service_kit.postgres import DATABASE_IDENTITY

__all__ = ["UnitOfWork", "UnitsOfWork"]

# One row at least, so that the id is known where nothing changed. As text, because
# drivers would parse the JSON and do not know xid8.
_CHANGES = """
SELECT xact.id::text AS xid, o.event::text AS event
FROM (SELECT pg_current_xact_id() AS id OFFSET 0) AS xact
LEFT JOIN outbox o ON o.xid = xact.id ORDER BY o.id
"""

# How asyncpg says that a connection is gone. The internal one comes when the server's
# last word arrives between two statements; SQLAlchemy does not know it.
_GONE = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.OperatorInterventionError,
    asyncpg.PostgresConnectionError,
)


class UnitOfWork:
    """Work in one READ COMMITTED transaction on `connection`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

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

    async def changes(self) -> Changes:
        """Return the transaction's id and the events written for it so far, in order.

        No trigger is deferred, so what is read after the last statement is all that
        the commit will publish. Asks the driver itself: every mutation pays for this
        statement, and SQLAlchemy's way to it costs more than Postgres's answer.

        Raises:
            Unavailable: The connection broke (reason DATABASE_UNAVAILABLE).
        """
        pooled = await self._connection.get_raw_connection()
        driver: asyncpg.Connection = pooled.driver_connection
        try:
            rows = await driver.fetch(_CHANGES)
        except _GONE as error:
            raise _unavailable() from error
        events = tuple(row[1] for row in rows if row[1] is not None)
        return Changes(int(rows[0][0]), events, await self.database())

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
        except (DBAPIError, *_GONE) as error:
            # A refusal carries an SQLSTATE; 57P (shutdown) may come after the commit.
            state = getattr(getattr(error, "orig", None), "sqlstate", None) or ""
            if state and not state.startswith(("08", "57P")):
                raise
            reason = "COMMIT_OUTCOME_UNKNOWN"
            message = "the database went away during the commit; repeat with the same request_id"
            raise Unavailable(reason, message) from error


class UnitsOfWork:
    """Open transactions on the engine's connections."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

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
        except (OSError, DBAPIError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise _unavailable() from error
        try:
            yield UnitOfWork(connection)
        except asyncpg.InternalClientError as error:
            raise _unavailable() from error
        finally:
            # In a task of its own: a caller that goes away takes no connection along.
            await asyncio.shield(asyncio.create_task(_give_back(connection)))


async def _give_back(connection: AsyncConnection) -> None:
    """Roll back and return the connection to the pool, which drops a broken one."""
    # What the caller learns is what broke it, not that it is broken still.
    with suppress(DBAPIError, *_GONE):
        await connection.close()


def _unavailable() -> Unavailable:
    reason, message = "DATABASE_UNAVAILABLE", "the database does not answer"
    return Unavailable(reason, message)
