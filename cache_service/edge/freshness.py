"""Between `consistency` and `cache_info` of the messages and the protocol's words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache, lru_cache, partial

from cache_service.coherence.consistency import Consistency
from cache_service.coherence.outcome import Answer, Outcome
from cache_service.coherence.tokens import parse_token
from chairside.cache.v1 import types_pb2
from service_kit.validation import Violations
from service_kit.wire import bytes_field, varint_field

__all__ = [
    "NOTES",
    "cache_info",
    "cached_heads",
    "cached_info",
    "outcome_of",
    "read_consistency",
    "serialised_age",
    "source_of",
]

NOTES = {outcome: {"outcome": outcome.value} for outcome in Outcome}
"""For the line in the access log of a call that was answered in one way."""

_SOURCES = {
    Outcome.NEAR: types_pb2.SOURCE_NEAR,
    Outcome.HIT: types_pb2.SOURCE_REDIS,
    Outcome.STALE: types_pb2.SOURCE_REDIS,
}
_CACHED = {outcome: varint_field(1, source) for outcome, source in _SOURCES.items()}
_DISTANCE = {outcome: distance for distance, outcome in enumerate(Outcome)}
"""Outcomes are declared from the nearest to the furthest."""
_MILLISECONDS = [varint_field(2, millisecond * 1_000_000) for millisecond in range(1000)]
"""`nanos` of an age, serialised: a varint of five bytes costs as much as all the rest."""
_LONGEST_AGE = 17
"""Bytes of a serialised age: two fields, varints of ten and of five bytes."""
_seconds = lru_cache(maxsize=4096)(partial(varint_field, 1))
"""`seconds` of an age, serialised; of an hour and more, so that most are remembered."""


def read_consistency(
    violations: Violations, message: types_pb2.Consistency, unset: Consistency
) -> Consistency:
    """Read how fresh the answer must be; a negative max_staleness is a violation.

    `unset` is what holds for a read that does not say.
    """
    requirement = message.WhichOneof("requirement")
    if requirement == "max_staleness":
        span = message.max_staleness
        if span.seconds < 0 or span.nanos < 0:
            violations.add("consistency.max_staleness", "must not be negative")
        return Consistency(max_staleness=span.seconds + span.nanos / 1e9)
    if requirement == "at_least_as_fresh":
        token = parse_token(message.at_least_as_fresh)
        return Consistency.FULL if token is None else Consistency(token=token)
    if requirement == "fully_consistent" and message.fully_consistent:
        return Consistency.FULL
    return unset


def outcome_of(answers: Iterable[Answer]) -> Outcome:
    """Return one outcome for a composed answer: the part that was furthest from memory."""
    return max((one.outcome for one in answers), key=_DISTANCE.__getitem__, default=Outcome.NEAR)


def source_of(outcome: Outcome) -> types_pb2.Source.ValueType:
    """Return where an answer that was come by in this way is from."""
    return _SOURCES.get(outcome, types_pb2.SOURCE_DATABASE)


def cache_info(number: int, answers: Iterable[Answer], now: float) -> bytes:
    """Serialise `cache_info` as that field of a response; `now` in seconds since the epoch.

    Its age is in whole milliseconds.
    """
    furthest = Outcome.NEAR
    stale = False
    filled_at = now
    for answer in answers:
        outcome = answer.outcome
        if _DISTANCE[outcome] > _DISTANCE[furthest]:
            furthest = outcome
        stale = stale or outcome is Outcome.STALE
        if outcome.cached:
            filled_at = min(filled_at, answer.filled_at)
    info = varint_field(1, source_of(furthest)) + bytes_field(2, serialised_age(filled_at, now))
    return bytes_field(number, info + varint_field(3, stale))


def cached_info(number: int, outcome: Outcome, filled_at: float, now: float) -> bytes:
    """Serialise the `cache_info` of a hit, near or not, its oldest part filled then."""
    age = serialised_age(filled_at, now)
    return cached_heads(number, outcome)[len(age)] + age


@cache
def cached_heads(number: int, outcome: Outcome) -> Sequence[bytes]:
    """Serialise what stands before the age in the `cache_info` of a hit, by how long that is."""
    source = _CACHED[outcome]
    return [
        b"%c%c%b\x12%c" % (number << 3 | 2, len(source) + 2 + size, source, size)
        for size in range(_LONGEST_AGE + 1)
    ]


def serialised_age(filled_at: float, now: float) -> bytes:
    """Serialise the age of what was filled then, in whole milliseconds."""
    # A clock may have been set back since.
    seconds, milliseconds = (
        divmod(int((now - filled_at) * 1000), 1000) if now > filled_at else (0, 0)
    )
    return _seconds(seconds) + _MILLISECONDS[milliseconds]
