"""Bring a database to the newest schema."""

import asyncio
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from service_kit.postgres import async_url

__all__ = ["configure", "upgrade"]


def upgrade(database_url: str) -> None:
    """Run every migration that the database has not had, in one transaction.

    Runs an event loop of its own: from a coroutine call it with `asyncio.to_thread`.
    Several processes at once take turns; in one process only one may run, for alembic
    keeps what it works on in a global. The user needs CREATEROLE, unless the two roles exist.

    Args:
        database_url: `postgresql://user:password@host:port/database` of the tables' owner.

    Raises:
        ValueError: The URL is not one of Postgres.
        sqlalchemy.exc.DBAPIError: A migration failed; nothing of the run is left.
    """
    asyncio.run(_upgrade(database_url))


def configure(connection: Connection) -> Config:
    """Return alembic's settings for migrations that run on this connection."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


async def _upgrade(database_url: str) -> None:
    engine = create_async_engine(async_url(database_url), poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(lambda sync: command.upgrade(configure(sync), "head"))
            await connection.commit()
    finally:
        await engine.dispose()
