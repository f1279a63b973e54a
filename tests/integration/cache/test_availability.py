"""GetAvailability over the wire: sources, barbers, the next free slot, time's passing."""

from datetime import UTC, date, datetime, timedelta

import asyncpg
import grpc
import pytest

from chairside.cache.v1 import types_pb2
from service_kit.values import from_timestamp
from tests.integration.cache.holding import read_while_held
from tests.integration.cache.running import CLOCK, Cache, refused, source, starts
from tests.integration.cache.shops import Shop, open_shop
from tests.support.grpc_server import details_of
from tests.support.waiting import eventually

MONDAY = date(2025, 3, 10)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def _hours_of(shop: Shop, day: date, *hours: int) -> list[datetime]:
    return [shop.at(f"{day} {hour:02d}:00") for hour in hours]


async def test_the_second_answer_comes_from_redis_and_ages(cache: Cache, shop: Shop) -> None:
    """A miss is loaded, a hit is the same answer, and its age grows."""
    ask = shop.organization_id, shop.services[0], shop.barbers, MONDAY
    miss = await cache.availability(*ask)
    assert source(miss) == "DATABASE"
    assert starts(miss) == {shop.barbers[0]: _hours_of(shop, MONDAY, *range(9, 17))}
    for slot in miss.barbers[0].slots:
        assert from_timestamp(slot.end_time) - from_timestamp(slot.start_time) == HOUR
    assert miss.time_zone == "America/New_York"
    hit = await cache.availability(*ask)
    assert source(hit) == "REDIS"
    assert not hit.cache_info.stale
    later = await cache.availability(*ask)
    ages = [one.cache_info.age.ToMicroseconds() for one in (miss, hit, later)]
    assert ages[0] < ages[1] < ages[2] < 5_000_000
    for one in (miss, hit, later):
        one.ClearField("cache_info")
    assert miss == hit == later


@pytest.mark.parametrize("days", [None, 1], ids=["fast way", "long way"])
async def test_the_demands_on_freshness(cache: Cache, shop: Shop, days: int | None) -> None:
    """Only a read that asks for the database, or has a token, goes there."""
    ask = shop.organization_id, shop.services[0], shop.barbers, MONDAY, days
    assert source(await cache.availability(*ask)) == "DATABASE"
    demands = {
        "REDIS": [
            types_pb2.Consistency(),
            types_pb2.Consistency(fully_consistent=False),
            types_pb2.Consistency(max_staleness={"seconds": 0}),
            types_pb2.Consistency(max_staleness={"seconds": 60}),
        ],
        "DATABASE": [
            types_pb2.Consistency(fully_consistent=True),
            types_pb2.Consistency(at_least_as_fresh=b""),
            types_pb2.Consistency(at_least_as_fresh=b"1|x-1|x|5|1"),
            types_pb2.Consistency(at_least_as_fresh=b"\xff\0 damaged"),
        ],
    }
    for expected, consistencies in demands.items():
        for consistency in consistencies:
            answer = await cache.availability(*ask, consistency=consistency)
            assert source(answer) == expected, consistency
    async with shop.connection.transaction():  # committed, and nobody told yet
        await shop.book(shop.at("2025-03-10 09:00"))
    token = types_pb2.Consistency(at_least_as_fresh=b"")
    fresh = await cache.availability(*ask, consistency=token)
    assert starts(fresh)[shop.barbers[0]] == _hours_of(shop, MONDAY, *range(10, 17))


async def test_without_barbers_named_all_who_offer_it_are_meant(
    cache: Cache, connection: asyncpg.Connection
) -> None:
    """Active barbers who offer the service answer by id; named ones in the order named."""
    shop = await open_shop(connection, barbers=3)
    async with shop.acknowledged():
        other = await shop.add_service()
        await shop.add_barber(offers=[other])
        await shop.add_barber(offers=shop.services, active=False)
    one, two, three = shop.barbers[:3]
    everyone = await cache.availability(shop.organization_id, shop.services[0], (), MONDAY)
    assert list(starts(everyone)) == [one, two, three]
    again = await cache.availability(shop.organization_id, shop.services[0], (), MONDAY)
    assert source(again) == "REDIS"
    named = await cache.availability(
        shop.organization_id, shop.services[0], (three, one, three), MONDAY
    )
    assert list(starts(named)) == [three, one]
    assert source(named) == "REDIS", "entries are one barber's, whoever asks for them together"
    assert named.next_available.barber_id == one, "the lowest id of those free at that time"


async def test_the_next_free_slot(cache: Cache, connection: asyncpg.Connection) -> None:
    """It is the first of the range, else the first after it up to the horizon, else none."""
    shop = await open_shop(connection, barbers=2, horizon_days=40)
    early, late = shop.barbers
    far = date(2025, 4, 10)
    async with shop.acknowledged():
        closed = [MONDAY + n * DAY for n in range(-10, 60)]
        await shop.close_on(early, *closed)
        await shop.close_on(late, *[day for day in closed if day not in (MONDAY, far)])
    ask = shop.organization_id, shop.services[0], (early, late)
    within = await cache.availability(*ask, MONDAY, 7)
    assert within.next_available.barber_id == late
    first = within.next_available.slot
    assert from_timestamp(first.start_time) == shop.at("2025-03-10 09:00")
    after = await cache.availability(*ask, MONDAY + DAY)
    assert starts(after) == {early: [], late: []}
    found = after.next_available.slot
    assert from_timestamp(found.start_time) == shop.at("2025-04-10 09:00")
    before = await cache.availability(*ask, date(2024, 1, 1), 5)
    assert starts(before) == {early: [], late: []}
    assert before.next_available.slot == first
    none = await cache.availability(*ask, far + DAY)
    assert not none.HasField("next_available")
    alone = await cache.availability(*ask[:2], (early,), MONDAY)
    assert not alone.HasField("next_available")


async def test_an_empty_day_is_an_answer_like_any_other(cache: Cache, shop: Shop) -> None:
    """A closed day is cached, and read from there, together with what follows it."""
    async with shop.acknowledged():
        await shop.close_on(shop.barbers[0], MONDAY)
    ask = shop.organization_id, shop.services[0], shop.barbers, MONDAY
    for expected in ("DATABASE", "REDIS"):
        answer = await cache.availability(*ask)
        assert starts(answer) == {shop.barbers[0]: []}
        assert source(answer) == expected
        assert from_timestamp(answer.next_available.slot.start_time) == shop.at("2025-03-11 09:00")


async def test_what_is_too_soon_or_too_far_is_cut_at_reading(
    cache: Cache, connection: asyncpg.Connection
) -> None:
    """Starts before now and lead time, and days after the horizon, are not offered."""
    shop = await open_shop(connection, lead_minutes=90, horizon_days=2)
    today = date(2025, 3, 5)  # ten o'clock and a little
    ask = shop.organization_id, shop.services[0], shop.barbers
    answer = await cache.availability(*ask, today)
    assert starts(answer)[shop.barbers[0]] == _hours_of(shop, today, 12, 13, 14, 15, 16)
    unnamed = await cache.availability(*ask)
    assert starts(unnamed) == starts(answer), "without a day, today is meant"
    days = await cache.availability(*ask, today - DAY, 6)
    found = {start.astimezone(UTC).date() for start in starts(days)[shop.barbers[0]]}
    assert found == {today, today + DAY, today + 2 * DAY}


async def test_a_hold_that_ends_frees_its_slot_without_any_invalidation(
    cache: Cache, shop: Shop
) -> None:
    """A pending appointment leaves the cached answer when the clock passes its end."""
    async with shop.acknowledged():
        await shop.book(shop.at("2025-03-10 11:00"), hold_until=CLOCK - HOUR)
        await shop.book(shop.at("2025-03-10 13:00"), hold_until=CLOCK + DAY)
    ask = shop.organization_id, shop.services[0], shop.barbers, MONDAY
    at = shop.at("2025-03-10 09:00")
    held = await read_while_held(cache, shop, at, lambda: cache.availability(*ask))
    for answer in held:
        assert starts(answer)[shop.barbers[0]] == _hours_of(shop, MONDAY, 10, 11, 12, 14, 15, 16)
    assert [source(answer) for answer in held] == ["DATABASE", "REDIS"]

    async def free() -> bool:
        answer = await cache.availability(*ask)
        assert source(answer) == "REDIS"
        expected = _hours_of(shop, MONDAY, 9, 10, 11, 12, 14, 15, 16)
        return starts(answer)[shop.barbers[0]] == expected

    await eventually(free, seconds=10)


async def test_unknown_and_foreign_ids_are_not_found_and_not_cached(
    cache: Cache, connection: asyncpg.Connection, shop: Shop
) -> None:
    """Another shop's barber and service are as unknown as ones that never were."""
    foreign = await open_shop(connection)
    organization, service, barber = shop.organization_id, shop.services[0], shop.barbers[0]
    unknown = 10**15
    cases = [
        ((unknown, service, (barber,)), "organization", unknown),
        ((unknown, service, ()), "organization", unknown),
        ((organization, unknown, (barber,)), "service", unknown),
        ((organization, unknown, ()), "service", unknown),
        ((organization, foreign.services[0], (barber,)), "service", foreign.services[0]),
        ((organization, service, (unknown,)), "barber", unknown),
        ((organization, service, (barber, foreign.barbers[0])), "barber", foreign.barbers[0]),
        ((foreign.organization_id, service, (barber,)), "barber", barber),
    ]
    before = await cache.entries(organization)
    for (asked, service_id, barbers), kind, name in cases:
        for _ in range(2):
            error = await refused(cache.availability(asked, service_id, barbers, MONDAY))
            assert error.code() == grpc.StatusCode.NOT_FOUND
            details = details_of(error)
            assert details["ErrorInfo"].reason == f"{kind.upper()}_NOT_FOUND"
            assert details["ResourceInfo"].resource_name == str(name)
        keys = [key for key in await cache.entries(asked) if b":roster" not in key]
        assert keys == before


async def test_a_deleted_service_is_not_found(cache: Cache, shop: Shop) -> None:
    """A service that was deleted is unknown to whoever asks for its slots."""
    async with shop.acknowledged():
        await shop.connection.execute(
            "UPDATE services SET deleted = true WHERE id = $1", shop.services[0]
        )
    for barbers in (shop.barbers, ()):
        error = await refused(
            cache.availability(shop.organization_id, shop.services[0], barbers, MONDAY)
        )
        assert details_of(error)["ErrorInfo"].reason == "SERVICE_NOT_FOUND"


async def test_barbers_who_cannot_be_booked(cache: Cache, shop: Shop) -> None:
    """One who left or does not do it is refused by name, and nothing is cached."""
    async with shop.acknowledged():
        gone = await shop.add_barber(offers=shop.services, active=False)
        other = await shop.add_barber()
    for barber, reason in ((gone, "BARBER_INACTIVE"), (other, "SERVICE_NOT_OFFERED")):
        error = await refused(
            cache.availability(shop.organization_id, shop.services[0], (barber,), MONDAY)
        )
        assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
        details = details_of(error)
        assert details["ErrorInfo"].reason == reason
        assert details["ErrorInfo"].metadata["barber_id"] == str(barber)
        assert details["PreconditionFailure"].violations[0].type == reason
    assert await cache.entries(shop.organization_id) == []


async def test_a_service_that_nobody_offers_is_an_empty_answer(cache: Cache, shop: Shop) -> None:
    """With no barber there are no slots, and yet the zone is told."""
    async with shop.acknowledged():
        unwanted = await shop.add_service()
    for _ in range(2):
        answer = await cache.availability(shop.organization_id, unwanted, (), MONDAY)
        assert not answer.barbers
        assert not answer.HasField("next_available")
        assert answer.time_zone == "America/New_York"


async def test_very_many_days_of_very_many_barbers(
    cache: Cache, connection: asyncpg.Connection
) -> None:
    """The largest request there is fills thousands of entries and loses no connection."""
    shop = await open_shop(connection, barbers=50, minutes=480)
    before = len(cache.process.output())
    ask = shop.organization_id, shop.services[0], shop.barbers, MONDAY, 62
    miss = await cache.availability(*ask)
    assert [len(slots) for slots in starts(miss).values()] == [62] * 50

    async def hit() -> bool:  # not at once, if the lease ran out while all of that was loaded
        return source(await cache.availability(*ask)) == "REDIS"

    await eventually(hit)
    assert len(await cache.entries(shop.organization_id)) == 50 * 62
    assert "redis away" not in cache.process.output()[before:]
