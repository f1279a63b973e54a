"""What both services must say to Postgres in the same words."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlencode

import asyncpg
from prometheus_client.core import Metric
from sqlalchemy import URL, QueuePool, make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from service_kit.common_measures import POOL_IN_USE, POOL_LIMIT

__all__ = ["DATABASE_IDENTITY", "FAULTS", "GONE", "async_url", "collect_pools", "driver_of"]

GONE = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.OperatorInterventionError,
    asyncpg.PostgresConnectionError,
)
"""How asyncpg says that a connection is gone. Most of it reaches us as SQLAlchemy's errors; not
what ends a connection while it is set up, nor the internal one, which comes when the server's
last word arrives between two statements."""

FAULTS = (asyncpg.PostgresError, *GONE)
"""All that asyncpg says of a statement or a connection that failed."""

# The database's name in tokens, and a snapshot of now. By system identifier and timeline:
# that of the log that is written, since the control file's lags after a promotion. What one
# service names here, the other compares.
DATABASE_IDENTITY = """
SELECT system_identifier::text || '-' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8),
       pg_current_snapshot()::text
FROM pg_control_system()
"""


def async_url(url: str) -> URL:
    """Turn a `postgresql://` URL into one that names the asyncpg driver.

    What stands behind its `?`, such as `sslmode=verify-full&sslrootcert=/ca.pem`, is given to
    the driver as libpq names it: as keywords, which SQLAlchemy would make of it, it knows none.

    Raises:
        ValueError: The URL is of another database.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() not in {"postgres", "postgresql"}:
        message = f"not a postgresql:// URL: {parsed.render_as_string(hide_password=True)}"
        raise ValueError(message)
    more = {"dsn": f"postgresql://?{urlencode(parsed.query, doseq=True)}"} if parsed.query else {}
    return parsed.set(drivername="postgresql+asyncpg", query=more)


def collect_pools(engines: Mapping[str, AsyncEngine]) -> Iterable[Metric]:
    """Give Prometheus what is in use of the engines' pools, by the names they have here."""
    pools = {
        name: engine.pool for name, engine in engines.items() if isinstance(engine.pool, QueuePool)
    }
    yield POOL_LIMIT.by(((name,), pool.size()) for name, pool in pools.items())
    yield POOL_IN_USE.by(((name,), pool.checkedout()) for name, pool in pools.items())


@asynccontextmanager
async def driver_of(engine: AsyncEngine) -> AsyncIterator[asyncpg.Connection]:
    """Give a connection of the engine's pool as asyncpg has it: each statement is a transaction.

    For what is asked several times a second, whatever else: SQLAlchemy's own way to a
    connection and back costs more CPU than the statement. No trace shows it. Errors are
    asyncpg's, or OSError of the connecting; after one the connection is not used any more,
    since nobody else judges whether it may be.
    """
    try:
        pooled = await engine.raw_connection()
    except engine.dialect.loaded_dbapi.Error as error:
        raise OSError(str(error)) from error
    try:
        yield pooled.driver_connection
    except BaseException:
        pooled.invalidate()
        raise
    finally:
        pooled.close()
