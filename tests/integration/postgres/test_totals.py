"""The totals of clients: every kind of change keeps them as the rows say."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from random import Random

import asyncpg
import pytest

from tests.conftest import NewDatabase
from tests.integration.postgres.conftest import Shop
from tests.support.mutations import BOOKING_MUTATIONS
from tests.support.plain_totals import kept_totals, plain_totals
from tests.support.shop_mutations import SETTINGS, SHOP_MUTATIONS
from tests.support.small_shop import SmallShop, write_small_shop

_SHOPS = (SmallShop(1, "America/New_York"), SmallShop(2, "Asia/Kolkata"))
_CHANGES = 250
_MAY_1, _MAY_2, _MAY_3 = (date(2026, 5, day) for day in (1, 2, 3))


async def _visits(shop: Shop, client: int = 1) -> dict[int, tuple[object, ...]]:
    """Read a client's first visit, last visit and visit days by barber, once all is right."""
    kept = await kept_totals(shop.connection)
    assert kept == await plain_totals(shop.connection)
    return {
        key[2]: (total[0], total[1], total[3])
        for key, total in kept.totals.items()
        if key[1] == client
    }


async def _money(shop: Shop, client: int = 1) -> dict[int, tuple[Decimal, Decimal]]:
    """Read what a client paid and got back by barber, once all is right."""
    kept = await kept_totals(shop.connection)
    assert kept == await plain_totals(shop.connection)
    return {key[2]: total[4:] for key, total in kept.totals.items() if key[1] == client}


async def _book(shop: Shop, day: int, **columns: object) -> int:
    """Book half an hour on a day of May 2026 at noon UTC, completed unless said otherwise."""
    start = f"2026-05-{day:02} 12:00Z"
    return await shop.book(
        start, start.replace(":00Z", ":30Z"), **{"status": "completed"} | columns
    )


async def _pay(shop: Shop, amount: int, day: int = 1, table: str = "payments") -> int:
    """Take money from client 1 by barber 1 on a day of May 2026, or give it back."""
    moment = "paid_at" if table == "payments" else "refunded_at"
    return int(
        await shop.connection.fetchval(
            f"INSERT INTO {table} (organization_id, barber_id, client_id, amount, {moment})"  # noqa: S608 - the test's own
            " VALUES (1, 1, 1, $1, $2) RETURNING id",
            amount,
            datetime(2026, 5, day, 12, tzinfo=UTC),
        )
    )


async def test_only_completed_appointments_of_clients_are_visits(shop: Shop) -> None:
    """A status counts while it is completed, back and forth; a walk-in never does."""
    visit = await _book(shop, 1, status="scheduled")
    await _book(shop, 2, client_id=None)
    assert await _visits(shop) == {}
    for status, expected in (
        ("confirmed", {}),
        ("completed", {0: (_MAY_1, _MAY_1, 1), 1: (_MAY_1, _MAY_1, 1)}),
        ("no_show", {}),
        ("completed", {0: (_MAY_1, _MAY_1, 1), 1: (_MAY_1, _MAY_1, 1)}),
    ):
        await shop.connection.execute(
            "UPDATE appointments SET status = $2 WHERE id = $1", visit, status
        )
        assert await _visits(shop) == expected
    await shop.connection.execute("UPDATE appointments SET notes = 'late'")
    assert await _visits(shop) == {0: (_MAY_1, _MAY_1, 1), 1: (_MAY_1, _MAY_1, 1)}


async def test_a_shops_days_are_not_the_sum_of_its_barbers(shop: Shop) -> None:
    """A day with two barbers is one day of the shop, for as long as there is one of the two."""
    await _book(shop, 1)
    other = await _book(shop, 1, barber_id=2)
    one = (_MAY_1, _MAY_1, 1)
    assert await _visits(shop) == {0: one, 1: one, 2: one}
    await shop.connection.execute("DELETE FROM appointments WHERE id = $1", other)
    assert await _visits(shop) == {0: one, 1: one}


async def test_the_last_visit_goes_back_when_it_is_taken_away(shop: Shop) -> None:
    """First and last visit are sought anew among the days that are left."""
    first, _, last = [await _book(shop, day) for day in (1, 2, 3)]
    assert (await _visits(shop))[0] == (_MAY_1, _MAY_3, 3)
    await shop.connection.execute("UPDATE appointments SET status = 'no_show' WHERE id = $1", last)
    assert (await _visits(shop))[0] == (_MAY_1, _MAY_2, 2)
    await shop.connection.execute("DELETE FROM appointments WHERE id = $1", first)
    assert (await _visits(shop))[0] == (_MAY_2, _MAY_2, 1)


async def test_a_visit_that_moves_takes_its_day_along(shop: Shop) -> None:
    """Another local day, another barber, another client: both sides are right."""
    # Two minutes before and after midnight in Toronto.
    visit = await shop.book("2026-05-02 03:58Z", "2026-05-02 04:28Z", status="completed")
    await _pay(shop, 30)
    assert (await _visits(shop))[1] == (_MAY_1, _MAY_1, 1)
    later = "starts_at = starts_at + '4 min', ends_at = ends_at + '4 min',"
    later += " blocked_from = blocked_from + '4 min', blocked_until = blocked_until + '4 min'"
    await shop.connection.execute(f"UPDATE appointments SET {later}")  # noqa: S608 - the test's own
    assert (await _visits(shop))[1] == (_MAY_2, _MAY_2, 1)
    await shop.connection.execute("UPDATE appointments SET barber_id = 2")
    one = (_MAY_2, _MAY_2, 1)
    assert await _visits(shop) == {0: one, 1: (None, None, 0), 2: one}
    await shop.connection.execute(
        "INSERT INTO clients (id, organization_id, name) VALUES (9, 1, 'New')"
    )
    await shop.connection.execute("UPDATE appointments SET client_id = 9 WHERE id = $1", visit)
    assert await _visits(shop, 9) == {0: one, 2: one}
    assert await _visits(shop) == {0: (None, None, 0), 1: (None, None, 0)}


async def test_money_counts_by_its_own_barber_once_it_is_completed(shop: Shop) -> None:
    """Amount, status, barber and client of a payment may change; a refund may be deleted."""
    payment, refund = await _pay(shop, 50), await _pay(shop, 20, 2, "refunds")
    assert await _money(shop) == {0: (50, 20), 1: (50, 20)}
    for change, expected in (
        ("amount = 60.50", {0: (Decimal("60.50"), 20), 1: (Decimal("60.50"), 20)}),
        ("barber_id = 2", {0: (Decimal("60.50"), 20), 1: (0, 20), 2: (Decimal("60.50"), 0)}),
        ("status = 'failed'", {0: (0, 20), 1: (0, 20)}),
        ("status = 'completed', client_id = NULL", {0: (0, 20), 1: (0, 20)}),
        ("client_id = 1, amount = 5", {0: (5, 20), 1: (0, 20), 2: (5, 0)}),
    ):
        await shop.connection.execute(f"UPDATE payments SET {change} WHERE id = $1", payment)  # noqa: S608
        assert await _money(shop) == expected
    await shop.connection.execute("DELETE FROM refunds WHERE id = $1", refund)
    assert await _money(shop) == {0: (5, 0), 2: (5, 0)}
    await shop.connection.execute("DELETE FROM payments")
    assert await _money(shop) == {}


async def test_a_new_zone_moves_the_local_days(shop: Shop) -> None:
    """Days are the new zone's for what was and for what comes; another shop's stay."""
    await shop.book("2026-05-02 02:00Z", "2026-05-02 02:30Z", status="completed")
    await shop.book(
        *("2026-05-02 20:00Z", "2026-05-02 20:30Z"),
        organization_id=2,
        barber_id=3,
        service_id=3,
        client_id=2,
        status="completed",
    )
    assert (await _visits(shop))[0] == (_MAY_1, _MAY_1, 1)
    await shop.connection.execute("UPDATE organizations SET time_zone = 'Asia/Tokyo' WHERE id = 1")
    assert (await _visits(shop))[0] == (_MAY_2, _MAY_2, 1)
    assert (await _visits(shop, 2))[0] == (_MAY_3, _MAY_3, 1)
    await shop.book("2026-05-02 16:00Z", "2026-05-02 16:30Z", status="completed")
    assert (await _visits(shop))[0] == (_MAY_2, _MAY_3, 2)


async def test_what_is_rolled_back_was_never_counted(shop: Shop) -> None:
    """The totals are of the transaction, and of its savepoints."""
    await _book(shop, 1)
    before = await kept_totals(shop.connection)
    await shop.connection.execute("BEGIN")
    await _book(shop, 2)
    await shop.connection.execute("SAVEPOINT one; DELETE FROM appointments; ROLLBACK TO one")
    assert (await _visits(shop))[0] == (_MAY_1, _MAY_2, 2)
    await shop.connection.execute("ROLLBACK")
    assert await kept_totals(shop.connection) == before


async def test_truncated_tables_count_no_more(shop: Shop) -> None:
    """TRUNCATE of a table, with others along or with the shops themselves, is counted too."""
    await _book(shop, 1)
    await _pay(shop, 50)
    await _pay(shop, 20, 2, "refunds")
    await shop.connection.execute("TRUNCATE refunds")
    assert await _money(shop) == {0: (50, 0), 1: (50, 0)}
    await shop.connection.execute("TRUNCATE appointments CASCADE")
    assert await _money(shop) == {}
    await _pay(shop, 50)
    await shop.connection.execute("TRUNCATE organizations CASCADE")
    assert (await kept_totals(shop.connection)).days == {}


async def test_rows_may_come_and_go_by_the_thousand(shop: Shop) -> None:
    """COPY, and an UPDATE and a DELETE of very many rows, count as one row after the other."""
    start, half_hour = datetime(2020, 1, 1, tzinfo=UTC), timedelta(minutes=30)
    times = [start + number * half_hour for number in range(3000)]
    rows = [
        (1, 1 + n % 2, 1, 1, "completed", at, at + half_hour, at, at + half_hour, 30)
        for n, at in enumerate(times)
    ]
    columns = "organization_id barber_id service_id client_id status starts_at ends_at"
    columns += " blocked_from blocked_until price"
    await shop.connection.copy_records_to_table(
        "appointments", records=rows, columns=columns.split()
    )
    assert (await _visits(shop))[0] == (date(2019, 12, 31), date(2020, 3, 3), 64)
    await shop.connection.execute("UPDATE appointments SET barber_id = 1 WHERE barber_id = 2")
    assert set(await _visits(shop)) == {0, 1}
    await shop.connection.execute("DELETE FROM appointments")
    assert await _visits(shop) == {}


@pytest.fixture
async def small_shops(new_database: NewDatabase) -> AsyncIterator[asyncpg.Connection]:
    """Write two small shops into a database to be changed at random."""
    async with new_database() as database:
        connection = await asyncpg.connect(database.url)
        for shop in _SHOPS:
            await write_small_shop(connection, shop)
        yield connection
        await connection.close()


async def _change(connection: asyncpg.Connection, random: Random, changes: int) -> int:
    """Change the shops at random; return after how many changes the totals were wrong first."""
    mutations = (*BOOKING_MUTATIONS * 3, *SHOP_MUTATIONS, SETTINGS)
    for number in count(1):
        try:
            async with connection.transaction():
                for _ in range(random.randint(1, 3)):
                    await random.choice(mutations)(connection, random.choice(_SHOPS), random)
        except asyncpg.ExclusionViolationError:
            continue  # the time is taken
        if await kept_totals(connection) != await plain_totals(connection):
            return number
        if number >= changes:
            return 0
    raise AssertionError


@pytest.mark.parametrize("seed", [1, 2])
async def test_after_random_changes_the_totals_are_what_the_rows_say(
    small_shops: asyncpg.Connection, seed: int
) -> None:
    """Whatever happens to bookings, money, clients and zones."""
    assert await kept_totals(small_shops) == await plain_totals(small_shops)
    assert await _change(small_shops, Random(seed), _CHANGES) == 0  # noqa: S311 - a test's


@pytest.mark.parametrize(
    "trigger",
    [
        *(f"total_{op} ON appointments" for op in ("insert", "update", "delete")),
        *(f"total_{op} ON payments" for op in ("insert", "update", "delete")),
        *(f"total_{op} ON refunds" for op in ("insert", "update", "delete")),
        "total_zone ON organizations",
    ],
)
async def test_without_one_of_the_triggers_they_are_not(
    small_shops: asyncpg.Connection, trigger: str
) -> None:
    """The same random changes go wrong soon when a trigger is missing."""
    await small_shops.execute(f"DROP TRIGGER {trigger}")
    assert await _change(small_shops, Random(1), 4 * _CHANGES) > 0  # noqa: S311 - a test's
