"""Compare the totals of clients with the rows they tell of, and count them anew."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

import asyncpg

__all__ = ["Difference", "check", "rebuild"]

_DIFFERENCES = """
SELECT 'client_days', client_id, barber_id, day, to_jsonb(kept), to_jsonb(counted)
FROM (SELECT * FROM client_days WHERE organization_id = $1) kept
FULL JOIN count_client_days($1) counted USING (client_id, barber_id, day)
WHERE kept IS DISTINCT FROM counted
UNION ALL
SELECT 'client_totals', client_id, barber_id, NULL, to_jsonb(kept), to_jsonb(counted)
FROM (SELECT * FROM client_totals WHERE organization_id = $1) kept
FULL JOIN count_client_totals($1) counted USING (client_id, barber_id)
WHERE kept IS DISTINCT FROM counted
ORDER BY 1, 2, 3, 4
"""
_SHOPS = """
SELECT id FROM organizations WHERE $1::bigint IS NULL OR id = $1
UNION SELECT organization_id FROM client_days WHERE $1::bigint IS NULL
ORDER BY 1
"""


class Difference(NamedTuple):
    """A row of `table` that is not what the bookings and the money say; JSON or None if none.

    A row of client_totals is compared with the kept rows of client_days. `barber_id` 0 is the
    whole shop.
    """

    table: str
    client_id: int
    barber_id: int
    day: object
    kept: str | None
    counted: str | None

    def __str__(self) -> str:
        """Say which row differs, and how."""
        day = f", day {self.day}" if self.day else ""
        who = f"client {self.client_id}, barber {self.barber_id}{day}"
        return f"{self.table} of {who}: kept {self.kept}, counted {self.counted}"


async def check(
    database_url: str, organization_id: int | None, tell: Callable[[Difference], None]
) -> None:
    """Compare an organization's totals with its rows, or those of all; tells what differs.

    Each organization is compared as of one moment, and nobody waits for it.

    Raises:
        ValueError: There is no such organization.
        asyncpg.PostgresError, OSError: The database refused, or did not answer.
    """
    async with _connected(database_url) as connection:
        for shop in await _shops(connection, organization_id):
            async with connection.transaction(readonly=True):
                async for row in connection.cursor(_DIFFERENCES, shop):
                    tell(Difference(*row))


async def rebuild(database_url: str, organization_id: int | None) -> None:
    """Count an organization's totals anew, or those of all, one transaction each.

    Readers see the old totals or the new ones; who changes bookings or money waits. All answers
    of the organization in caches are dropped, for they may have been made of wrong totals.

    Raises:
        ValueError: There is no such organization.
        asyncpg.PostgresError, OSError: The database refused, or did not answer.
    """
    async with _connected(database_url) as connection:
        for shop in await _shops(connection, organization_id):
            await connection.execute("SELECT rebuild_client_totals($1)", shop)


@asynccontextmanager
async def _connected(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    try:
        yield connection
    finally:
        await connection.close()


async def _shops(connection: asyncpg.Connection, organization_id: int | None) -> list[int]:
    found = [row[0] for row in await connection.fetch(_SHOPS, organization_id)]
    if organization_id is not None and not found:
        message = f"there is no organization {organization_id}"
        raise ValueError(message)
    return found
