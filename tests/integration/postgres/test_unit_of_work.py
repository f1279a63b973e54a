"""A mutation's transaction, and the deletion of its events behind it."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from booking_service.postgres.engine import make_engine
from booking_service.postgres.outbox import OutboxCleaner
from booking_service.postgres.unit_of_work import UnitsOfWork
from service_kit.errors import Unavailable
from tests.integration.postgres.conftest import Shop

_CHANGE = text("UPDATE clients SET notes = notes || '.' WHERE id = 1")
_RENAME = text("UPDATE barbers SET active = NOT active")


@pytest.fixture
async def engine(shop: Shop) -> AsyncIterator[AsyncEngine]:
    """Make the booking service's engine."""
    made = make_engine(shop.database.booking_url, application_name="test", pool_size=5)
    yield made
    await made.dispose()


async def test_an_errors_text_does_not_tell_whom_it_was_about(engine: AsyncEngine) -> None:
    """What is logged of an unexpected error has the statement, and no client's name."""
    statement = text("SELECT 1 / (length(CAST(:name AS text)) - 8)")
    async with UnitsOfWork(engine)() as unit:
        with pytest.raises(DBAPIError) as caught:
            await unit.connection.execute(statement, {"name": "Jane Doe"})
    assert "length" in str(caught.value)
    assert "Jane" not in str(caught.value)


async def test_changes_are_this_transactions_events(shop: Shop, engine: AsyncEngine) -> None:
    """The events read before the commit are those it publishes, in order."""
    async with UnitsOfWork(engine)() as unit:
        assert (await unit.changes(1)).events == ()
        await unit.connection.execute(_CHANGE)
        await unit.connection.execute(_RENAME)
        changes = await unit.changes(1)
        await unit.commit()
    rows = await shop.connection.fetch("SELECT xid::text, event::text FROM outbox ORDER BY xid, id")
    assert {row[0] for row in rows} == {str(changes.xid)}
    assert tuple(row[1] for row in rows) == changes.events
    assert len(rows) == 4


async def test_what_is_not_committed_is_undone(shop: Shop, engine: AsyncEngine) -> None:
    """Leaving without a commit, by an error or not, leaves neither change nor event."""
    async with UnitsOfWork(engine)() as unit:
        await unit.connection.execute(_CHANGE)
    with pytest.raises(RuntimeError, match="on purpose"):
        await _change_and_fail(engine)
    assert await shop.take() == []
    assert await shop.connection.fetchval("SELECT notes FROM clients WHERE id = 1") == ""


async def _change_and_fail(engine: AsyncEngine) -> None:
    async with UnitsOfWork(engine)() as unit:
        await unit.connection.execute(_CHANGE)
        message = "on purpose"
        raise RuntimeError(message)


async def test_a_connection_lost_in_the_commit_is_an_unknown_outcome(
    shop: Shop, engine: AsyncEngine
) -> None:
    """A commit whose answer never came says so, and not that nothing happened."""
    async with UnitsOfWork(engine)() as unit:
        pid = (await unit.connection.execute(text("SELECT pg_backend_pid()"))).scalar_one()
        await unit.connection.execute(_CHANGE)
        await shop.connection.execute(f"SELECT pg_terminate_backend({pid}, 5000)")
        with pytest.raises(Unavailable) as caught:
            await unit.commit()
    assert caught.value.reason == "COMMIT_OUTCOME_UNKNOWN"


async def test_a_lost_connection_is_said_to_be_unavailable(shop: Shop, engine: AsyncEngine) -> None:
    """Reading the changes on a broken connection is UNAVAILABLE; the next unit works again."""
    for _ in range(7):  # more often than the pool has connections: none is lost
        async with UnitsOfWork(engine)() as unit:
            pid = (await unit.connection.execute(text("SELECT pg_backend_pid()"))).scalar_one()
            await shop.connection.execute(f"SELECT pg_terminate_backend({pid}, 5000)")
            with pytest.raises(Unavailable) as caught:
                await unit.changes(1)
        assert caught.value.reason == "DATABASE_UNAVAILABLE"
    async with UnitsOfWork(engine)() as unit:
        assert (await unit.changes(1)).xid > 0


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    """Refused connections and refused log-ins are UNAVAILABLE, without a word of the password."""
    away = make_engine("postgresql://me:secret@127.0.0.1:1/x", application_name="test")
    with pytest.raises(Unavailable) as caught:
        async with UnitsOfWork(away)():
            pass
    assert "secret" not in str(caught.value)
    await away.dispose()


async def test_acknowledged_events_are_deleted_behind(shop: Shop, engine: AsyncEngine) -> None:
    """The cleaner deletes what was acknowledged, in batches, and leaves the rest."""
    slept = asyncio.Event()
    go_on = asyncio.Event()

    async def sleep(_: float) -> None:
        slept.set()
        await go_on.wait()

    acknowledged = []
    for number in range(5):
        async with UnitsOfWork(engine)() as unit:
            await unit.connection.execute(_RENAME if number % 2 else _CHANGE)
            acknowledged.append((await unit.changes(1)).xid)
            await unit.commit()
    async with OutboxCleaner(engine, sleep=sleep, batch=2) as cleaner:
        for xid in acknowledged[:4]:
            cleaner.acknowledged(xid)
        await slept.wait()
        # One may be late: it is not deleted in the acknowledgement itself.
        assert await shop.connection.fetchval("SELECT count(*) FROM outbox") == 9
        assert await cleaner.flush() == 8
        assert await cleaner.flush() == 0
        cleaner.acknowledged(acknowledged[4])
    assert await shop.take() == []


async def test_a_cleaner_without_a_database_leaves_its_events(shop: Shop) -> None:
    """A deletion that fails neither raises nor ends the process: the relay will do it."""
    await shop.connection.execute("UPDATE clients SET notes = 'x' WHERE id = 1")
    away = make_engine("postgresql://me:secret@127.0.0.1:1/x", application_name="test")
    async with OutboxCleaner(away) as cleaner:
        cleaner.acknowledged(1)
    assert len(await shop.take()) == 1
    await away.dispose()


async def test_a_full_cleaner_leaves_the_rest_to_the_relay(shop: Shop, engine: AsyncEngine) -> None:
    """Above its limit the cleaner forgets: the events stay, and nothing grows."""
    xids = []
    for _ in range(3):
        async with UnitsOfWork(engine)() as unit:
            await unit.connection.execute(_CHANGE)
            xids.append((await unit.changes(1)).xid)
            await unit.commit()
    cleaner = OutboxCleaner(engine, limit=2)
    for xid in xids:
        cleaner.acknowledged(xid)
    assert await cleaner.flush() == 2
    assert len(await shop.take()) == 1
