"""Changes that meet: a shop's zone and its bookings, a payment and its appointment's move."""

import asyncio
from collections.abc import AsyncIterator, Awaitable

import asyncpg
import pytest

from tests.integration.postgres.conftest import Shop

_NEW_ZONE = "UPDATE organizations SET time_zone = 'Asia/Kolkata' WHERE id = 1"
_CONFIRM = "UPDATE appointments SET status = 'confirmed'"
_MOVE = """UPDATE appointments SET starts_at = '2026-03-09 15:00Z', ends_at = '2026-03-09 15:30Z',
    blocked_from = '2026-03-09 15:00Z', blocked_until = '2026-03-09 15:30Z'"""
_PAY = """INSERT INTO payments (organization_id, appointment_id, amount, paid_at)
    SELECT 1, id, 30, '2026-03-02 12:00Z' FROM appointments"""


@pytest.fixture
async def other(shop: Shop) -> AsyncIterator[asyncpg.Connection]:
    """Connect a second writer, when there is one appointment, late in Toronto's evening."""
    await shop.book("2026-03-03 04:00Z", "2026-03-03 04:30Z")
    await shop.take()
    connection = await asyncpg.connect(shop.database.url)
    yield connection
    await connection.close()


async def _until_waiting(shop: Shop, waiter: asyncpg.Connection) -> None:
    """Return once that connection waits for a lock."""
    query = "SELECT cardinality(pg_blocking_pids($1)) > 0"
    while not await shop.connection.fetchval(query, waiter.get_server_pid()):
        pass  # each turn is a round trip to the server


async def _while_open(
    shop: Shop, first: str, other: asyncpg.Connection, second: Awaitable[str]
) -> None:
    """Run `first` in a transaction that commits only when `second` waits for it."""
    await shop.connection.execute(f"BEGIN; {first}")
    task = asyncio.ensure_future(second)
    async with asyncio.timeout(10):
        await _until_waiting(shop, other)
        await shop.connection.execute("COMMIT")
        await task


async def test_a_new_zone_waits_for_an_event_in_the_old(
    shop: Shop, other: asyncpg.Connection
) -> None:
    """While an event with days of the old zone is not committed, the zone cannot change."""
    await _while_open(shop, _CONFIRM, other, other.execute(_NEW_ZONE))
    booked, zone = await shop.take()
    assert booked.appointment.new.date.day == 2
    assert zone.HasField("organization")


async def test_an_event_waits_for_a_new_zone_and_uses_it(
    shop: Shop, other: asyncpg.Connection
) -> None:
    """An event written while the zone changes has the days of the zone that it changes to."""
    await _while_open(shop, _NEW_ZONE, other, other.execute(_CONFIRM))
    events = await shop.take()
    (booked,) = (event for event in events if event.HasField("appointment"))
    # Half past nine in the morning of the 3rd in the new zone.
    assert booked.appointment.new.date.day == 3


async def test_a_payment_waits_for_its_appointments_move(
    shop: Shop, other: asyncpg.Connection
) -> None:
    """A payment made while its appointment moves copies the day that it moves to."""
    await _while_open(shop, _MOVE, other, other.execute(_PAY))
    events = await shop.take()
    (paid,) = (event.payment for event in events if event.HasField("payment"))
    assert paid.new.appointment_date.day == 9


async def test_a_move_waits_for_a_payment_and_takes_it_along(
    shop: Shop, other: asyncpg.Connection
) -> None:
    """An appointment moved while it is paid finds the payment and moves its copy."""
    await _while_open(shop, _PAY, other, other.execute(_MOVE))
    events = await shop.take()
    paid, kept = (event.payment for event in events if event.HasField("payment"))
    assert paid.new.appointment_date.day == 2
    assert (kept.old.appointment_date.day, kept.new.appointment_date.day) == (2, 9)
