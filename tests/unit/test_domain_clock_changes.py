"""Opening hours and slots on days when clocks change, and in zones off the hour."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from booking_service.domain import (
    Period,
    ServiceTerms,
    candidate_slots,
    day_bounds,
    day_slots,
    local_midnight,
    open_periods,
)

NEW_YORK = ZoneInfo("America/New_York")
SPRING, AUTUMN = date(2025, 3, 9), date(2025, 11, 2)
HALF_HOUR = timedelta(minutes=30)
SHORT = ServiceTerms(HALF_HOUR)


def utc(text: str) -> datetime:
    """Read `YYYY-MM-DD HH:MM` as an instant in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def spoken(day: date, zone: str, *periods: Period) -> list[str]:
    """List open time as UTC, each `HH:MM-HH:MM`."""
    return [
        f"{start:%H:%M}-{end:%H:%M}" for start, end in open_periods(day, ZoneInfo(zone), periods)
    ]


@pytest.mark.parametrize(
    ("day", "zone", "period", "expected"),
    [
        # New York springs forward at 02:00, 07:00 in UTC.
        (SPRING, "America/New_York", (0, 1440), ["05:00-04:00"]),
        (SPRING, "America/New_York", (60, 150), ["06:00-07:00"]),
        (SPRING, "America/New_York", (150, 240), ["07:00-08:00"]),
        (SPRING, "America/New_York", (120, 180), []),
        (SPRING, "America/New_York", (60, 120), ["06:00-07:00"]),
        (SPRING, "America/New_York", (540, 1020), ["13:00-21:00"]),
        # New York falls back at 02:00, 06:00 in UTC: 01:00 to 02:00 is 05:00 to 07:00.
        (AUTUMN, "America/New_York", (0, 1440), ["04:00-05:00"]),
        (AUTUMN, "America/New_York", (60, 120), ["05:00-07:00"]),
        (AUTUMN, "America/New_York", (0, 60), ["04:00-05:00"]),
        (AUTUMN, "America/New_York", (0, 90), ["04:00-05:30", "06:00-06:30"]),
        (AUTUMN, "America/New_York", (90, 240), ["05:30-06:00", "06:30-09:00"]),
        (AUTUMN, "America/New_York", (540, 1020), ["14:00-22:00"]),
        # Lord Howe moves by half an hour: +10:30 to +11 at 02:00, back to +10:30 at 02:00.
        (date(2025, 10, 5), "Australia/Lord_Howe", (60, 180), ["14:30-16:00"]),
        (date(2025, 10, 5), "Australia/Lord_Howe", (135, 180), ["15:30-16:00"]),
        (date(2025, 4, 6), "Australia/Lord_Howe", (60, 180), ["14:00-16:30"]),
        (date(2025, 6, 6), "Asia/Kolkata", (540, 600), ["03:30-04:30"]),
        # Cairo skips midnight on this day, Sao Paulo used to; Havana has it twice.
        (date(2023, 4, 28), "Africa/Cairo", (0, 120), ["22:00-23:00"]),
        (date(2023, 4, 27), "Africa/Cairo", (1380, 1440), ["21:00-22:00"]),
        (date(2018, 11, 4), "America/Sao_Paulo", (30, 120), ["03:00-04:00"]),
        (date(2018, 2, 17), "America/Sao_Paulo", (1380, 1440), ["01:00-03:00"]),
        (date(2025, 11, 2), "America/Havana", (0, 60), ["04:00-06:00"]),
        (date(2025, 11, 1), "America/Havana", (1380, 1440), ["03:00-04:00"]),
        # Samoa had no 30 December 2011.
        (date(2011, 12, 30), "Pacific/Apia", (0, 1440), []),
        (date(2011, 12, 31), "Pacific/Apia", (0, 60), ["10:00-11:00"]),
    ],
)
def test_periods_become_the_instants_whose_local_time_they_name(
    day: date, zone: str, period: Period, expected: list[str]
) -> None:
    """A missing hour is never open, an hour that exists twice is open twice."""
    assert spoken(day, zone, period) == expected


def test_a_break_in_the_hour_that_exists_twice_comes_twice() -> None:
    """Closing and opening again in that hour leave the break in both of its occurrences."""
    assert spoken(AUTUMN, "America/New_York", (0, 80), (100, 180)) == [
        "04:00-05:20",
        "05:40-06:20",
        "06:40-08:00",
    ]


def test_the_missing_hour_is_not_offered() -> None:
    """On 2025-03-09 slots of New York go from 01:30 straight to 03:00."""
    found = candidate_slots(SPRING, NEW_YORK, [(60, 240)], [], SHORT, HALF_HOUR)
    assert [f"{start.astimezone(NEW_YORK):%H:%M %Z}" for start in found] == [
        "01:00 EST",
        "01:30 EST",
        "03:00 EDT",
        "03:30 EDT",
    ]


def test_the_hour_that_exists_twice_is_offered_twice() -> None:
    """On 2025-11-02 slots of New York have 01:00 and 01:30 in both offsets."""
    found = day_slots(AUTUMN, NEW_YORK, [(30, 150)], [], SHORT, HALF_HOUR, [])
    assert [f"{slot.start.astimezone(NEW_YORK):%H:%M %Z}" for slot in found] == [
        "00:30 EDT",
        "01:00 EDT",
        "01:30 EDT",
        "01:00 EST",
        "01:30 EST",
        "02:00 EST",
    ]


def test_a_service_across_a_clock_change_takes_elapsed_time() -> None:
    """Ninety minutes from 01:00 end at 03:30 in spring, for the clock skips an hour."""
    long = ServiceTerms(timedelta(minutes=90))
    (slot,) = day_slots(SPRING, NEW_YORK, [(60, 210)], [], long, HALF_HOUR, [])
    assert f"{slot.start.astimezone(NEW_YORK):%H:%M}" == "01:00"
    assert f"{slot.end.astimezone(NEW_YORK):%H:%M}" == "03:30"


@pytest.mark.parametrize(
    ("day", "zone", "start", "hours"),
    [
        (SPRING, "America/New_York", "2025-03-09 05:00", 23),
        (AUTUMN, "America/New_York", "2025-11-02 04:00", 25),
        (date(2025, 6, 6), "Asia/Kolkata", "2025-06-05 18:30", 24),
        (date(2025, 4, 6), "Australia/Lord_Howe", "2025-04-05 13:00", 24.5),
        (date(2023, 4, 28), "Africa/Cairo", "2023-04-27 22:00", 23),
        (date(2025, 11, 2), "America/Havana", "2025-11-02 04:00", 25),
        (date(2018, 2, 17), "America/Sao_Paulo", "2018-02-17 02:00", 25),
        (date(2011, 12, 30), "Pacific/Apia", "2011-12-30 10:00", 0),
    ],
)
def test_a_local_day_is_bounded_by_its_own_midnights(
    day: date, zone: str, start: str, hours: float
) -> None:
    """A day begins at its first midnight, or where that is missing at the gap's end."""
    place = ZoneInfo(zone)
    since, until = day_bounds(day, place)
    assert since == local_midnight(day, place) == utc(start)
    assert until - since == timedelta(hours=hours)
