"""Open minutes over ranges: equal to the rules day by day, and quick."""

import json
from datetime import UTC, date, datetime, timedelta
from random import Random
from time import process_time
from zoneinfo import ZoneInfo

import pytest

from booking_service.domain.opening import open_time
from cache_service.queries.open_time import Hours, open_time_of, read_hours

ZONES = ("America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Africa/Cairo")


def random_hours(random: Random, first: date, days: int) -> Hours:
    """Make weeks, special days and time off around a range."""
    hours = Hours()
    for n in range(random.randint(0, 3)):
        hours.starts.append(first + timedelta(days=100 * n + random.randint(-90, 0)))
        hours.weeks.append(
            {weekday: [(0, 90), (random.randint(90, 600), 1020)] for weekday in range(7)}
        )
    for _ in range(random.randint(0, 5)):
        day = first + timedelta(days=random.randrange(days))
        hours.special[day] = random.choice([[], [(0, 1440)], [(100, 130)]])
    midnight = datetime(first.year, first.month, first.day, tzinfo=UTC)
    for _ in range(random.randint(0, 5)):
        start = midnight + timedelta(minutes=random.randrange(-2000, days * 1440))
        hours.time_off.append((start, start + timedelta(minutes=random.choice([7, 600, 9000]))))
    return hours


@pytest.mark.parametrize("name", ZONES)
def test_a_range_is_the_sum_of_its_days(name: str) -> None:
    """Shortcuts change nothing: every day by the rules of opening hours gives the same."""
    zone, random = ZoneInfo(name), Random(name)  # noqa: S311 - a test's, not a secret's
    for _ in range(20):
        days = random.choice([1, 10, 250])
        first = date(2024, 1, 1) + timedelta(days=random.randrange(400))
        barbers = [random_hours(random, first, days) for _ in range(random.randint(0, 3))]
        minutes, opened = timedelta(), set()
        for hours in barbers:
            for day in (first + timedelta(days=n) for n in range(days)):
                weeks = [w for s, w in zip(hours.starts, hours.weeks, strict=True) if s <= day]
                weekly = weeks[-1][day.weekday()] if weeks else []
                special = hours.special.get(day)
                for start, end in open_time(day, zone, weekly, special, hours.time_off):
                    minutes += end - start
                    opened.add(day)
        found = open_time_of(barbers, zone, first, first + timedelta(days=days))
        assert (found.minutes, found.days) == (minutes // timedelta(minutes=1), len(opened))


def test_a_year_of_ten_barbers_takes_milliseconds() -> None:
    """366 days of ten barbers with time off stay far below 50 ms of one core."""
    random = Random(1)  # noqa: S311 - a test's, not a secret's
    first = date(2024, 1, 1)
    barbers = [random_hours(random, first, 366) for _ in range(10)]
    zone = ZoneInfo("America/New_York")
    best = 1.0
    for _ in range(5):
        began = process_time()
        open_time_of(barbers, zone, first, first + timedelta(days=366))
        best = min(best, process_time() - began)
    assert best < 0.05


def test_nobody_is_never_open() -> None:
    """No barber, no hours and no JSON are no open time."""
    zone = ZoneInfo("UTC")
    assert read_hours(None) == []
    (empty,) = read_hours(json.dumps([[None, None, None]]))
    found = open_time_of([empty], zone, date(2018, 1, 1), date(2019, 1, 1))
    assert (found.minutes, found.days) == (0, 0)
