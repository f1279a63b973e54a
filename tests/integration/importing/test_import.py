"""Books and made-up salons in a real database, with its constraint and triggers in force."""

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest
from rich.console import Console

from booking_service.importing import BadBooks, GeneratorOptions, generate, import_salon
from tests.support.salon_books import SMALL, books_at_hand, write_books
from tests.support.stack import Database

NOW = datetime(2025, 11, 20, 15, 30, tzinfo=UTC)
TABLES = (
    "organizations",
    "barbers",
    "services",
    "barber_services",
    "clients",
    "weekly_hours",
    "special_hours",
    "time_off",
    "appointments",
    "payments",
    "refunds",
)


def quiet() -> Console:
    """Write to nowhere."""
    return Console(file=io.StringIO())


@asynccontextmanager
async def connect(url: str) -> AsyncIterator[asyncpg.Connection]:
    """Connect for a few questions."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def rows(connection: asyncpg.Connection) -> dict[str, int]:
    """Count the rows of every table."""
    return {
        table: await connection.fetchval(f"SELECT count(*) FROM {table}")  # noqa: S608
        for table in TABLES
    }


async def break_refunds(database: Database) -> None:
    """Make the last table that is written refuse every row."""
    async with connect(database.url) as owner:
        await owner.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$BEGIN RAISE 'no refunds today'; END$$;"
            "CREATE TRIGGER refuse BEFORE INSERT ON refunds EXECUTE FUNCTION refuse()"
        )


async def test_the_books_are_imported_whole(database: Database, tmp_path: Path) -> None:
    """Appointments by status, money and monthly revenue are what the books' own account says."""
    folder, expected = books_at_hand(tmp_path)
    console = quiet()
    summary = await import_salon(database.booking_url, folder, name="A salon", console=console)
    assert summary.organization_id == 1
    async with connect(database.cache_url) as connection:
        statuses = await connection.fetch("SELECT status, count(*) FROM appointments GROUP BY 1")
        assert dict(statuses) == expected.statuses == summary.tally.appointments
        counted = await rows(connection)
        assert (counted["payments"], counted["refunds"]) == (expected.payments, expected.refunds)
        assert counted["barbers"] == expected.barbers
        assert counted["weekly_hours"] == 7 * expected.barbers
        revenue = await connection.fetch(
            """
            SELECT to_char(at AT TIME ZONE 'America/Toronto', 'YYYY-MM'), sum(amount)
            FROM (SELECT paid_at AS at, amount FROM payments WHERE status = 'completed'
                  UNION ALL SELECT refunded_at, -amount FROM refunds) AS money
            GROUP BY 1
            """
        )
        assert dict(revenue) == expected.revenue == summary.tally.revenue
        shop = await connection.fetchrow("SELECT name, time_zone, currency FROM organizations")
        assert tuple(shop) == ("A salon", "America/Toronto", "CAD")
        copies = await connection.fetchval(
            "SELECT count(*) FROM payments p JOIN appointments a ON a.id = p.appointment_id "
            "WHERE p.appointment_starts_at = a.starts_at AND p.service_id = a.service_id"
        )
        linked = await connection.fetchval("SELECT count(appointment_id) FROM payments")
        assert copies == linked > 0
        assert await connection.fetchval("SELECT count(*) FROM outbox") > 0
    shown = console.file.getvalue() if isinstance(console.file, io.StringIO) else ""
    assert f"{summary.appointments:,}" in shown
    assert "A salon (organization 1)" in shown


async def test_small_books_keep_codes_hours_and_walk_ins(
    database: Database, tmp_path: Path
) -> None:
    """Codes are kept, closed days are rows without periods, a walk-in has no client."""
    books = write_books(tmp_path, SMALL)
    await import_salon(database.booking_url, books, console=quiet())
    async with connect(database.cache_url) as connection:
        name = await connection.fetchval("SELECT name FROM organizations")
        assert name == tmp_path.name
        codes = await connection.fetch(
            "SELECT external_code FROM services WHERE NOT deleted ORDER BY id"
        )
        assert [row[0] for row in codes] == ["CUT", "TRE 1", "F&F"]
        hours = await connection.fetch(
            "SELECT weekday, periods::text FROM weekly_hours WHERE barber_id = 1 ORDER BY 1"
        )
        assert [row[1] for row in hours] == [
            "{}", "{}", "{[540,780),[840,1080)}", "{}", "{}", "{}", "{}",
        ]  # fmt: skip
        walk_ins = await connection.fetchval(
            "SELECT count(*) FROM appointments WHERE client_id IS NULL"
        )
        assert walk_ins == 1


async def test_bad_books_write_nothing(database: Database, tmp_path: Path) -> None:
    """One bad row in the last file and the database stays as it was."""
    receipts = (*SMALL["receipts.csv"], "9,05/03/2018,x,C1,ANN,1,much,0,0")
    books = write_books(tmp_path, {**SMALL, "receipts.csv": receipts})
    with pytest.raises(BadBooks, match=r"^receipts.csv:7: Amount 'much' is not an amount"):
        await import_salon(database.booking_url, books, console=quiet())
    async with connect(database.cache_url) as connection:
        assert not any((await rows(connection)).values())


async def test_an_import_that_the_database_refuses_writes_nothing(
    database: Database, tmp_path: Path
) -> None:
    """An error in the last table undoes the first ones, books and made-up salons alike."""
    await break_refunds(database)
    books = write_books(tmp_path, SMALL)
    with pytest.raises(asyncpg.RaiseError, match="no refunds today"):
        await import_salon(database.booking_url, books, console=quiet())
    with pytest.raises(asyncpg.RaiseError, match="no refunds today"):
        await generate(database.booking_url, GeneratorOptions(barbers=2), now=NOW, console=quiet())
    async with connect(database.cache_url) as connection:
        assert not any((await rows(connection)).values())


async def test_a_made_up_salon_is_written_as_it_was_made(database: Database) -> None:
    """All rows arrive, twice the same, beside another organization, and no times overlap."""
    options = GeneratorOptions(barbers=3, months=6, months_ahead=2, seed=3)
    first = await generate(database.booking_url, options, now=NOW, console=quiet())
    second = await generate(database.booking_url, options, now=NOW, console=quiet())
    assert (first.organization_id, second.organization_id) == (1, 2)
    assert first.tally == second.tally
    async with connect(database.cache_url) as connection:
        counted = await rows(connection)
        assert counted["appointments"] == 2 * first.appointments
        assert counted["payments"] == 2 * first.tally.payments
        assert counted["refunds"] == 2 * first.tally.refunds > 0
        assert min(counted.values()) > 0
        digests = await connection.fetch(
            """
            SELECT a.organization_id, md5(string_agg(concat_ws('|', a.barber_id - b.least,
                a.client_id - c.least, a.status, a.starts_at, a.blocked_until, a.price,
                a.hold_until, a.created_at), ',' ORDER BY a.id))
            FROM appointments a
            JOIN (SELECT organization_id, min(id) AS least FROM barbers GROUP BY 1) b
                USING (organization_id)
            JOIN (SELECT organization_id, min(id) AS least FROM clients GROUP BY 1) c
                USING (organization_id)
            GROUP BY 1 ORDER BY 1
            """
        )
        assert len({row[1] for row in digests}) == 1
        assert len(digests) == 2
    async with connect(database.url) as owner:
        # The constraint that let all of them in is really there.
        with pytest.raises(asyncpg.ExclusionViolationError):
            await owner.execute(
                "INSERT INTO appointments (organization_id, barber_id, service_id, status, "
                "starts_at, ends_at, blocked_from, blocked_until, price) SELECT organization_id, "
                "barber_id, service_id, 'scheduled', starts_at, ends_at, blocked_from, "
                "blocked_until, 0 FROM appointments WHERE status = 'completed' LIMIT 1"
            )
