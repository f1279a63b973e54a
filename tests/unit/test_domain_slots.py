"""Free slots on ordinary days: grid, time off, buffers, holds, lead time, horizon."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from booking_service.domain import (
    Blocked,
    Refusal,
    ServiceTerms,
    candidate_slots,
    check_booking,
    day_slots,
    offered,
    open_time,
)

TORONTO = ZoneInfo("America/Toronto")
DAY = date(2018, 5, 24)
NINE_TO_NOON = [(9 * 60, 12 * 60)]
QUARTER = timedelta(minutes=15)


def local(hour: int, minute: int = 0, day: date = DAY, zone: ZoneInfo = TORONTO) -> datetime:
    """Read a time of the shop's clock as an instant."""
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone).astimezone(UTC)


def terms(duration: int, before: int = 0, after: int = 0) -> ServiceTerms:
    """Spell terms in minutes."""
    return ServiceTerms(
        timedelta(minutes=duration), timedelta(minutes=before), timedelta(minutes=after)
    )


def clock(starts: list[datetime], zone: ZoneInfo = TORONTO) -> list[str]:
    """Show instants as the shop's clock does."""
    return [f"{start.astimezone(zone):%H:%M}" for start in starts]


def test_candidates_step_from_the_opening_and_end_with_the_last_that_fits() -> None:
    """A service of 45 minutes between 9:10 and 10:30 may start at 9:10, 9:25 and 9:40."""
    found = candidate_slots(DAY, TORONTO, [(550, 630)], [], terms(45), QUARTER)
    assert clock(found) == ["09:10", "09:25", "09:40"]
    assert all(start.tzinfo is UTC for start in found)


def test_time_off_takes_slots_away_without_moving_the_grid() -> None:
    """Time off from 9:20 to 10:05 leaves the quarter hours as they were."""
    away = [(local(9, 20), local(10, 5))]
    found = candidate_slots(DAY, TORONTO, NINE_TO_NOON, away, terms(30), timedelta(minutes=30))
    assert clock(found) == ["10:30", "11:00", "11:30"]


def test_a_break_is_never_worked_through() -> None:
    """Two periods with a break offer no slot across the break, and each has its own grid."""
    found = candidate_slots(DAY, TORONTO, [(605, 660), (540, 600)], [], terms(40), QUARTER)
    assert clock(found) == ["09:00", "09:15", "10:05", "10:20"]


def test_special_hours_replace_the_weekly_ones_and_none_closes_the_day() -> None:
    """Special hours count instead of weekly hours, an empty list means closed."""
    assert open_time(DAY, TORONTO, NINE_TO_NOON, [(600, 610)], []) == [(local(10), local(10, 10))]
    assert open_time(DAY, TORONTO, NINE_TO_NOON, [], []) == []
    assert open_time(DAY, TORONTO, NINE_TO_NOON, None, []) == [(local(9), local(12))]


def test_no_hours_no_slots() -> None:
    """A closed day has no slots."""
    assert day_slots(DAY, TORONTO, [], [], terms(30), QUARTER, []) == []


def test_the_gap_between_two_bookings_is_the_sum_of_their_buffers() -> None:
    """After a booking that blocks until 10:10, a service with 10 minutes before starts at 10:30."""
    blocked = [Blocked(local(9), local(10, 10))]
    found = day_slots(DAY, TORONTO, NINE_TO_NOON, [], terms(30, before=10), QUARTER, blocked)
    assert clock([slot.start for slot in found]) == ["10:30", "10:45", "11:00", "11:15", "11:30"]
    without = day_slots(DAY, TORONTO, NINE_TO_NOON, [], terms(30), QUARTER, blocked)
    assert clock([slot.start for slot in without])[0] == "10:15"


def test_a_blocked_interval_that_only_touches_takes_nothing() -> None:
    """Half-open intervals that touch do not meet."""
    blocked = [Blocked(local(9, 30), local(11, 30)), Blocked(local(8), local(9))]
    found = day_slots(DAY, TORONTO, NINE_TO_NOON, [], terms(30), QUARTER, blocked)
    assert clock([slot.start for slot in found]) == ["09:00", "11:30"]


def test_a_booking_at_2330_with_buffer_blocks_the_next_day_past_midnight() -> None:
    """The buffer of yesterday's late booking takes the first slot after midnight."""
    late = [(22 * 60, 24 * 60)]
    mine = terms(30, after=20)
    found = day_slots(DAY, TORONTO, late, [], mine, timedelta(minutes=30), [])
    assert clock([slot.start for slot in found]) == ["22:00", "22:30", "23:00", "23:30"]
    last = found[-1].start
    tomorrow = DAY + timedelta(days=1)
    blocked = [Blocked(last, last + mine.duration + mine.buffer_after)]
    after = day_slots(tomorrow, TORONTO, [(0, 60)], [], terms(15), QUARTER, blocked)
    assert clock([slot.start for slot in after]) == ["00:30", "00:45"]
    before = day_slots(DAY, TORONTO, late, [], terms(30), timedelta(minutes=30), blocked)
    assert clock([slot.start for slot in before]) == ["22:00", "22:30", "23:00"]


def test_a_pending_appointment_holds_its_slot_until_the_last_hold_ends() -> None:
    """A slot that meets only pending ones says from when it is free; a firm one wins over all."""
    first, second = local(8, 5), local(8, 7)
    blocked = [
        Blocked(local(9, 30), local(9, 45), second),
        Blocked(local(9), local(9, 30), first),
        Blocked(local(10), local(11, 30)),
        Blocked(local(11, 15), local(11, 45), first),
    ]
    found = day_slots(DAY, TORONTO, NINE_TO_NOON, [], terms(30), QUARTER, blocked)
    assert [(f"{slot.start.astimezone(TORONTO):%H:%M}", slot.free_from) for slot in found] == [
        ("09:00", first),
        ("09:15", second),
        ("09:30", second),
        ("11:30", first),
    ]
    now = offered(found, TORONTO, now=first, lead_time=QUARTER, horizon_days=1)
    assert clock([slot.start for slot in now]) == ["09:00", "11:30"]
    later = offered(found, TORONTO, now=second, lead_time=QUARTER, horizon_days=1)
    assert len(later) == 4


def test_lead_time_and_horizon_are_applied_when_reading() -> None:
    """A start exactly lead time ahead is offered, one on the day after the horizon is not."""
    found = day_slots(DAY, TORONTO, NINE_TO_NOON, [], terms(60), QUARTER, [])
    soon = offered(found, TORONTO, now=local(10, 30), lead_time=QUARTER, horizon_days=0)
    assert clock([slot.start for slot in soon]) == ["10:45", "11:00"]
    ahead = local(23, 59, DAY - timedelta(days=90))
    assert offered(found, TORONTO, now=ahead, lead_time=QUARTER, horizon_days=90) == found
    assert offered(found, TORONTO, now=ahead, lead_time=QUARTER, horizon_days=89) == []


@pytest.mark.parametrize(
    ("start", "now", "horizon", "expected"),
    [
        (local(9, 7), local(8), 90, None),
        (local(11, 30), local(8), 90, None),
        (local(11, 31), local(8), 90, Refusal.OUTSIDE_HOURS),
        (local(8, 59), local(8), 90, Refusal.OUTSIDE_HOURS),
        (local(10, 20), local(8), 90, Refusal.OUTSIDE_HOURS),
        (local(9, 15), local(9), 90, None),
        (local(9, 14), local(9), 90, Refusal.LEAD_TIME),
        (local(9), local(9, 0, DAY - timedelta(days=3)), 3, None),
        (local(9), local(9, 0, DAY - timedelta(days=3)), 2, Refusal.BEYOND_HORIZON),
        (local(3), local(9, 0, DAY - timedelta(days=3)), 2, Refusal.BEYOND_HORIZON),
    ],
)
def test_a_booking_is_checked_against_hours_lead_time_and_horizon(
    start: datetime, now: datetime, horizon: int, expected: Refusal | None
) -> None:
    """A booking need not be on the grid, but must be far enough, near enough, and in open time."""
    away = [(local(10, 45), local(11))]
    assert (
        check_booking(
            start, terms(30, 60, 60), DAY, TORONTO, NINE_TO_NOON, away, now, QUARTER, horizon
        )
        == expected
    )


@pytest.mark.parametrize(("duration", "step"), [(0, 15), (30, 0), (-5, 15), (30, -1)])
def test_terms_that_would_never_end_are_refused(duration: int, step: int) -> None:
    """A duration or a slot interval that is not positive is an error, not an empty answer."""
    with pytest.raises(ValueError, match="positive"):
        candidate_slots(DAY, TORONTO, NINE_TO_NOON, [], terms(duration), timedelta(minutes=step))
