"""Locks on tables, so that loads are under way for as long as a test wants."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from tests.support.stack import Database

__all__ = ["locked"]


@asynccontextmanager
async def locked(database: Database, table: str) -> AsyncIterator[None]:
    """Let all who read the table wait."""
    connection = await asyncpg.connect(database.url)
    try:
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            yield
    finally:
        await connection.close()
