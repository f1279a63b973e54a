"""What a mutation finds pending: events of its organization that are not known to be applied."""

import asyncio
import json
from collections.abc import AsyncIterator, Collection

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from booking_service.postgres.engine import make_engine
from booking_service.postgres.outbox import OutboxCleaner
from booking_service.postgres.unit_of_work import UnitsOfWork
from tests.integration.postgres.conftest import Shop

_TORONTO, _DELHI = 1, 2
_RENAME_CLIENT = "UPDATE clients SET notes = notes || '.' WHERE id = 1"
_PRICE = "UPDATE services SET price = price + 1 WHERE id = 1"
_PRICE_IN_DELHI = "UPDATE services SET price = price + 1 WHERE id = 3"
_NEW_ZONE = "UPDATE organizations SET time_zone = 'Asia/Tokyo' WHERE id = 1"
_BOOK = """INSERT INTO appointments (organization_id, barber_id, service_id, status, starts_at,
        ends_at, blocked_from, blocked_until, price)
    SELECT 1, 1, 1, 'scheduled', t, t + '30 min', t, t + '30 min', 30
    FROM (SELECT '2026-03-02 15:00Z'::timestamptz AS t) at"""
_MANY = """INSERT INTO outbox (organization_id, event)
    SELECT $1, format('{"organization_id":%s,"client":{"client_id":%s}}', $1::bigint, n)::json
    FROM generate_series(1, $2::int) n"""
_READ = "SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = $1"


@pytest.fixture
async def engine(shop: Shop) -> AsyncIterator[AsyncEngine]:
    """Make the booking service's engine, of one connection."""
    made = make_engine(shop.database.booking_url, application_name="test", pool_size=1)
    yield made
    await made.dispose()


async def _change(units: UnitsOfWork, statement: str, shop: int = _TORONTO) -> list[str]:
    """Commit a statement as a mutation does, and return the kinds of change it is told with."""
    async with units() as unit:
        await unit.connection.execute(text(statement))
        changes = await unit.changes(shop)
        await unit.commit()
    return _kinds(changes.events)


def _kinds(events: Collection[str]) -> list[str]:
    told = map(json.loads, events)
    return [next(key for key in event if key != "organization_id") for event in told]


async def test_what_others_committed_is_told_with_it(shop: Shop, engine: AsyncEngine) -> None:
    """After its own events come its organization's that wait; no others, and none undone."""
    await shop.connection.execute(_PRICE)
    await shop.connection.execute(_PRICE_IN_DELHI)
    other = await asyncpg.connect(shop.database.url)
    await other.execute("BEGIN; UPDATE barbers SET active = false WHERE id = 2")
    units = UnitsOfWork(engine)
    assert await _change(units, _RENAME_CLIENT) == ["client", "service"]
    await other.execute("ROLLBACK")
    await other.close()
    await shop.connection.execute("DELETE FROM outbox")  # applied
    assert await _change(units, _RENAME_CLIENT) == ["client"]


async def test_what_changed_nothing_still_finds_what_is_pending(
    shop: Shop, engine: AsyncEngine
) -> None:
    """Who wants what is so already is told it is so, though caches may not show it yet."""
    await shop.connection.execute(_PRICE)
    assert await _change(UnitsOfWork(engine), "SELECT 1") == ["service"]
    assert await _change(UnitsOfWork(engine), "SELECT 1", 0) == []


@pytest.mark.parametrize(("first", "second"), [(_NEW_ZONE, _BOOK), (_PRICE, _PRICE)])
async def test_what_it_waited_for_is_pending(
    shop: Shop, engine: AsyncEngine, first: str, second: str
) -> None:
    """Who waited for another's lock is built on that other: a row's, or the shop's zone."""
    await shop.connection.execute(f"BEGIN; {first}")
    watching = await asyncpg.connect(shop.database.url)
    task = asyncio.create_task(_change(UnitsOfWork(engine), second))
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    async with asyncio.timeout(10):
        while not await watching.fetchval(waiting):
            pass  # each turn is a round trip to the server
        await shop.connection.execute("COMMIT")
        own, pending = await task
    await watching.close()
    assert own == ("appointment" if second == _BOOK else "service")
    assert pending == ("organization" if first == _NEW_ZONE else "service")


async def test_what_is_applied_and_not_deleted_yet_is_left_out(
    shop: Shop, engine: AsyncEngine
) -> None:
    """The cleaner's own waiting ones are known to be applied; without it they are told."""
    wide = make_engine(shop.database.booking_url, application_name="test", pool_size=2)
    cleaner = OutboxCleaner(wide)
    units = UnitsOfWork(engine, cleaner.applied)
    async with units() as unit:
        await unit.connection.execute(text(_PRICE))
        xid = (await unit.changes(_TORONTO)).xid
        await unit.commit()
    assert await _change(units, _RENAME_CLIENT) == ["client", "service"]
    await shop.connection.execute("DELETE FROM outbox WHERE event->'client' IS NOT NULL")
    cleaner.acknowledged(xid)
    assert await _change(units, "SELECT 1") == []
    # While the deletion is under way, too: here it waits for a lock.
    await shop.connection.execute("BEGIN; SELECT FROM outbox FOR UPDATE")
    flushing = asyncio.create_task(cleaner.flush())
    async with asyncio.timeout(10):
        while not await _blocked(shop):
            pass  # each turn is a round trip to the server
    assert cleaner.applied() == [xid]
    assert await _change(units, "SELECT 1") == []
    assert await _change(UnitsOfWork(engine), "SELECT 1") == ["service"]  # the control
    await shop.connection.execute("COMMIT")
    assert await flushing == 1
    assert cleaner.applied() == []
    await wide.dispose()


async def _blocked(shop: Shop) -> bool:
    return bool(await shop.connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))


@pytest.mark.parametrize(
    ("waiting", "told"), [(200, ["client"] * 200), (201, ["organization"]), (300, ["organization"])]
)
async def test_of_many_one_event_tells_all(
    shop: Shop, engine: AsyncEngine, waiting: int, told: list[str]
) -> None:
    """Above 200 that wait, the organization's scope stands for them; its own are told as ever."""
    await shop.connection.execute(_MANY, _TORONTO, waiting)
    async with UnitsOfWork(engine)() as unit:
        await unit.connection.execute(text(_PRICE))
        events = (await unit.changes(_TORONTO)).events
    assert _kinds(events) == ["service", *told]
    assert {json.loads(event)["organization_id"] for event in events} == {_TORONTO}


@pytest.mark.parametrize("bitmaps", [False, True])
@pytest.mark.parametrize(("whose", "told"), [(_TORONTO, ["organization"]), (_DELHI, [])])
async def test_an_outage_makes_no_mutation_slow(
    shop: Shop, engine: AsyncEngine, whose: int, told: list[str], *, bitmaps: bool
) -> None:
    """Of 100,000 that wait a few hundred are read, by a statement planned when none were.

    The control is a plan with a bitmap, which reads all of the organization's.
    """
    units = UnitsOfWork(engine)
    if bitmaps:
        async with units() as unit:
            await unit.connection.execute(text("SET enable_bitmapscan = on"))
            await unit.commit()
    for _ in range(10):
        assert await _change(units, "SELECT 1") == []
    await shop.connection.execute(_MANY, whose, 100_000)
    before = await shop.connection.fetchval(_READ, "outbox_by_organization")
    async with units() as unit:
        assert _kinds((await unit.changes(_TORONTO)).events) == told
        await unit.connection.execute(text("SELECT pg_stat_force_next_flush()"))
        await unit.commit()
    await shop.connection.execute("SELECT pg_stat_clear_snapshot()")
    read = await shop.connection.fetchval(_READ, "outbox_by_organization") - before
    assert (read > 1000) is (bitmaps and whose == _TORONTO)
