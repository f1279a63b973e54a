"""What a question remembers of its last reply."""

import pytest

from cache_service.coherence.entry import Entry
from cache_service.coherence.era import Era
from cache_service.coherence.outcome import Outcome
from cache_service.coherence.question import Question
from tests.unit.coherence.fakes import ERA, ORGANIZATION, World, read_of

DAY = read_of("day", "day:7")
NONCES = [b"a" * 16, b"b" * 16]
ENTRY = Entry(b"payload", "10:20:", 1000.0, 60.0, 0.5)


def _question(world: World) -> Question:
    return Question(ORGANIZATION, DAY, world.facts.load(DAY))


def test_the_same_reply_under_the_same_era_is_recalled(world: World) -> None:
    """The very answer comes back, so that a response made of it can be told by it."""
    question = _question(world)
    entry, answer = question.found(ERA, b"raw", NONCES, ENTRY)
    assert (entry, answer.outcome) == (ENTRY, Outcome.HIT)
    recalled = question.recall(Era(*ERA), bytes(bytearray(b"raw")), list(NONCES))
    assert recalled is not None
    assert recalled[1] is answer


@pytest.mark.parametrize(
    ("era", "raw", "nonces"),
    [
        (ERA._replace(epoch="another"), b"raw", NONCES),
        (ERA._replace(store="another"), b"raw", NONCES),
        (ERA, b"war", NONCES),
        (ERA, None, NONCES),
        (ERA, b"raw", [NONCES[0], b"c" * 16]),
        (ERA, b"raw", [NONCES[0], None]),
        (ERA, b"raw", NONCES[::-1]),
    ],
)
def test_any_other_reply_is_judged(
    world: World, era: Era, raw: bytes | None, nonces: list[bytes | None]
) -> None:
    """Another era, another entry, or a guard that is gone or changed brings nothing back."""
    question = _question(world)
    question.found(ERA, b"raw", NONCES, ENTRY)
    assert question.recall(era, raw, nonces) is None


def test_large_entries_are_not_remembered(world: World) -> None:
    """What is remembered for each request is bounded; the last small one stays right."""
    question, large = _question(world), b"x" * 4097
    question.found(ERA, b"raw", NONCES, ENTRY)
    question.found(ERA, large, NONCES, ENTRY)
    assert question.recall(ERA, large, NONCES) is None
    assert question.recall(ERA, b"raw", NONCES) is not None


async def test_what_is_recalled_is_a_hit_only_until_it_expires(world: World) -> None:
    """The same bytes again, and their time over: no hit, as they were when first judged."""
    await world.read(DAY)
    first = await world.hit(DAY)
    assert first is not None
    assert await world.hit(DAY) is first
    world.time += 10_000
    world.renew()
    assert await world.hit(DAY) is None
