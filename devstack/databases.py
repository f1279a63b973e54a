"""Databases on a server: made, migrated, with passwords for the services' roles."""

import asyncio
import re
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

from booking_service.postgres.migrate import upgrade
from booking_service.postgres.roles import set_passwords

__all__ = ["create_database", "database_url", "drop_database", "is_empty", "migrate", "role_url"]

BOOKING_ROLE = "chairside_booking"
CACHE_ROLE = "chairside_cache"


def database_url(url: str, database: str) -> str:
    """Return the URL of another database on the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


def role_url(url: str, role: str, password: str) -> str:
    """Return the URL of the same database for another role."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{role}:{quote(password, safe='')}@{host}"))


async def create_database(admin_url: str, name: str, *, template: str = "") -> bool:
    """Make a database unless it is there; True if it was made.

    With `template` it is a copy of that database, to which nobody may be connected.
    """
    connection = await asyncpg.connect(admin_url)
    try:
        if await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
            return False
        copy = f" TEMPLATE {_quoted(template)}" if template else ""
        await connection.execute(f"CREATE DATABASE {_quoted(name)}{copy}")
    finally:
        await connection.close()
    return True


async def drop_database(admin_url: str, name: str) -> None:
    """Remove a database, whoever is connected."""
    connection = await asyncpg.connect(admin_url)
    try:
        await connection.execute(f"DROP DATABASE IF EXISTS {_quoted(name)} WITH (FORCE)")
    finally:
        await connection.close()


async def migrate(url: str, password: str) -> None:
    """Bring a database to the newest schema and give both roles this password."""
    await asyncio.to_thread(upgrade, url)
    await set_passwords(url, dict.fromkeys((BOOKING_ROLE, CACHE_ROLE), password))


async def is_empty(url: str) -> bool:
    """True if there is no organization yet."""
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval("SELECT 1 FROM organizations LIMIT 1") is None
    finally:
        await connection.close()


def _quoted(name: str) -> str:
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", name):
        message = f"not a plain database name: {name!r}"
        raise ValueError(message)
    return f'"{name}"'
