"""Bring a database to the newest schema."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from booking_service.postgres.migrations.online import LOCK_SECONDS
from booking_service.postgres.revision import REVISION, REVISIONS
from service_kit.postgres import async_url

__all__ = ["NewerDatabaseError", "configure", "upgrade"]

_MIGRATING = 7_241_990_145
"""The advisory lock of who migrates; the number means nothing else."""
_TRY_LOCK = text("SELECT pg_try_advisory_lock(:lock)")
_IN_USE = {"55P03", "40P01"}
"""SQL states of a lock that was not to be had in time, and of a deadlock."""
_PAUSE = 0.5
_ATTEMPTS = 60

Tell = Callable[[str], None]


class NewerDatabaseError(Exception):
    """The database has a schema that this version does not know."""


def upgrade(database_url: str, revision: str = "head", *, tell: Tell = lambda _line: None) -> None:
    """Run every migration that the database has not had, each in a transaction of its own.

    Runs an event loop of its own: from a coroutine call it with `asyncio.to_thread`.
    Several processes at once take turns; in one process only one may run, for alembic
    keeps what it works on in a global. The user needs CREATEROLE, unless the two roles exist.

    Args:
        database_url: `postgresql://user:password@host:port/database` of the tables' owner.
        revision: The one to stop at.
        tell: Is told in a line each what there is to do, what is done, and what is waited for.

    Raises:
        ValueError: The URL is not one of Postgres.
        NewerDatabaseError: The database was migrated by a newer version; nothing was done.
        sqlalchemy.exc.DBAPIError, asyncpg.PostgresError: One failed; those before it stay.
    """
    asyncio.run(_upgrade(database_url, revision, tell))


def configure(connection: Connection, tell: Tell = lambda _line: None) -> Config:
    """Return alembic's settings for migrations that run on this connection."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    config.attributes["tell"] = tell
    return config


async def _upgrade(database_url: str, revision: str, tell: Tell) -> None:
    engine = create_async_engine(
        async_url(database_url),
        poolclass=NullPool,
        connect_args={
            "server_settings": {
                "application_name": "chairside-migrate",
                "lock_timeout": f"{LOCK_SECONDS * 1000:.0f}",
            }
        },
    )
    try:
        async with engine.connect() as connection:
            await _take_turn(connection, tell)
            await _check(connection, tell)
            for left in reversed(range(_ATTEMPTS)):
                try:
                    await connection.run_sync(
                        lambda sync: command.upgrade(configure(sync, tell), revision)
                    )
                except (DBAPIError, asyncpg.PostgresError) as error:
                    if not left or _state(error) not in _IN_USE:
                        raise
                    await connection.rollback()
                    tell("a table is in use for too long: trying again")
                    await asyncio.sleep(_PAUSE)
                else:
                    return
    finally:
        await engine.dispose()


def _state(error: DBAPIError | asyncpg.PostgresError) -> str:
    """Return the SQL state, of SQLAlchemy's error or the driver's."""
    return str(getattr(getattr(error, "orig", error), "sqlstate", ""))


async def _take_turn(connection: AsyncConnection, tell: Tell) -> None:
    """Hold the lock until the connection ends.

    Asked for again and again: who waited for it in the server would have a snapshot, and
    the other waits for the end of all snapshots when it makes an index.
    """
    told = False
    while not await connection.scalar(_TRY_LOCK, {"lock": _MIGRATING}):
        await connection.rollback()
        if not told:
            tell("another process migrates: waiting for it")
            told = True
        await asyncio.sleep(_PAUSE)
    await connection.commit()


async def _check(connection: AsyncConnection, tell: Tell) -> None:
    """Tell what there is to do; NewerDatabaseError."""
    there = await connection.scalar(text("SELECT to_regclass('alembic_version') IS NOT NULL"))
    revision = await connection.scalar(REVISION) if there else None
    await connection.rollback()
    if revision is not None and revision not in REVISIONS:
        message = (
            f"the database is at {revision}, which this version does not know: its newest is"
            f" {REVISIONS[-1]}. Migrate with the version that made it, or a newer one"
        )
        raise NewerDatabaseError(message)
    ahead = REVISIONS[0 if revision is None else REVISIONS.index(revision) + 1 :]
    if ahead:
        tell(f"the database is at {revision or 'nothing'}; to do: {', '.join(ahead)}")
