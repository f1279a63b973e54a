"""The migrated database: what `tables.py` says, and what each role may do in it."""

import asyncio
import sys

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column, Connection, Integer, MetaData
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.ext.asyncio import create_async_engine

from booking_service.postgres import tables
from booking_service.postgres.columns import XID8
from booking_service.postgres.migrate import upgrade
from devstack import databases
from devstack.postgres import PostgresServer
from service_kit.postgres import async_url
from tests.integration.postgres.conftest import Shop
from tests.support.stack import Database

_TABLES = sorted(tables.metadata.tables)
_BOOKING = {
    "authority": "",
    "client_days": "SELECT",
    "client_totals": "SELECT",
    "members": "",
    "outbox": "SELECT DELETE",
}
_CACHE = {
    "authority": "SELECT INSERT UPDATE DELETE",
    "idempotent_requests": "",
    "request_ids": "",
    "members": "SELECT INSERT UPDATE DELETE",
    "outbox": "SELECT DELETE",
}
_PRIVILEGES = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")


@pytest.fixture(autouse=True)
def _xid8(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let SQLAlchemy's inspection know the one type that it does not."""
    monkeypatch.setitem(ischema_names, "xid8", XID8)


async def _differences(url: str, metadata: MetaData) -> list[object]:
    def compare(connection: Connection) -> list[object]:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        return list(compare_metadata(context, metadata))

    engine = create_async_engine(async_url(url))
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(compare)
    finally:
        await engine.dispose()


async def test_the_tables_are_those_of_the_migrations(database: Database) -> None:
    """Columns, types, defaults, keys and indexes agree; a column too many is noticed."""
    assert await _differences(database.url, tables.metadata) == []
    wrong = MetaData()
    for table in tables.metadata.tables.values():
        copy = table.to_metadata(wrong)
    copy.append_column(Column("more", Integer))
    assert len(await _differences(database.url, wrong)) == 1


async def test_what_the_comparison_does_not_see_agrees_too(database: Database) -> None:
    """Generated column and exclusion constraint are as if made from `tables.py`."""
    query = """
        SELECT 'blocked', pg_get_expr(adbin, adrelid) FROM pg_attrdef
        JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum AND attname = 'blocked'
        WHERE adrelid = 'appointments'::regclass
        UNION ALL
        SELECT conname::text, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE contype = 'x' AND conrelid = 'appointments'::regclass ORDER BY 1"""
    connection = await asyncpg.connect(database.url)
    migrated = await connection.fetch(query)
    await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    await connection.execute("CREATE EXTENSION btree_gist")
    engine = create_async_engine(async_url(database.url))
    async with engine.begin() as creating:
        await creating.run_sync(tables.metadata.create_all)
    await engine.dispose()
    assert await connection.fetch(query) == migrated
    assert [row[0] for row in migrated] == ["appointments_no_overlap", "blocked"]
    await connection.close()


async def test_migrations_at_once_take_turns(postgres: PostgresServer) -> None:
    """Two processes that migrate a new database both succeed; a third finds nothing to do."""
    await databases.create_database(postgres.url(), "twice")
    url = postgres.url("twice")
    program = f"from booking_service.postgres.migrate import upgrade; upgrade({url!r})"
    running = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", program) for _ in range(2)
    ]
    assert [await process.wait() for process in running] == [0, 0]
    await asyncio.to_thread(upgrade, url)
    assert await _differences(url, tables.metadata) == []
    connection = await asyncpg.connect(url)
    assert await connection.fetchval("SELECT count(*) FROM authority") == 1
    # Not in a copy of a template: a database's own privileges are not copied.
    for role in ("chairside_booking", "chairside_cache"):
        assert not await connection.fetchval(
            "SELECT has_database_privilege($1, 'twice', 'TEMP')", role
        )
    await connection.close()
    await databases.drop_database(postgres.url(), "twice")


async def test_a_url_of_another_database_is_refused() -> None:
    """Only Postgres is migrated, and the error hides the password."""
    with pytest.raises(ValueError, match=r"mysql://me:\*\*\*@") as caught:
        await asyncio.to_thread(upgrade, "mysql://me:secret@127.0.0.1/x")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("role", ["chairside_booking", "chairside_cache"])
async def test_each_role_may_do_what_it_must(database: Database, role: str) -> None:
    """Privileges on every table are exactly those of the role's work."""
    usual = "SELECT INSERT UPDATE DELETE" if role == "chairside_booking" else "SELECT"
    special = _BOOKING if role == "chairside_booking" else _CACHE
    connection = await asyncpg.connect(database.url)
    for table in [*_TABLES, "alembic_version"]:
        held = [
            privilege
            for privilege in _PRIVILEGES
            if await connection.fetchval(
                "SELECT has_table_privilege($1, $2, $3)", role, table, privilege
            )
        ]
        expected = "SELECT" if table == "alembic_version" else special.get(table, usual)
        assert " ".join(held) == expected, table
    assert not await connection.fetchval(
        "SELECT has_schema_privilege($1, 'public', 'CREATE')", role
    )
    await connection.close()


async def test_the_roles_at_work(shop: Shop) -> None:
    """The booking role books and deletes events but makes no table; the cache only reads."""
    booking = await asyncpg.connect(shop.database.booking_url)
    cache = await asyncpg.connect(shop.database.cache_url)
    await booking.execute("UPDATE barbers SET active = false WHERE id = 1")
    assert await cache.fetchval("SELECT count(*) FROM outbox") == 1
    for statement in (
        "INSERT INTO outbox (organization_id, event) VALUES (1, '{}')",
        "UPDATE client_totals SET visit_days = 0",
        "SELECT replace_client_totals(ARRAY[1])",
        "CREATE TABLE mine (id int)",
        "TRUNCATE payments",
        "ALTER TABLE barbers DISABLE TRIGGER ALL",
        "SET session_replication_role = replica",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await booking.execute(statement)
    for statement in (
        "UPDATE barbers SET active = true",
        "DELETE FROM appointments",
        "UPDATE outbox SET organization_id = 2",
        "DELETE FROM client_days",
        "SELECT rebuild_client_totals(1)",
        "SELECT * FROM request_ids",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await cache.execute(statement)
    await cache.execute("UPDATE authority SET rules_version = 1")
    await cache.execute("DELETE FROM outbox")
    await booking.close()
    await cache.close()


async def test_the_last_word_on_overlaps(shop: Shop) -> None:
    """Blocked times of one barber may touch but not meet, unless one is cancelled."""
    await shop.book("2026-03-02 15:00Z", "2026-03-02 15:30Z")
    await shop.book("2026-03-02 15:30Z", "2026-03-02 16:00Z")
    await shop.book("2026-03-02 15:00Z", "2026-03-02 15:30Z", status="cancelled")
    await shop.book("2026-03-02 15:00Z", "2026-03-02 15:30Z", barber_id=2)
    with pytest.raises(asyncpg.ExclusionViolationError):
        await shop.book("2026-03-02 15:29Z", "2026-03-02 15:40Z")
    with pytest.raises(asyncpg.CheckViolationError):
        await shop.book("2026-03-03 15:00Z", "2026-03-03 15:40Z", status="pending")
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await shop.book("2026-03-03 15:00Z", "2026-03-03 15:40Z", barber_id=3)
