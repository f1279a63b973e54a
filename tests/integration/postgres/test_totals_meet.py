"""The totals of clients when changes meet, and the command that checks and rebuilds them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date

import asyncpg
import pytest
from typer.testing import CliRunner, Result

from booking_service.__main__ import cli
from tests.integration.postgres.conftest import Shop
from tests.support.plain_totals import kept_totals, plain_totals
from tests.support.waiting import eventually

_ZONE = "UPDATE organizations SET time_zone = 'Asia/Tokyo' WHERE id = 1"
_WRONG = "UPDATE client_totals SET visit_days = 7"


def _complete(visit: int) -> str:
    return f"UPDATE appointments SET status = 'completed' WHERE id = {visit}"  # noqa: S608 - the test's own


def _pay(day: int) -> str:
    return (
        "INSERT INTO payments (organization_id, barber_id, client_id, amount, paid_at)"  # noqa: S608 - the test's own
        f" VALUES (1, 1, 1, 30, '2026-05-0{day} 12:30Z')"
    )


@pytest.fixture
async def other(shop: Shop) -> AsyncIterator[asyncpg.Connection]:
    """Connect a second writer; a lock that is not given soon is an error."""
    connection = await asyncpg.connect(shop.database.url)
    await connection.execute("SET lock_timeout = '10s'")
    yield connection
    await connection.close()


async def _meet(
    shop: Shop,
    first: str,
    other: asyncpg.Connection,
    second: str,
    *,
    then: str = "",
    end: str = "COMMIT",
) -> None:
    """Run `second` while `first` is open; once it waits, go on with `then` and `end`."""
    await shop.connection.execute(f"BEGIN; {first}")
    task = asyncio.create_task(other.execute(second))

    async def waits() -> bool:
        query = "SELECT cardinality(pg_blocking_pids($1)) > 0"
        return bool(await shop.connection.fetchval(query, other.get_server_pid()))

    await eventually(waits)
    await shop.connection.execute(f"{then}; {end}" if then else end)
    await task
    assert await kept_totals(shop.connection) == await plain_totals(shop.connection)


async def _visit(shop: Shop, day: int, barber_id: int = 1, status: str = "scheduled") -> int:
    start = f"2026-05-0{day} 12:00Z"
    return await shop.book(start, start.replace(":00Z", ":30Z"), barber_id=barber_id, status=status)


async def _days(shop: Shop) -> tuple[object, ...]:
    """Read the first, the last and the number of the client's visit days with the shop."""
    return tuple(
        await shop.connection.fetchrow(
            "SELECT first_visit, last_visit, visit_days FROM client_totals"
            " WHERE client_id = 1 AND barber_id = 0"
        )
    )


@pytest.mark.parametrize(("end", "days"), [("COMMIT", 2), ("ROLLBACK", 1)])
async def test_two_visits_of_a_client_take_turns(
    shop: Shop, other: asyncpg.Connection, end: str, days: int
) -> None:
    """The second is added to what the first leaves, whether that commits or not."""
    one, two = await _visit(shop, 1), await _visit(shop, 2)
    await _meet(shop, _complete(one), other, _complete(two), end=end)
    assert (await _days(shop))[2] == days


async def test_the_same_day_of_a_client_counts_once(shop: Shop, other: asyncpg.Connection) -> None:
    """Two barbers complete at once: each has a day, the shop has one."""
    one, two = await _visit(shop, 1), await _visit(shop, 1, barber_id=2)
    await _meet(shop, _complete(one), other, _complete(two))
    assert (await _days(shop))[2] == 1


async def test_the_last_visit_is_sought_after_the_other_is_done(
    shop: Shop, other: asyncpg.Connection
) -> None:
    """Who takes the last visit away sees the one that was added while they waited."""
    added = await _visit(shop, 2)
    await _visit(shop, 1, status="completed")
    last = await _visit(shop, 3, status="completed")
    delete = f"DELETE FROM appointments WHERE id = {last}"  # noqa: S608 - the test's own
    await _meet(shop, _complete(added), other, delete)
    assert await _days(shop) == (date(2026, 5, 1), date(2026, 5, 2), 2)


async def test_days_touched_in_another_order_are_no_deadlock(
    shop: Shop, other: asyncpg.Connection
) -> None:
    """A transaction that goes on to the day another one waits with is not in its way."""
    one, two = await _visit(shop, 1), await _visit(shop, 2)
    await _meet(shop, _complete(one), other, _complete(two), then=_pay(2))


async def test_clients_in_another_order_are_no_deadlock(
    shop: Shop, other: asyncpg.Connection
) -> None:
    """Statements about several clients lock them in one order, whatever the rows' order is."""
    await shop.connection.execute(
        "INSERT INTO clients (id, organization_id, name) VALUES (9, 1, 'New')"
    )
    rows = [f"(1, 1, {client}, 10, '2026-05-0{day} 12:00Z')" for client, day in ((1, 1), (9, 2))]
    insert = "INSERT INTO payments (organization_id, barber_id, client_id, amount, paid_at) VALUES "

    async def pay(connection: asyncpg.Connection, values: list[str]) -> None:
        for _ in range(40):
            await connection.execute(insert + ", ".join(values))

    await asyncio.gather(pay(shop.connection, rows), pay(other, rows[::-1]))
    assert await kept_totals(shop.connection) == await plain_totals(shop.connection)


@pytest.mark.parametrize("zone_first", [True, False])
async def test_a_new_zone_and_a_visit_take_turns(
    shop: Shop, other: asyncpg.Connection, *, zone_first: bool
) -> None:
    """Whichever is first, the visit counts on the new zone's day."""
    # The evening of the 1st in Toronto, the 2nd in Tokyo.
    visit = await shop.book("2026-05-02 00:00Z", "2026-05-02 00:30Z")
    steps = [_ZONE, _complete(visit)] if zone_first else [_complete(visit), _ZONE]
    await _meet(shop, steps[0], other, steps[1])
    assert await _days(shop) == (date(2026, 5, 2), date(2026, 5, 2), 1)


async def test_a_new_zone_in_an_old_snapshot_is_refused(
    shop: Shop, other: asyncpg.Connection
) -> None:
    """What a snapshot from before the lock does not show could not be counted: an error."""
    visit = await _visit(shop, 1)
    await other.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM barbers")
    await shop.connection.execute(_complete(visit))
    with pytest.raises(asyncpg.FeatureNotSupportedError, match="READ COMMITTED"):
        await other.execute(_ZONE)
    await other.execute("ROLLBACK")


async def _totals(shop: Shop, *arguments: str) -> Result:
    """Run `python -m booking_service totals` with the booking role."""
    variables = {"CHAIRSIDE_BOOKING_DATABASE_URL": shop.database.booking_url}
    return await asyncio.to_thread(CliRunner().invoke, cli, ["totals", *arguments], env=variables)


async def test_check_names_what_differs(shop: Shop) -> None:
    """A wrong total, a day too many and a day too few each end it with 1 and a line."""
    await _visit(shop, 1, status="completed")
    await _visit(shop, 2, status="completed")
    sound = await _totals(shop, "check")
    assert (sound.exit_code, sound.stderr) == (0, "")
    for spoil, told in (
        (_WRONG, "client_totals of client 1, barber 0: kept {"),
        (
            "UPDATE client_days SET day = '2026-06-01' WHERE day = '2026-05-02'",
            "client_days of client 1, barber 1, day 2026-06-01: kept {",
        ),
        ("DELETE FROM client_days", "client_days of client 1, barber 0, day 2026-05-01: kept None"),
    ):
        await shop.connection.execute(f"BEGIN; {spoil}; COMMIT")
        found = await _totals(shop, "check", "--organization", "1")
        assert found.exit_code == 1
        assert told in found.stderr
        assert (await _totals(shop, "check", "--organization", "2")).exit_code == 0
        assert (await _totals(shop, "rebuild", "--organization", "1")).exit_code == 0
        assert (await _totals(shop, "check")).exit_code == 0


async def test_rebuild_tells_that_everything_changed(shop: Shop) -> None:
    """Answers made of wrong totals go; a shop that is not there is an error."""
    await _visit(shop, 1, status="completed")
    await shop.connection.execute(_WRONG)
    await shop.take()
    assert (await _totals(shop, "rebuild")).exit_code == 0
    events = await shop.take()
    assert [(event.organization_id, event.WhichOneof("change")) for event in events] == [
        (1, "organization"),
        (2, "organization"),
    ]
    for command in ("check", "rebuild"):
        missing = await _totals(shop, command, "--organization", "9")
        assert (missing.exit_code, missing.stderr) == (1, "there is no organization 9\n")


async def test_who_reads_during_a_rebuild_sees_the_totals_as_they_were(
    shop: Shop, other: asyncpg.Connection
) -> None:
    """Neither nothing nor a part of it, until the rebuild commits."""
    await _visit(shop, 1, status="completed")
    await shop.connection.execute(_WRONG)
    await other.execute("BEGIN; SELECT rebuild_client_totals(1)")
    assert (await _days(shop))[2] == 7
    await other.execute("COMMIT")
    assert (await _days(shop))[2] == 1
