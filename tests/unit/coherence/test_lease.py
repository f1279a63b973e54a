"""The lease: what may be served until when, and how long the cache is known to be off."""

from dataclasses import replace

import pytest

from cache_service.coherence.authority import Standing, bound
from cache_service.coherence.lease import LEASE_SECONDS, Lease

ON = Standing("database", "epoch", bound("server", "database"), 1, {}, "1:1:")
OFF = replace(ON, epoch="off", store=None)


class _Clock:
    """A clock that stands still unless it is moved."""

    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> _Clock:
    """Start a clock."""
    return _Clock()


def test_it_lasts_from_the_sending_of_the_question(clock: _Clock) -> None:
    """An answer that came late gives what is left of it, or nothing."""
    lease = Lease(clock)
    assert lease.era() is None
    lease.renew(ON, clock.now - 0.4)
    assert lease.era() == ON.era
    clock.now += LEASE_SECONDS - 0.41
    assert lease.era() == ON.era
    clock.now += 0.02
    assert lease.era() is None
    assert lease.known == ON.era
    lease.renew(ON, clock.now - LEASE_SECONDS)
    assert lease.era() is None


def test_what_is_learnt_may_end_it_and_never_begins_it(clock: _Clock) -> None:
    """A look that sees another era ends the lease at once; one that sees the same does nothing."""
    lease = Lease(clock)
    lease.learn(ON)
    assert lease.era() is None
    lease.renew(ON, clock.now)
    lease.learn(ON)
    assert lease.era() == ON.era
    lease.learn(replace(ON, epoch="another"))
    assert lease.era() is None


def test_off_is_counted_from_its_arrival(clock: _Clock) -> None:
    """The same off epoch counts on; another one, or an era in force, begins anew."""
    lease = Lease(clock)
    assert lease.off_for("off") == 0
    lease.learn(OFF)
    clock.now += 2
    lease.learn(OFF)
    assert lease.off_for("off") == 2
    assert lease.off_for("another") == 0
    lease.learn(replace(OFF, epoch="another"))
    assert lease.off_for("another") == 0
    clock.now += 1
    lease.learn(ON)
    assert lease.off_for("another") == 0
    assert lease.era() is None


def test_an_era_that_another_database_put_in_force_is_none(clock: _Clock) -> None:
    """A standby that took over finds the row of the former primary: nothing is in force yet."""
    lease = Lease(clock)
    lease.renew(replace(ON, database="its standby"), clock.now)
    assert lease.era() is None
    assert lease.known is None
