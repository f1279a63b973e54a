"""Make the engine that the booking service talks to Postgres through."""

from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from service_kit.postgres import async_url

__all__ = ["make_engine"]


def make_engine(
    url: str,
    *,
    application_name: str,
    pool_size: int = 10,
    pool_timeout: float = 1.0,
    connect_timeout: float = 3.0,
    statement_timeout: float = 5.0,
    idle_in_transaction_timeout: float = 10.0,
) -> AsyncEngine:
    """Return an engine with a pool of its own; nothing connects before its first use.

    Args:
        url: `postgresql://user:password@host:port/database`.
        application_name: What pg_stat_activity shows.
        pool_size: Connections at most; more callers wait.
        pool_timeout: Seconds that a caller waits for a connection.
        connect_timeout: Seconds for a new connection.
        statement_timeout: Seconds after which the server gives up a statement.
        idle_in_transaction_timeout: Seconds after which the server ends a transaction
            whose process has fallen silent, so that its locks do not outlive it.

    Raises:
        ValueError: The URL is not one of Postgres.
    """
    return create_async_engine(
        async_url(url),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=pool_timeout,
        # The text of an error is logged, and parameters are names and phone numbers, too.
        hide_parameters=True,
        # A pre-ping costs a round trip for every transaction; a dead connection is an
        # error of one call instead, and the pool then drops all of them.
        pool_pre_ping=False,
        connect_args={
            "timeout": connect_timeout,
            # asyncpg's own limit, for a server that does not answer at all.
            "command_timeout": statement_timeout + 1.0,
            "server_settings": {
                "application_name": application_name,
                "timezone": "UTC",
                "statement_timeout": str(int(statement_timeout * 1000)),
                "idle_in_transaction_session_timeout": str(int(idle_in_transaction_timeout * 1000)),
                # The planner's just-in-time compiler costs these small queries only time.
                "jit": "off",
                # Prepared while a table is empty, a statement would keep its sequential
                # scan when the table is not any more: of an outbox that the relay cannot
                # empty, once for every mutation.
                "enable_seqscan": "off",
                # And a bitmap is made of all that such an outbox holds of an organization,
                # where a few hundred rows are asked for.
                "enable_bitmapscan": "off",
            },
        },
    )
