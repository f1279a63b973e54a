"""The fast slot calculation against a brute-force one, over random days and salons."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from booking_service.domain import (
    Blocked,
    Interval,
    Period,
    ServiceTerms,
    check_booking,
    day_bounds,
    day_slots,
    offered,
    open_periods,
)
from tests.support import oracle_availability as oracle

# Each with days on which its clocks change, beside any day at all.
CHANGES = {
    "America/New_York": (date(2025, 3, 9), date(2025, 11, 2)),
    "America/Toronto": (date(2018, 11, 4), date(2019, 3, 10)),
    "Asia/Kolkata": (),
    "Australia/Lord_Howe": (date(2025, 4, 6), date(2025, 10, 5)),
    "Africa/Cairo": (date(2023, 4, 27), date(2023, 4, 28), date(2023, 10, 26)),
    "America/Sao_Paulo": (date(2018, 2, 17), date(2018, 2, 18), date(2018, 11, 4)),
    "America/Havana": (date(2025, 3, 9), date(2025, 11, 1), date(2025, 11, 2)),
    "Pacific/Apia": (date(2011, 12, 29), date(2011, 12, 30), date(2011, 12, 31)),
}
MINUTE = timedelta(minutes=1)


@st.composite
def days(draw: st.DrawFn) -> tuple[date, ZoneInfo]:
    """Draw a zone and a day, often one on which its clocks change."""
    name = draw(st.sampled_from(sorted(CHANGES)))
    ordinary = st.dates(date(2010, 1, 1), date(2035, 12, 31))
    special = CHANGES[name]
    day = draw(st.one_of(st.sampled_from(special), ordinary) if special else ordinary)
    return day, ZoneInfo(name)


@st.composite
def hours(draw: st.DrawFn) -> list[Period]:
    """Draw up to three periods that neither meet nor abut, often in the small hours."""
    top = draw(st.sampled_from((240, 1440)))
    edges = draw(st.lists(st.integers(0, top), max_size=6, unique=True).map(sorted))
    return list(zip(edges[0::2], edges[1::2], strict=False))


def spans(day: date, lengths: int) -> st.SearchStrategy[Interval]:
    """Draw intervals in whole minutes on and around a day."""
    middle = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    return st.tuples(st.integers(-1800, 1800), st.integers(1, lengths)).map(
        lambda pair: (middle + pair[0] * MINUTE, middle + (pair[0] + pair[1]) * MINUTE)
    )


@settings(max_examples=150)
@given(data=st.data(), where=days(), periods=hours())
def test_slots_equal_those_of_the_brute_force_calculation(
    data: st.DataObject, where: tuple[date, ZoneInfo], periods: list[Period]
) -> None:
    """Hours, time off, buffers, holds, lead time and horizon give the same starts both ways."""
    day, zone = where
    time_off = data.draw(st.lists(spans(day, 300), max_size=3))
    busy = data.draw(st.lists(spans(day, 120), max_size=8))
    now = data.draw(spans(day, 1))[0] - data.draw(st.integers(0, 3)) * timedelta(days=1)
    holds = [
        now + hold * MINUTE if hold is not None else None
        for hold in (data.draw(st.none() | st.integers(-2, 2)) for _ in busy)
    ]
    duration, step = data.draw(st.integers(1, 150)), data.draw(st.integers(5, 60))
    before, after = data.draw(st.integers(0, 120)), data.draw(st.integers(0, 120))
    horizon = data.draw(st.integers(0, 4))

    terms = ServiceTerms(duration * MINUTE, before * MINUTE, after * MINUTE)
    slots = day_slots(
        day,
        zone,
        periods,
        time_off,
        terms,
        step * MINUTE,
        [Blocked(*span, hold) for span, hold in zip(busy, holds, strict=True)],
    )
    mine = offered(slots, zone, now=now, lead_time=15 * MINUTE, horizon_days=horizon)

    opened = oracle.open_minutes(day, zone, periods, time_off)
    theirs = oracle.bookable(
        oracle.free_starts(
            opened,
            duration=duration,
            buffer_before=before,
            buffer_after=after,
            slot_interval=step,
            appointments=[
                oracle.Appointment(*span, hold) for span, hold in zip(busy, holds, strict=True)
            ],
            now=now,
        ),
        zone,
        now=now,
        lead_minutes=15,
        horizon_days=horizon,
    )
    assert [slot.start for slot in mine] == theirs
    assert all(slot.end - slot.start == terms.duration for slot in slots)
    for slot in mine:
        assert (
            check_booking(
                slot.start, terms, day, zone, periods, time_off, now, 15 * MINUTE, horizon
            )
            is None
        )


@settings(max_examples=150)
@given(where=days(), periods=hours())
def test_open_time_equals_the_minutes_that_the_clock_shows(
    where: tuple[date, ZoneInfo], periods: list[Period]
) -> None:
    """Open intervals are sorted, disjoint, within the day, and hold exactly the open minutes."""
    day, zone = where
    found = open_periods(day, zone, periods)
    minutes = {
        minute
        for start, end in found
        for minute in range((start - oracle.EPOCH) // MINUTE, (end - oracle.EPOCH) // MINUTE)
    }
    assert minutes == oracle.open_minutes(day, zone, periods).minutes
    assert all(one[1] < two[0] for one, two in pairwise(found))
    since, until = day_bounds(day, zone)
    assert all(since <= start and end <= until for start, end in found)
