"""Moves between statuses, and money: rounding and ratios."""

from decimal import Decimal

import pytest

from booking_service.domain import (
    CANCELLABLE,
    HOLDING,
    Status,
    can_move,
    change_pct,
    pct,
    ratio,
    to_cents,
)

ALLOWED = {
    "pending": {"confirmed", "cancelled"},
    "scheduled": {"confirmed", "in_progress", "completed", "cancelled", "no_show"},
    "confirmed": {"in_progress", "completed", "cancelled", "no_show"},
    "in_progress": {"completed"},
}


@pytest.mark.parametrize("old", list(Status))
def test_only_sensible_moves_are_allowed(old: Status) -> None:
    """Each status may become exactly those that make sense; ends are ends."""
    assert {new.value for new in Status if can_move(old, new)} == ALLOWED.get(old.value, set())
    assert (old in CANCELLABLE) == can_move(old.value, "cancelled")


def test_every_status_but_cancelled_holds_time() -> None:
    """Only a cancelled appointment frees its time for good."""
    assert set(Status) - HOLDING == {Status.CANCELLED}


def test_a_word_that_is_no_status_is_an_error() -> None:
    """An unknown status is refused, not taken for one that may not move."""
    with pytest.raises(ValueError, match="done"):
        can_move("done", "cancelled")


@pytest.mark.parametrize(
    ("amount", "rounded"),
    [("2.345", "2.34"), ("2.355", "2.36"), ("-2.345", "-2.34"), ("7", "7.00"), ("0.005", "0.00")],
)
def test_cents_are_rounded_half_even(amount: str, rounded: str) -> None:
    """A half cent goes to the even neighbour, and the answer has two places."""
    assert str(to_cents(Decimal(amount))) == rounded


def test_ratios_over_nothing_are_zero_or_absent_as_their_kind_says() -> None:
    """A share of nothing is 0, any other ratio over 0 and any change from 0 is absent."""
    assert pct(5, 0) == 0
    assert pct(1, 8) == Decimal("12.5")
    assert ratio(5, 0) is None
    assert ratio(5, 2) == Decimal("2.5")
    assert change_pct(5, 0) is None
    assert change_pct(-5, -10) == 50
    assert change_pct(5, 10) == -50
