"""Which facts a range of days, and all history before a day, depend on."""

from collections.abc import Callable, Collection, Sequence
from datetime import date, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cache_service.invalidation import tags
from cache_service.queries.list_appointments import AppointmentPage, list_appointments

WITHIN = [
    (tags.money, tags.money_within),
    (tags.bookings, tags.bookings_within),
    (tags.earned, tags.earned_within),
]


@pytest.mark.parametrize(("on", "within"), WITHIN)
@given(
    start=st.dates(date(1900, 1, 1), date(2190, 1, 1)),
    length=st.integers(1, 3660),
    off=st.integers(-40, 3700),
)
@example(start=date(2018, 1, 31), length=1, off=1)
@example(start=date(2016, 2, 1), length=29, off=28)
def test_a_day_touches_the_ranges_that_hold_it(
    on: Callable[[int, date], Collection[str]],
    within: Callable[[int, date, date], Sequence[str]],
    start: date,
    length: int,
    off: int,
) -> None:
    """Whatever the range, it depends on each of its days, and on no other day near it."""
    end = start + timedelta(days=length)
    found = within(7, start, end)
    for day in (start, start + timedelta(days=off), end - timedelta(days=1), end):
        assert bool({*on(7, day)} & {*found}) == (start <= day < end)
        assert not {*on(8, day), *on(0, day)} & {*found}
    assert len(found) <= len(tags.months(start, end)) + 12


def test_whole_months_are_one_tag_and_the_others_few() -> None:
    """A year is twelve guards, and what a period holds up to any day at most seven more."""
    first = date(2018, 1, 1)
    for n in range(365):
        as_of = first + timedelta(days=n)
        whole = as_of.month - 1
        assert whole <= len(tags.money_within(7, first, as_of)) <= whole + 7
    assert len(tags.money_within(7, first, date(2019, 1, 1))) == 12


@given(st.dates(date(1890, 1, 1), date(2210, 1, 1)), st.dates(date(1900, 1, 1), date(2200, 12, 31)))
def test_a_day_touches_the_histories_that_end_after_it(day: date, as_of: date) -> None:
    """Whatever the days, all history before one depends on the earlier days and on no other."""
    for barber in (0, 7):
        touched = set(tags.visits(0, day) + tags.visits(7, day))
        assert bool(touched & set(tags.visits_before(barber, as_of))) == (day < as_of)
        assert not touched & set(tags.spent_before(barber, as_of))
    assert len(tags.spent_before(7, as_of)) <= 26


def test_a_long_list_depends_on_all_bookings_instead_of_hundreds_of_months() -> None:
    """Above 24 months a list depends on the whole history, which costs one guard."""
    page = AppointmentPage(1, 7, 0, 0, (), date(2010, 1, 1), date(2020, 1, 1), 50, ())
    assert list_appointments.tags(page) == ("barber:7", "bookings:barber:7")
