"""A shop in a database of its own, and a reader of what the triggers say about it."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import asyncpg
import pytest
from google.protobuf.json_format import Parse

from chairside.cache.v1.events_pb2 import Event
from tests.support.stack import Database

__all__ = ["Shop"]

_SHOP = """
INSERT INTO organizations (name, time_zone, currency)
    VALUES ('Toronto', 'America/Toronto', 'CAD'), ('Delhi', 'Asia/Kolkata', 'INR');
INSERT INTO barbers (organization_id, name) VALUES (1, 'Ann'), (1, 'Bob'), (2, 'Chandra');
INSERT INTO services (organization_id, name, duration_minutes, price)
    VALUES (1, 'cut', 30, 30), (1, 'colour', 60, 90), (2, 'cut', 30, 300);
INSERT INTO clients (organization_id, name, email, phone)
    VALUES (1, 'Zoe Secret', 'Secret@example.com', 'Secret number'), (2, 'Yara Secret', '', '');
DELETE FROM outbox;
"""


@dataclass(frozen=True, slots=True)
class Shop:
    """The owner's connection to a database with a shop in Toronto (1) and one in Delhi (2).

    Barbers 1 and 2, services 1 and 2 and client 1 are Toronto's; 3, 3 and 2 are Delhi's.
    """

    connection: asyncpg.Connection
    database: Database

    async def events(self, statement: str) -> list[Event]:
        """Run one statement as psql would, and take the events that it left."""
        await self.connection.execute(statement)
        return await self.take()

    async def take(self) -> list[Event]:
        """Take what is in the outbox: each must parse strictly as an Event."""
        rows: Sequence[asyncpg.Record] = await self.connection.fetch(
            "SELECT organization_id, event::text FROM outbox ORDER BY xid, id"
        )
        await self.connection.execute("DELETE FROM outbox")
        events = [Parse(row[1], Event()) for row in rows]
        assert [event.organization_id for event in events] == [row[0] for row in rows]
        assert all("Secret" not in row[1] for row in rows)  # names and the like
        return events

    async def book(self, start: str, end: str, **columns: object) -> int:
        """Insert an appointment from `start` to `end` (any timestamptz); return its id."""
        values: dict[str, object] = {
            "organization_id": 1,
            "barber_id": 1,
            "service_id": 1,
            "client_id": 1,
            "status": "scheduled",
            "starts_at": start,
            "ends_at": end,
            "blocked_from": start,
            "blocked_until": end,
            "price": 30,
        } | columns
        literals = ", ".join("NULL" if v is None else f"'{v}'" for v in values.values())
        # Literals of a test, so that Postgres reads every form of timestamp.
        statement = f"INSERT INTO appointments ({', '.join(values)}) VALUES ({literals})"  # noqa: S608
        return int(await self.connection.fetchval(f"{statement} RETURNING id"))


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    """Open two shops and empty the outbox."""
    connection = await asyncpg.connect(database.url)
    await connection.execute(_SHOP)
    yield Shop(connection, database)
    await connection.close()
