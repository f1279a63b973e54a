"""Migrations run while bookings go on: what each of them locks, and who waits for it."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from booking_service.postgres import migrate, totals
from booking_service.postgres.migrate import NewerDatabaseError, upgrade
from booking_service.postgres.migrations.online import LOCK_SECONDS
from booking_service.postgres.revision import REVISIONS, outdated
from devstack import databases
from devstack.postgres import PostgresServer
from tests.support.waiting import eventually

_BEFORE = "0002"
"""The first schema that served anybody: what comes after finds bookings."""

# What a migration may lock whole, of the tables that were there before it, and how: each in a
# transaction of its own, for a moment. A lock not named here makes bookings wait unforeseen.
_LOCKS = {
    ("organizations", "ShareRowExclusiveLock"),  # CREATE TRIGGER
    ("appointments", "ShareRowExclusiveLock"),
    ("payments", "ShareRowExclusiveLock"),
    ("refunds", "ShareRowExclusiveLock"),
    ("organizations", "AccessExclusiveLock"),  # DROP TRIGGER
    ("outbox", "AccessExclusiveLock"),  # DROP COLUMN, which rewrites nothing
}
_WATCH = """
CREATE SCHEMA watch;
CREATE TABLE watch.existing AS SELECT oid, relname FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r';
CREATE TABLE watch.locks (xid xid8, name text, mode text, waits text);
CREATE TABLE watch.rewrites (name text);
CREATE FUNCTION watch.note() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO watch.locks
    SELECT pg_current_xact_id(), relname, mode, current_setting('lock_timeout')
    FROM pg_locks JOIN watch.existing ON oid = relation
    WHERE pid = pg_backend_pid() AND mode IN
        ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock');
END $$;
CREATE FUNCTION watch.rewritten() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO watch.rewrites SELECT pg_event_trigger_table_rewrite_oid()::regclass;
END $$;
CREATE EVENT TRIGGER note ON ddl_command_end EXECUTE FUNCTION watch.note();
CREATE EVENT TRIGGER rewritten ON table_rewrite EXECUTE FUNCTION watch.rewritten();
"""
_SHOP = """
INSERT INTO organizations (name, time_zone, currency) VALUES ('T', 'America/Toronto', 'CAD');
INSERT INTO barbers (organization_id, name) VALUES (1, 'B');
INSERT INTO services (organization_id, name, duration_minutes, price) VALUES (1, 'cut', 30, 30);
INSERT INTO clients (organization_id, name) SELECT 1, 'C' FROM generate_series(1, 250);
INSERT INTO appointments (organization_id, barber_id, service_id, client_id, status,
    starts_at, ends_at, blocked_from, blocked_until, price)
SELECT 1, 1, 1, 1 + n % 250, CASE WHEN n < 500 THEN 'completed' ELSE 'confirmed' END,
    t, t + '30 min', t, t + '30 min', 30
FROM generate_series(0, 749) n,
    LATERAL (SELECT '2026-01-01Z'::timestamptz + n * INTERVAL '1 h') AS x (t);
INSERT INTO payments (organization_id, appointment_id, barber_id, amount, paid_at)
SELECT 1, id, 1, 30, ends_at FROM appointments WHERE status = 'completed';
"""
_WAITING = """
SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
    AND application_name = 'chairside-migrate' AND wait_event_type = 'Lock')
"""


@pytest.fixture
async def url(postgres: PostgresServer) -> AsyncIterator[str]:
    """Make a database as it was before, with a shop in it."""
    await databases.create_database(postgres.url(), "migrating")
    made = postgres.url("migrating")
    try:
        await asyncio.to_thread(upgrade, made, _BEFORE)
        connection = await asyncpg.connect(made)
        await connection.execute(_SHOP)
        await connection.close()
        yield made
    finally:
        await databases.drop_database(postgres.url(), "migrating")


def test_the_revisions_are_those_of_the_files() -> None:
    """What a service compares its database with is what there is to migrate."""
    config = Config()
    config.set_main_option("script_location", f"{migrate.__file__.rpartition('/')[0]}/migrations")
    files = ScriptDirectory.from_config(config).walk_revisions()
    assert tuple(one.revision for one in files)[::-1] == REVISIONS
    assert [revision for revision in REVISIONS if outdated(revision) is None] == [REVISIONS[-1]]
    assert outdated("9999") is None, "who is newer has kept what this version uses"
    assert outdated(None)


async def test_no_migration_locks_more_than_is_said_here(url: str) -> None:
    """Nothing is rewritten, no index keeps writers out, and no lock is waited for for long."""
    connection = await asyncpg.connect(url)
    await connection.execute(_WATCH)
    told: list[str] = []
    await asyncio.to_thread(upgrade, url, tell=told.append)
    assert await connection.fetch("SELECT * FROM watch.rewrites") == []
    locks = await connection.fetch("SELECT DISTINCT name, mode, waits FROM watch.locks")
    assert {(lock["name"], lock["mode"]) for lock in locks} == _LOCKS
    assert {lock["waits"] for lock in locks} == {f"{LOCK_SECONDS * 1000:.0f}ms"}
    both = "SELECT xid FROM watch.locks GROUP BY xid HAVING count(DISTINCT name) > 1"
    assert await connection.fetch(both) == []
    # The controls: what would be seen, if one did so.
    await connection.execute("ALTER TABLE payments ALTER COLUMN amount TYPE numeric(14, 1)")
    await connection.execute("CREATE INDEX slow ON payments (created_at)")
    assert await connection.fetchval("SELECT name FROM watch.rewrites") == "payments"
    assert ("payments", "ShareLock") in {
        tuple(lock) for lock in await connection.fetch("SELECT name, mode FROM watch.locks")
    }
    await connection.close()
    assert told[0] == f"the database is at {_BEFORE}; to do: {', '.join(REVISIONS[2:])}"
    assert [line.partition(" ")[0] for line in told[1:]] == list(REVISIONS[2:])


async def test_bookings_go_on_while_the_past_is_counted(url: str) -> None:
    """Who is counted already, and who is not yet, completes an appointment; all of it is right."""
    busy, working = await asyncpg.connect(url), await asyncpg.connect(url)
    held = busy.transaction()
    await held.start()
    await busy.execute("SELECT FROM clients WHERE id = 150 FOR UPDATE")
    migrating = asyncio.create_task(asyncio.to_thread(upgrade, url))

    async def halfway() -> bool:
        return bool(await working.fetchval(_WAITING)) and bool(
            await working.fetchval("SELECT to_regclass('client_days') IS NOT NULL")
            and await working.fetchval("SELECT count(*) FROM client_days")
        )

    await eventually(halfway, seconds=60)
    await working.execute("SET lock_timeout = '5s'")
    for client in (7, 240):
        done = await working.execute(
            "UPDATE appointments SET status = 'completed' WHERE client_id = $1"
            " AND status = 'confirmed'",
            client,
        )
        assert done == "UPDATE 1"
    assert not migrating.done()
    await held.rollback()
    await migrating
    found: list[totals.Difference] = []
    await totals.check(url, None, found.append)
    assert found == []
    visits = "SELECT sum(visits) FROM client_days WHERE client_id = $1 AND barber_id = 0"
    assert [await working.fetchval(visits, client) for client in (6, 7, 240)] == [2, 3, 3]
    await busy.close()
    await working.close()


async def test_a_table_in_use_is_tried_again(url: str) -> None:
    """A migration waits for no lock for long, lets others before it, and comes to its end."""
    busy = await asyncpg.connect(url)
    held = busy.transaction()
    await held.start()
    await busy.execute("UPDATE payments SET method = 'card' WHERE id = 1")
    told: list[str] = []
    refused = asyncio.Event()
    loop = asyncio.get_running_loop()

    def tell(line: str) -> None:
        told.append(line)
        if "in use" in line:
            loop.call_soon_threadsafe(refused.set)

    migrating = asyncio.create_task(asyncio.to_thread(upgrade, url, tell=tell))
    async with asyncio.timeout(60):
        await refused.wait()
    await held.rollback()
    await migrating
    assert told[-1].startswith(REVISIONS[-1])
    await busy.close()


async def test_a_newer_database_is_left_alone(url: str) -> None:
    """It says what the database is at, and what this version has."""
    connection = await asyncpg.connect(url)
    await connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(NewerDatabaseError, match=f"at 9999.* newest is {REVISIONS[-1]}"):
        await asyncio.to_thread(upgrade, url)
    assert await connection.fetchval("SELECT to_regclass('client_days')") is None
    await connection.close()
