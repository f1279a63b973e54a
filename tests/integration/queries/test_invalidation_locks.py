"""What two transactions at once need of the triggers: each lock left out is noticed.

`test_invalidation_complete.py` runs the same races with the triggers as they are.
"""

from collections.abc import AsyncIterator, Sequence
from random import Random

import asyncpg
import pytest
from google.protobuf.json_format import Parse
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from booking_service.postgres.unit_of_work import UnitsOfWork
from cache_service.invalidation import rules
from chairside.cache.v1.events_pb2 import Event
from tests.conftest import NewDatabase
from tests.support.cached_entries import Entry
from tests.support.mutations import book
from tests.support.races import RACES, race
from tests.support.small_shop import SmallShop
from tests.support.tag_property import World, missed, open_world, own_tags

ROUNDS = 40
WATCHED = ("appointment_stats", "availability", "booked_slots", "revenue")
ZONE_RACES = tuple(name for name in RACES if name.endswith("zone"))
EACH = 20
_WRONG = """
SELECT count(*) FROM {money} m JOIN appointments a ON a.id = m.appointment_id
WHERE (m.appointment_starts_at, m.appointment_barber_id) <> (a.starts_at, a.barber_id)
"""
HOME, AWAY = "America/New_York", "Asia/Kolkata"


@pytest.fixture
async def world(new_database: NewDatabase) -> AsyncIterator[World]:
    """Open a shop to be changed at once, and watch what the races change."""
    async with open_world(new_database, SmallShop(1, HOME), only=WATCHED) as opened:
        yield opened


async def _spoil(connection: asyncpg.Connection, function: str, part: str) -> None:
    """Leave a part out of a trigger's function."""
    source = await connection.fetchval("SELECT pg_get_functiondef($1::text::regproc)", function)
    assert part in source
    await connection.execute(source.replace(part, ""))


@pytest.mark.parametrize("name", ZONE_RACES)
async def test_what_meets_a_change_of_zone_is_told_whole(world: World, name: str) -> None:
    """Twenty times, in every order of beginning and of commit, no changed answer is untouched."""
    random = Random(3)  # noqa: S311 - a test's
    for number in range(EACH):
        how = number % 4
        await race(world, RACES[name], random, turned=how > 1, late=bool(how % 2))
    assert list(missed(world.commits)) == []
    # It bites: most of them were two commits, and changed what is watched.
    assert len(world.commits) > 1.5 * EACH
    assert sum(bool(commit.changed) for commit in world.commits) > EACH


async def test_a_lock_left_out_is_noticed(world: World) -> None:
    """Without the lock on the zone, some booking changes an answer that its events do not tell."""
    await _spoil(world.watching, "record_appointments_insert", "FOR SHARE OF shop")
    random = Random(1)  # noqa: S311 - a test's
    for _ in range(ROUNDS):
        await race(world, RACES["booking_and_zone"], random, turned=False, late=True)
        if next(missed(world.commits), None) is not None:
            return
        world.commits.clear()
    pytest.fail(f"{ROUNDS} races told all")


@pytest.mark.parametrize("locked", [True, False])
@pytest.mark.parametrize("money", ["payment", "refund"])
async def test_money_has_its_appointments_facts_by_a_lock(
    world: World, money: str, *, locked: bool
) -> None:
    """What is paid for while it moves has the new day; without the lock, some has the old one.

    The totals lock a change's client, and would keep those of one client in a row by themselves.
    """
    for table in ("appointments", "payments", "refunds"):
        for operation in ("insert", "update", "delete"):
            await world.watching.execute(f"ALTER TABLE {table} DISABLE TRIGGER total_{operation}")
    if not locked:
        await _spoil(world.watching, "fill_copies", "FOR SHARE")
    random = Random(1)  # noqa: S311 - a test's
    for _ in range(ROUNDS // 2):
        await race(world, RACES[f"{money}_of_a_moving_one"], random, turned=False, late=True)
        if await world.watching.fetchval(_WRONG.format(money=f"{money}s")):
            assert not locked
            return
    assert locked


async def _told_before_the_zone(
    world: World, units: UnitsOfWork, random: Random
) -> Sequence[Entry]:
    """Book after a change of zone that nobody was told of yet; return what stays behind.

    Those are the entries in which the booking, without the change of zone, would show, and
    which its acknowledgement leaves alone.
    """
    try:
        async with units() as unit:
            await unit.connection.execute(text("SELECT 1"))  # begins the transaction
            driver = (await unit.connection.get_raw_connection()).driver_connection
            assert driver is not None
            await book(driver, world.shop, random)
            changes = await unit.changes(world.shop.organization_id)
            await unit.commit()
    except asyncpg.ExclusionViolationError:
        return ()
    tags = frozenset[str]().union(
        *(rules.tags_of(Parse(event, Event())) for event in changes.events)
    )
    owner = create_async_engine(world.url)
    async with owner.connect() as connection:
        await connection.execute(text("UPDATE organizations SET time_zone = :zone"), {"zone": HOME})
        with_booking = await world.load_on(connection, world.entries)
        await connection.rollback()
    await owner.dispose()
    return [
        entry
        for entry, before in world.payloads.items()
        if with_booking.get(entry) != before and not tags & own_tags(entry)
    ]


@pytest.mark.parametrize("pending", [True, False])
async def test_a_booking_tells_all_while_a_change_of_zone_is_not_applied(
    world: World, *, pending: bool
) -> None:
    """It is told with every answer of the old zone's days in which it shows.

    Not so if what is pending is not there to be found.
    """
    random, stale = Random(2), []  # noqa: S311 - a test's
    engine = create_async_engine(world.url)
    for _ in range(ROUNDS // 4):
        await world.watching.execute("UPDATE organizations SET time_zone = $1", AWAY)
        if not pending:
            await world.watching.execute("DELETE FROM outbox")
        stale += await _told_before_the_zone(world, UnitsOfWork(engine), random)
        await world.watching.execute("UPDATE organizations SET time_zone = $1", HOME)
        await world.settle("booking and two changes of zone")
    await engine.dispose()
    assert bool(stale) is not pending
