"""A test is tried again because of the machine, and never because of the product."""

from time import monotonic

import pytest

from tests.support.steady import Standstills, undisturbed


class Section:
    """Takes so long each time, and fails so often, by a clock that it moves."""

    def __init__(self, *seconds: float, fails: int) -> None:
        self.now = 0.0
        self.runs = 0
        self._seconds = seconds
        self._fails = fails

    def clock(self) -> float:
        """Tell the time."""
        return self.now

    async def __call__(self) -> int:
        """Run once."""
        self.now += self._seconds[self.runs]
        self.runs += 1
        assert self.runs > self._fails
        return self.runs


@pytest.mark.parametrize(
    ("seconds", "fails", "runs"),
    [((9.0,), 0, 1), ((0.5, 0.1), 1, 2), ((0.5, 0.3, 0.1), 2, 3)],
)
async def test_what_failed_in_a_standstill_is_done_again(
    seconds: tuple[float, ...], fails: int, runs: int
) -> None:
    """Until it succeeds; what succeeds is not done again, whatever the machine did."""
    section = Section(*seconds, fails=fails)
    assert await undisturbed(section, clock=section.clock) == runs == section.runs


@pytest.mark.parametrize(
    ("seconds", "fails", "runs"),
    [((0.2,), 1, 1), ((0.5, 0.2), 2, 2), ((0.5, 0.5, 0.5), 3, 3)],
)
async def test_what_failed_otherwise_has_failed(
    seconds: tuple[float, ...], fails: int, runs: int
) -> None:
    """At once on a machine that went on, after an earlier standstill too; and at the third try."""
    section = Section(*seconds, fails=fails)
    with pytest.raises(AssertionError):
        await undisturbed(section, clock=section.clock)
    assert section.runs == runs


def test_a_standstill_counts_as_far_as_it_lies_in_between() -> None:
    """And lateness that every busy machine has does not."""
    moments = iter((0.0, 0.2, 1.2, 1.3, 1.4))
    standstills = Standstills(lambda: next(moments))
    for expected, since, until in ((0.0, 0, 9), (1.0, 0, 9), (0.5, 0.7, 9), (0.1, 0, 0.3)):
        assert standstills.seconds(since, until) == pytest.approx(expected)


def test_who_is_busy_has_not_stood_still() -> None:
    """The thread looks meanwhile; without it all of that time would count."""
    with Standstills() as standstills:
        began = monotonic()
        while (now := monotonic()) < began + 0.3:
            pass
        assert standstills.seconds(began, now) < now - began
