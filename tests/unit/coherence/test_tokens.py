"""Snapshots and tokens: what has been seen, and what must have been."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache_service.coherence.snapshots import Snapshot
from cache_service.coherence.tokens import parse_token, snapshot_token, transaction_token


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """Make a snapshot of ids up to 20, as Postgres makes them."""
    xmax = draw(st.integers(1, 20))
    running = draw(st.frozensets(st.integers(1, 20).filter(lambda xid: xid < xmax), max_size=6))
    return Snapshot(min(running, default=xmax), xmax, running)


@given(snapshots())
def test_a_snapshot_sees_exactly_what_ended(snapshot: Snapshot) -> None:
    """Below xmax and not in progress: ended."""
    for xid in range(1, 25):
        ended = xid < snapshot.xmax and xid not in snapshot.in_progress
        assert snapshot.sees(xid) is ended


@given(snapshots(), snapshots())
def test_seeing_all_of_another_is_seeing_each_of_it(mine: Snapshot, other: Snapshot) -> None:
    """The short comparison agrees with asking for every transaction."""
    each = all(mine.sees(xid) for xid in range(1, 25) if other.sees(xid))
    assert mine.sees_all_of(other) is each


def test_a_transaction_token_needs_its_transaction() -> None:
    """An entry that was filled while the transaction ran does not satisfy its token."""
    token = parse_token(transaction_token("db-1", 7, applied=False))
    assert token is not None
    assert token.satisfied_by(Snapshot.parse("8:8:"))
    assert token.satisfied_by(Snapshot.parse("5:9:5"))
    assert not token.satisfied_by(Snapshot.parse("5:9:5,7"))
    assert not token.satisfied_by(Snapshot.parse("7:7:"))


def test_a_snapshot_token_needs_all_that_it_saw() -> None:
    """An entry of an older snapshot does not satisfy a newer one's token."""
    token = parse_token(snapshot_token("db-1", "5:9:5,7"))
    assert token is not None
    assert token.satisfied_by(Snapshot.parse("5:9:5,7"))
    assert token.satisfied_by(Snapshot.parse("9:9:"))
    assert not token.satisfied_by(Snapshot.parse("5:8:5,7"))


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"x", b"\xff\xfe", b"2|db|x|7|1", b"1||x|7|1", b"1|db|x|-7|1", b"1|db|x|0|0",
        b"1|db|x|seven|1", b"1|db|s|9:5:|1", b"1|db|s||1", b"1|db|y|7|1", b"1|db|x|7|yes",
        b"1|db|x|7|1|more",
    ],
)  # fmt: skip
def test_a_damaged_token_is_none(raw: bytes) -> None:
    """What cannot be read is no token; the read then goes to the database."""
    assert parse_token(raw) is None
