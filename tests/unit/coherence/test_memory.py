"""Memory keeps what is right, as much as it may, and nothing that came too late."""

from collections.abc import Callable
from random import Random

import pytest

from cache_service.coherence.era import Era
from cache_service.coherence.memory import Memory
from cache_service.coherence.outcome import Answer, Outcome
from cache_service.coherence.ports import Read
from cache_service.coherence.tagged import _MARKS_KEPT
from tests.unit.coherence.fakes import read_of

ERA = Era("database", "epoch", "server")
ONE, TWO = read_of("one", "day:1"), read_of("two", "day:2")


class _Kept:
    """A memory, its time, and short words for it."""

    def __init__(self, limit: int = 1_000_000) -> None:
        self.now = 1000.0
        self.memory = Memory(limit, lambda: self.now)

    def put(self, read: Read, *, marker: int | None = None, payload: bytes = b"answer") -> None:
        """Put an answer, with a marker of now unless one is given."""
        answer = Answer(payload, Outcome.HIT, "1:1:", self.now)
        taken = self.memory.marker() if marker is None else marker
        self.memory.put(ERA, taken, 1, read, answer, self.now + read.ttl)

    def has(self, read: Read, era: Era = ERA) -> bool:
        """Tell whether the read's answer is there."""
        return self.memory.get(era, 1, read.key) is not None


def test_what_was_put_is_there_as_a_near_answer() -> None:
    """The answer comes back with its payload and says where it came from."""
    kept = _Kept()
    kept.put(ONE)
    found = kept.memory.get(ERA, 1, ONE.key)
    assert found is not None
    assert (found.payload, found.outcome) == (b"answer", Outcome.NEAR)
    assert kept.memory.get(ERA, 2, ONE.key) is None, "another organization"


def test_a_dropped_tag_takes_its_answers_and_no_others() -> None:
    """Only answers of the organization that have the tag go."""
    kept = _Kept()
    kept.put(ONE)
    kept.put(TWO)
    kept.memory.drop(2, ["day:1"])
    assert kept.has(ONE)
    kept.memory.drop(1, ["day:1", "unknown"])
    assert not kept.has(ONE)
    assert kept.has(TWO)
    kept.memory.drop(1, ["organization"])
    assert len(kept.memory) == kept.memory.bytes == 0


def test_an_answer_whose_read_began_before_an_invalidation_is_refused() -> None:
    """The invalidation may have overtaken the reply; one of another tag does not matter."""
    kept = _Kept()
    marker = kept.memory.marker()
    kept.memory.drop(1, ["day:1"])
    kept.put(ONE, marker=marker)
    kept.put(TWO, marker=marker)
    assert not kept.has(ONE)
    assert kept.has(TWO)
    kept.put(ONE)
    assert kept.has(ONE)


def test_what_is_on_its_way_when_all_is_forgotten_stays_out() -> None:
    """A lost connection may have lost publications: nothing from before it may enter."""
    kept = _Kept()
    marker = kept.memory.marker()
    kept.put(TWO)
    kept.memory.forget()
    kept.put(ONE, marker=marker)
    assert len(kept.memory) == kept.memory.bytes == 0
    kept.put(ONE)
    assert kept.has(ONE)


def test_a_marker_older_than_all_that_is_remembered_is_refused() -> None:
    """Where nobody can tell any more whether a tag was invalidated, the answer stays out."""
    kept = _Kept()
    marker = kept.memory.marker()
    kept.memory.drop(1, ["day:1"])
    for number in range(_MARKS_KEPT):
        kept.memory.drop(1, [f"other:{number}"])
    kept.put(ONE, marker=marker)
    kept.put(TWO, marker=marker)
    assert len(kept.memory) == 0
    kept.put(ONE)
    assert kept.has(ONE)


def test_another_era_and_an_expired_answer_are_not_there() -> None:
    """They go when they are asked for."""
    kept = _Kept()
    kept.put(ONE)
    assert not kept.has(ONE, ERA._replace(epoch="another"))
    assert len(kept.memory) == 0
    kept.put(ONE)
    kept.now += ONE.ttl
    assert not kept.has(ONE)
    assert kept.memory.bytes == 0


@pytest.mark.parametrize("seed", range(5))
def test_it_never_keeps_more_than_it_may(seed: int) -> None:
    """Those used least lately go first, and what is too large never enters."""
    lot = Random(seed)  # noqa: S311
    kept = _Kept(limit=20_000)
    reads = [read_of(f"r{n}", f"day:{n}", f"hours:{n % 3}") for n in range(60)]
    for _ in range(500):
        read = lot.choice(reads)
        if not kept.has(read):
            kept.put(read, payload=bytes(lot.randrange(2000)))
        if lot.random() < 0.05:
            kept.memory.drop(1, [lot.choice(read.tags)])
        assert kept.memory.bytes <= 20_000
    last = reads[0]
    kept.put(last)
    kept.put(reads[1])
    assert kept.has(last)
    kept.put(read_of("huge", "day:1"), payload=bytes(20_000))
    assert not kept.has(read_of("huge", "day:1"))
    assert kept.has(last), "what cannot enter drives nothing out"


def test_without_room_nothing_is_kept() -> None:
    """A limit of 0 is no memory."""
    kept = _Kept(limit=0)
    kept.put(ONE)
    assert len(kept.memory) == 0


def test_what_was_used_outlives_what_was_not() -> None:
    """Of three where two have room, the one goes that nobody asked for since it was put."""
    kept = _Kept(limit=4000)
    sizes = bytes(500)
    for read in (ONE, TWO):
        kept.put(read, payload=sizes)
    assert kept.has(ONE)
    kept.put(read_of("three", "day:3"), payload=sizes)
    assert kept.has(ONE)
    assert not kept.has(TWO)


@pytest.mark.parametrize(
    "end",
    [
        lambda kept: kept.memory.drop(1, ["day:1"]),
        lambda kept: kept.memory.forget(),
        lambda kept: kept.put(ONE),
        lambda kept: [kept.put(read_of(f"r{n}", "day:2"), payload=bytes(500)) for n in range(9)],
        lambda kept: kept.has(ONE, ERA._replace(epoch="another")),
    ],
    ids=["dropped", "forgotten", "replaced", "driven out", "of another era"],
)
def test_what_is_held_on_to_says_when_it_is_kept_no_more(end: Callable[[_Kept], object]) -> None:
    """Whoever found it may serve it until then, without asking for it again."""
    kept = _Kept(limit=4000)
    kept.put(ONE)
    found = kept.memory.find(ERA, 1, ONE.key)
    assert found is not None
    kept.memory.drop(1, ["day:2"])
    kept.put(TWO)
    assert found.there, "another's end is not its own"
    end(kept)
    assert not found.there
