"""Postgres over TLS, as the URL says it."""

import ssl
from pathlib import Path

import asyncpg
import pytest
import trustme
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from booking_service.postgres.engine import make_engine as booking_engine
from cache_service.database import STATEMENTS
from cache_service.database import make_engine as cache_engine
from tests.support.certificates import issue
from tests.support.stack import Database
from tests.support.tls_proxy import tls_before

_LOST = (OSError, DBAPIError)
"""What a closed connection is, before or after the driver knew it."""


def engines(url: str) -> tuple[AsyncEngine, AsyncEngine]:
    """Make those of both services."""
    return (
        booking_engine(url, application_name="test", pool_size=1),
        cache_engine(url, pool_size=1, timeout=5, pool_timeout=5, isolation=STATEMENTS),
    )


async def answer(engine: AsyncEngine) -> int:
    """Ask something."""
    try:
        async with engine.connect() as connection:
            found: int = (await connection.execute(text("SELECT 7"))).scalar_one()
            return found
    finally:
        await engine.dispose()


async def test_both_services_connect_as_the_url_says(database: Database, tmp_path: Path) -> None:
    """The server is verified by name and authority, and shown a certificate if it wants one."""
    ours, theirs = trustme.CA(), trustme.CA()
    server = issue(ours, tmp_path / "server", "localhost")
    caller = issue(theirs, tmp_path / "caller", common_name="chairside")
    place, _, name = database.booking_url.rpartition("@")[2].partition("/")
    port = int(place.rpartition(":")[2])
    shows = f"&sslcert={caller.certificate}&sslkey={caller.key}"
    full = f"?sslmode=verify-full&sslrootcert={server.ca}{shows}"
    async with tls_before(port, server, client_ca=caller, postgres=True) as proxy:

        def url(host: str, more: str) -> str:
            return f"{database.booking_url.rpartition('@')[0]}@{host}:{proxy}/{name}{more}"

        for engine in engines(url("localhost", full)):
            assert await answer(engine) == 7
        direct = await asyncpg.connect(url("localhost", full))  # as the commands do
        await direct.close()
        for wrong, error in (
            (url("127.0.0.1", full), ssl.SSLCertVerificationError),  # not its name
            (url("localhost", full.replace(str(server.ca), str(caller.ca))), ssl.SSLError),
            (url("localhost", full.replace(shows, "")), _LOST),
            (url("localhost", "?sslmode=disable"), _LOST),
        ):
            for engine in engines(wrong):
                with pytest.raises(error):
                    await answer(engine)
