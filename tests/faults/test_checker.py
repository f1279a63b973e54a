"""The checker finds what it must, and nothing else, in histories made by hand."""

from dataclasses import replace
from typing import Any

import pytest

from chairside.cache.v1 import cache_service_pb2 as pb
from chairside.cache.v1 import types_pb2
from tests.faults.answers import Answered, Call, decoded
from tests.faults.checker import Verdict, check, near_calls
from tests.faults.history import COMPLETED, HELD, History, Money, Query, Read, Service, Visit, Write

BARBER, SERVICE, CLIENT, DAY = 1, 1, 1, 0
HALF = 1800
FREE: Query = ("free", BARBER, SERVICE, DAY)
BUSY: Query = ("busy", BARBER, DAY)
VISITS: Query = ("visits", BARBER)
CLIENTS: Query = ("client", CLIENT)
REVENUE: Query = ("revenue",)
GRID = (0, HALF, 2 * HALF)
BOOKED = Visit(1, BARBER, SERVICE, CLIENT, HALF, 2 * HALF, HELD)
MOVED = BOOKED._replace(version=2, start=0, end=HALF)
CANCELLED = BOOKED._replace(version=2, status="CANCELLED")
OVER = BOOKED._replace(version=2, status=COMPLETED)


def _write(visit: Visit | None, started: float, ended: float, **more: Any) -> Write:
    fields = {
        "method": "Any",
        "request_id": f"{visit} {started}",
        "started": started,
        "ended": ended,
        "acknowledged": True,
        "applied_at": ended,
        "committed": True,
        "visits": {} if visit is None else {7: visit},
    }
    return Write(**(fields | more))


def _read(query: Query, answer: object, started: float, ended: float) -> Read:
    return Read(query, 0, started, ended, answer, "REDIS")


def _check(writes: list[Write], *reads: Read, quiet: Any = ()) -> Verdict:
    services = {SERVICE: Service(HALF, 0, 0)}
    history = History(services, {FREE: GRID}, lambda _: DAY, writes, list(reads), list(quiet))
    return check(history, bound=1.0)


def _kinds(verdict: Verdict) -> list[str]:
    return [violation.kind for violation in verdict.violations]


BOOKING = _write(BOOKED, 1.0, 2.0)
SHOWN: list[tuple[Query, object, object]] = [
    (FREE, GRID, (0, 2 * HALF)),
    (BUSY, {}, {7: (HALF, 2 * HALF)}),
    (VISITS, {}, {7: BOOKED}),
    (CLIENTS, (0, 0, None), (0, 7, BOOKED)),
]
"""Queries with their answers before and after the booking."""


@pytest.mark.parametrize(("query", "before", "after"), SHOWN)
def test_a_booking_must_be_seen_once_acknowledged(
    query: Query, before: object, after: object
) -> None:
    """Later reads show it, earlier ones do not, and reads during it may do either."""
    early, late = _read(query, before, 0.1, 0.9), _read(query, after, 2.1, 2.2)
    during = [_read(query, answer, 1.5, 2.5) for answer in (before, after)]
    assert _kinds(_check([BOOKING], early, late, *during)) == []
    assert _kinds(_check([BOOKING], _read(query, before, 2.1, 2.2))) == ["stale"]
    assert "stale" in _kinds(_check([BOOKING], _read(query, after, 0.1, 0.9)))
    assert _kinds(_check([], _read(query, after, 2.1, 2.2))) != []


@pytest.mark.parametrize("change", [MOVED, CANCELLED])
@pytest.mark.parametrize(("query", "free", "taken"), SHOWN)
def test_what_was_moved_or_cancelled_is_shown_no_more(
    query: Query, free: object, taken: object, change: Visit
) -> None:
    """The old time is free again, unless the change is not acknowledged yet."""
    writes = [BOOKING, _write(change, 3.0, 4.0)]
    late = _read(query, taken, 4.1, 4.2)
    assert "stale" in _kinds(_check(writes, late))
    assert _kinds(_check(writes, _read(query, taken, 3.5, 4.2))) == []
    if change is CANCELLED:
        assert _kinds(_check(writes, _read(query, free, 4.1, 4.2))) == []


@pytest.mark.parametrize(("query", "free", "taken"), SHOWN)
def test_a_completed_visit_keeps_its_time_and_is_no_more_to_come(
    query: Query, free: object, taken: object
) -> None:
    """Its slot stays taken; among what is to come it may not be shown any more."""
    writes = [BOOKING, _write(OVER, 3.0, 4.0)]
    wanted, wrong = (taken, free) if query in {FREE, BUSY} else (free, taken)
    assert _kinds(_check(writes, _read(query, wanted, 4.1, 4.2))) == []
    assert _kinds(_check(writes, _read(query, wrong, 4.1, 4.2))) == ["stale"]


def test_a_moved_visit_is_shown_at_its_new_time() -> None:
    """And a slot taken anew by another booking need not be offered."""
    moving = _write(MOVED, 3.0, 4.0)
    assert _kinds(_check([BOOKING, moving], _read(FREE, GRID[1:], 4.1, 4.2))) == []
    other = _write(None, 4.0, 5.0, visits={8: BOOKED}, request_id="other")
    reads = [_read(FREE, answer, 4.5, 4.6) for answer in (GRID[1:], GRID[2:])]
    assert _kinds(_check([BOOKING, moving, other], *reads)) == []
    late = _read(FREE, GRID[1:], 5.1, 5.2)
    assert _kinds(_check([BOOKING, moving, other], late)) == ["stale"]


def test_what_was_not_applied_is_due_only_after_a_quiet_second() -> None:
    """It may be seen at any time, and must be from the bound after healing on."""
    booking = replace(BOOKING, applied_at=None)
    missed = [_read(BUSY, {}, started, started + 0.1) for started in (2.1, 3.5, 6.5)]
    assert _kinds(_check([booking], *missed)) == []
    assert _kinds(_check([booking], *missed, quiet=[(3.0, 3.9)])) == []
    assert _kinds(_check([booking], *missed, quiet=[(3.0, 7.0)])) == ["stale"]


def test_an_acknowledgement_demands_all_that_it_was_built_on() -> None:
    """A later change elsewhere, acknowledged, vouches for one before it that was not."""
    away = BOOKED._replace(version=2, barber=9)
    further = BOOKED._replace(version=3, barber=10)
    writes = [BOOKING, _write(away, 3.0, 4.0, applied_at=None), _write(further, 5.0, 6.0)]
    read = _read(BUSY, {7: (HALF, 2 * HALF)}, 6.1, 6.2)
    assert _kinds(_check(writes, read)) == ["stale"]
    writes[2].applied_at = None
    assert _kinds(_check(writes, read)) == []


def test_versions_have_one_writer_each() -> None:
    """Two writers of one version, or a version of nobody, is a lost update."""
    twice = [BOOKING, _write(MOVED, 3.0, 4.0), _write(CANCELLED, 3.0, 4.0)]
    assert _kinds(_check(twice)) == ["lost update"]
    assert _kinds(_check([BOOKING, _write(MOVED._replace(version=3), 3.0, 4.0)])) == ["lost update"]


def _pay(number: int, cents: int, ended: float, *, refund: bool = False, **more: Any) -> Write:
    money = Money(number, CLIENT, cents, refund)
    return _write(None, ended - 1, ended, money=money, request_id=f"{number}{refund}", **more)


@pytest.mark.parametrize(
    ("started", "revenue", "spent"),
    [(2.1, (100, 1, 0, 0), 100), (2.9, (100, 1, 30, 1), 70), (3.1, (100, 1, 30, 1), 70)],
)
def test_money_is_all_there(started: float, revenue: object, spent: int) -> None:
    """Payments and refunds count from their acknowledgements on, and may from their starts."""
    writes = [_pay(1, 100, 2.0), _pay(1, 30, 3.0, refund=True)]
    answers = ((REVENUE, revenue), (CLIENTS, (spent, 0, None)))
    reads = [_read(query, answer, started, started + 0.05) for query, answer in answers]
    assert _kinds(_check(writes, *reads)) == []


@pytest.mark.parametrize(
    ("revenue", "spent"), [((0, 0, 0, 0), 0), ((101, 1, 0, 0), 101), ((200, 2, 0, 0), 200)]
)
def test_money_that_is_missing_or_made_up_is_found(revenue: object, spent: int) -> None:
    """A payment not shown, one shown with another amount, one shown twice."""
    for query, answer in ((REVENUE, revenue), (CLIENTS, (spent, 0, None))):
        verdict = _check([_pay(1, 100, 2.0)], _read(query, answer, 2.1, 2.2))
        assert _kinds(verdict) == ["stale"]


def test_a_token_demands_what_it_stands_for() -> None:
    """A read that carries it shows the mutation, though that was not applied."""
    booking = replace(BOOKING, applied_at=None)
    for query, before, after in SHOWN:
        reads = [_read(query, answer, 2.1, 2.2) for answer in (before, after)]
        assert _kinds(_check([booking], *reads)) == []
        old, new = (read._replace(after=booking) for read in reads)
        assert _kinds(_check([booking], new)) == []
        assert "stale" in _kinds(_check([booking], old))
    paid = _pay(1, 100, 2.0, applied_at=None)
    for query, before, after in (
        (REVENUE, (0, 0, 0, 0), (100, 1, 0, 0)),
        (CLIENTS, (0, 0, None), (100, 0, None)),
    ):
        read = _read(query, before, 2.1, 2.2)
        assert _kinds(_check([paid], read)) == []
        assert _kinds(_check([paid], read._replace(answer=after, after=paid))) == []
        assert _kinds(_check([paid], read._replace(after=paid))) == ["stale"]


def test_near_reads_are_counted() -> None:
    """A read counts as near if it began within 5 ms of an acknowledgement."""
    reads = [_read(BUSY, {7: (HALF, 2 * HALF)}, at, at + 0.1) for at in (2.001, 2.004, 2.006)]
    verdict = _check([BOOKING], *reads)
    assert (verdict.reads, verdict.near, verdict.violations) == (3, 2, [])


@pytest.mark.parametrize(
    ("allowance", "flagged", "kinds"),
    [
        (0.9, True, []),  # as old as 1.9, when nothing was acknowledged
        (0.9, False, ["stale"]),  # a fresh one, so it says
        (0.5, True, ["stale"]),  # as old as 2.3 at most
        (0.0, True, ["flag", "stale"]),
    ],
)
def test_what_is_called_stale_is_judged_by_what_its_caller_allows(
    allowance: float, *, flagged: bool, kinds: list[str]
) -> None:
    """It may miss what was acknowledged within the allowance; and who allows none gets none."""
    call = Call("GetAvailability", b"", lambda _: [(FREE, GRID)], frozenset())
    response = pb.GetAvailabilityResponse(
        cache_info={"source": types_pb2.SOURCE_REDIS, "stale": flagged}
    )
    raw = response.SerializeToString()
    reads = decoded([Answered(call, 0, 2.8, 2.9, raw, allowance=allowance)])
    verdict = _check([BOOKING], *reads)
    assert sorted(_kinds(verdict)) == kinds
    assert (verdict.flagged, verdict.hits) == (flagged, not flagged)


def test_near_calls_are_counted() -> None:
    """Once each, however many entries they answer."""
    history = History({}, {}, lambda _: DAY, [BOOKING])
    assert near_calls(history, [1.999, 2.0, 2.004, 2.006]) == 2
