"""Bookings around clock changes, in odd zones, and late in the evening."""

from datetime import UTC, datetime, timedelta

import pytest

from chairside.booking.v1 import booking_service_pb2 as pb
from tests.integration.booking.house import House, Shop, day, every_day, open_shop
from tests.support.failures import failure


async def open_in(house: House, zone: str, opens: int, closes: int, now: datetime) -> Shop:
    """Open a shop of that zone with those hours on every day, at `now`."""
    house.clock.time = now
    shop = await open_shop(house, barbers=1, zone=zone)
    await house.stub.SetWeeklyHours(
        pb.SetWeeklyHoursRequest(
            organization_id=shop.id,
            barber_id=shop.barbers[0],
            valid_from=day(2025, 1, 1),
            weekdays=every_day(opens, closes),
        )
    )
    return shop


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        (datetime(2025, 3, 9, 6, 30, tzinfo=UTC), ""),  # 01:30 EST
        (datetime(2025, 3, 9, 7, 0, tzinfo=UTC), ""),  # 03:00 EDT: 02:00 does not exist
        (datetime(2025, 3, 9, 7, 31, tzinfo=UTC), "OUTSIDE_HOURS"),  # ends at 04:01 EDT
        (datetime(2025, 11, 2, 5, 30, tzinfo=UTC), ""),  # the first 01:30
        (datetime(2025, 11, 2, 6, 30, tzinfo=UTC), ""),  # the second 01:30
        (datetime(2025, 11, 2, 8, 31, tzinfo=UTC), "OUTSIDE_HOURS"),  # ends at 04:01 EST
    ],
)
async def test_new_york_books_what_its_clock_shows(
    house: House, start: datetime, reason: str
) -> None:
    """Open from 01:00 to 04:00: three hours on most days, two in March, four in November."""
    shop = await open_in(house, "America/New_York", 1, 4, start - timedelta(days=2))
    if reason:
        failed = await failure(house.stub.CreateAppointment(shop.request(start)))
        assert failed.reason == reason
    else:
        assert await shop.book(start)


async def test_both_hours_of_the_autumn_night_can_be_booked(house: House) -> None:
    """The two 01:30 of 2025-11-02 are two times; the third booking of one is taken."""
    first = datetime(2025, 11, 2, 5, 30, tzinfo=UTC)
    shop = await open_in(house, "America/New_York", 1, 4, first - timedelta(days=2))
    await shop.book(first)
    await shop.book(first + timedelta(hours=1))
    failed = await failure(house.stub.CreateAppointment(shop.request(first)))
    assert failed.reason == "SLOT_TAKEN"


async def test_a_zone_of_half_hours_and_a_booking_at_half_past_eleven(house: House) -> None:
    """23:30 to 24:00 in Kolkata is 18:00 UTC, and ends with the day."""
    late = datetime(2025, 6, 2, 18, 0, tzinfo=UTC)
    shop = await open_in(house, "Asia/Kolkata", 22, 24, late - timedelta(days=1))
    assert await shop.book(late)
    over = shop.request(late + timedelta(minutes=40))
    assert (await failure(house.stub.CreateAppointment(over))).reason == "OUTSIDE_HOURS"


async def test_the_horizon_counts_the_shops_days(house: House) -> None:
    """At 23:00 in New York today is not tomorrow yet, though UTC has gone on."""
    evening = datetime(2025, 6, 3, 3, 0, tzinfo=UTC)  # June 2nd, 23:00
    shop = await open_in(house, "America/New_York", 0, 24, evening)
    last = datetime(2025, 9, 1, 3, 20, tzinfo=UTC)  # August 31st, 23:20: 90 days on
    assert await shop.book(last)
    beyond = shop.request(last + timedelta(minutes=40))  # September 1st, 00:00
    assert (await failure(house.stub.CreateAppointment(beyond))).reason == "BEYOND_HORIZON"
