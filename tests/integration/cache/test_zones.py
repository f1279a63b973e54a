"""Days where clocks change, zones off the hour, and viewers far away from the shop."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from service_kit.values import from_timestamp
from tests.integration.cache.running import Cache, source, starts
from tests.integration.cache.shops import Shop, open_shop
from tests.support.waiting import eventually

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
NIGHT = "{[0,360)}"
WHOLE_DAY = "{[0,1440)}"


async def _slots(cache: Cache, shop: Shop, day: date, days: int = 1) -> list[datetime]:
    answer = await cache.availability(
        shop.organization_id, shop.services[0], shop.barbers, day, days
    )
    return starts(answer)[shop.barbers[0]]


async def test_the_hour_that_is_missing_is_not_offered(
    cache: Cache, connection: asyncpg.Connection
) -> None:
    """When clocks go forward, the day is an hour shorter, and its slots are an hour apart."""
    shop = await open_shop(connection, hours=NIGHT)
    found = await _slots(cache, shop, date(2025, 3, 9))
    assert [f"{start.astimezone(ZoneInfo(shop.time_zone)):%H:%M %Z}" for start in found] == [
        "00:00 EST",
        "01:00 EST",
        "03:00 EDT",
        "04:00 EDT",
        "05:00 EDT",
    ]
    assert {later - start for start, later in pairwise(found)} == {HOUR}


async def test_the_hour_that_is_twice_is_offered_twice(
    cache: Cache, connection: asyncpg.Connection
) -> None:
    """When clocks go back, both of the equal hours can be booked."""
    shop = await open_shop(connection, hours=NIGHT)
    found = await _slots(cache, shop, date(2025, 11, 2))
    assert [f"{start.astimezone(ZoneInfo(shop.time_zone)):%H:%M %Z}" for start in found] == [
        "00:00 EDT",
        "01:00 EDT",
        "01:00 EST",
        "02:00 EST",
        "03:00 EST",
        "04:00 EST",
        "05:00 EST",
    ]
    assert {later - start for start, later in pairwise(found)} == {HOUR}


async def test_a_zone_off_the_hour(cache: Cache, connection: asyncpg.Connection) -> None:
    """A day in Calcutta begins at half past six in the evening of the day before, in UTC."""
    shop = await open_shop(connection, zone="Asia/Kolkata", hours=WHOLE_DAY)
    found = await _slots(cache, shop, date(2025, 3, 10))
    assert len(found) == 24
    assert found[0] == datetime(2025, 3, 9, 18, 30, tzinfo=UTC)
    assert found[-1] == datetime(2025, 3, 10, 17, 30, tzinfo=UTC)


async def test_what_begins_just_before_midnight_reaches_into_the_next_day(
    cache: Cache, connection: asyncpg.Connection
) -> None:
    """A booking at 23:30 takes its time of both days, its buffer too."""
    shop = await open_shop(connection, hours=WHOLE_DAY, minutes=30)
    monday = date(2025, 3, 10)
    async with shop.acknowledged():
        await connection.execute(
            "UPDATE organizations SET slot_interval_minutes = 30 WHERE id = $1",
            shop.organization_id,
        )
    assert await _slots(cache, shop, monday, 2) == [
        shop.at("2025-03-10 00:00") + n * HOUR / 2 for n in range(96)
    ]
    await shop.book(shop.at("2025-03-10 23:30"), 60, buffer_after=75)
    taken = [shop.at("2025-03-10 00:00") + n * HOUR / 2 for n in range(47, 52)]

    async def seen() -> bool:  # told by the relay, of both days
        return not set(taken) & set(await _slots(cache, shop, monday, 2))

    await eventually(seen)
    assert len(await _slots(cache, shop, monday, 2)) == 96 - len(taken)


@pytest.mark.parametrize(
    "viewer",
    [
        "Asia/Tokyo",
        "Asia/Kolkata",
        "Pacific/Kiritimati",
        "Pacific/Pago_Pago",
        "Europe/London",
        "America/New_York",
    ],
)
@pytest.mark.parametrize("shop_zone", ["America/New_York", "Pacific/Auckland"])
async def test_a_viewers_days_are_cut_from_the_shops(
    cache: Cache, connection: asyncpg.Connection, shop_zone: str, viewer: str
) -> None:
    """A viewer's days hold what begins between their midnights, of whatever shop day."""
    shop = await open_shop(connection, zone=shop_zone, hours=WHOLE_DAY)
    zone = ZoneInfo(viewer)
    first, days = date(2025, 3, 8), 3
    all_slots = await _slots(cache, shop, first - 3 * DAY, days + 6)
    since = datetime(first.year, first.month, first.day, tzinfo=zone)
    end = first + days * DAY
    until = datetime(end.year, end.month, end.day, tzinfo=zone)
    answer = await cache.availability(
        shop.organization_id, shop.services[0], shop.barbers, first, days, time_zone=viewer
    )
    assert answer.time_zone == viewer
    found = starts(answer)[shop.barbers[0]]
    assert found == [start for start in all_slots if since <= start < until]
    assert len(found) in {71, 72}, "three days, of which one may be an hour shorter"
    assert source(answer) == "REDIS", "the shop's days are cut, not the viewer's cached"


@pytest.mark.parametrize("viewer", ["Asia/Tokyo", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
async def test_the_next_free_slot_of_a_viewer_never_lies_before_the_range(
    cache: Cache, connection: asyncpg.Connection, viewer: str
) -> None:
    """Where the viewer's days have none, the next one begins after them, not around them."""
    shop = await open_shop(connection, hours=WHOLE_DAY)
    (barber,) = shop.barbers
    tuesday = date(2025, 3, 11)
    zone = ZoneInfo(viewer)
    since = datetime(2025, 3, 11, tzinfo=zone)
    async with shop.acknowledged():  # the whole of the viewer's Tuesday is taken
        await connection.execute(
            "INSERT INTO time_off (organization_id, barber_id, starts_at, ends_at)"
            " VALUES ($1, $2, $3, $4)",
            shop.organization_id,
            barber,
            since,
            since + DAY,
        )
    answer = await cache.availability(
        shop.organization_id, shop.services[0], shop.barbers, tuesday, time_zone=viewer
    )
    assert starts(answer) == {barber: []}
    assert from_timestamp(answer.next_available.slot.start_time) == since + DAY


async def test_a_viewer_without_a_day_means_their_own_today(
    cache: Cache, connection: asyncpg.Connection
) -> None:
    """It is already Thursday on Kiritimati when the shop opens on Wednesday."""
    shop = await open_shop(connection, hours=WHOLE_DAY, lead_minutes=0)
    answer = await cache.availability(
        shop.organization_id, shop.services[0], shop.barbers, time_zone="Pacific/Kiritimati"
    )
    found = starts(answer)[shop.barbers[0]]
    assert found[-1] == datetime(2025, 3, 6, 23, tzinfo=ZoneInfo("Pacific/Kiritimati"))
    assert found[0] > datetime(2025, 3, 6, tzinfo=ZoneInfo("Pacific/Kiritimati"))
