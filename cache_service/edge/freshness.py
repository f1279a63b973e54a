"""Between `consistency` and `cache_info` of the messages and the protocol's words."""

from __future__ import annotations

from collections.abc import Iterable

from cache_service.coherence.consistency import Consistency
from cache_service.coherence.outcome import Answer, Outcome
from cache_service.edge.wire import bytes_field, varint_field
from chairside.cache.v1 import types_pb2
from service_kit.validation import Violations

__all__ = ["cache_info", "outcome_of", "read_consistency"]


def read_consistency(violations: Violations, message: types_pb2.Consistency) -> Consistency:
    """Read how fresh the answer must be; a negative max_staleness is a violation."""
    requirement = message.WhichOneof("requirement")
    if requirement == "max_staleness":
        span = message.max_staleness
        if span.seconds < 0 or span.nanos < 0:
            violations.add("consistency.max_staleness", "must not be negative")
    elif requirement == "at_least_as_fresh" or (
        requirement == "fully_consistent" and message.fully_consistent
    ):
        return Consistency.FULL
    return Consistency.DEFAULT


def outcome_of(answers: Iterable[Answer]) -> Outcome:
    """Return one outcome for a composed answer: the first part that was no hit tells."""
    return next((one.outcome for one in answers if one.outcome is not Outcome.HIT), Outcome.HIT)


def cache_info(number: int, answers: Iterable[Answer], now: float) -> bytes:
    """Serialise `cache_info` as that field of a response; `now` in seconds since the epoch."""
    hit = True
    filled_at = now
    for answer in answers:
        hit = hit and answer.outcome is Outcome.HIT
        filled_at = min(filled_at, answer.filled_at)
    source = types_pb2.SOURCE_REDIS if hit else types_pb2.SOURCE_DATABASE
    nanos = int((now - filled_at) * 1e9)
    age = varint_field(1, nanos // 1_000_000_000) + varint_field(2, nanos % 1_000_000_000)
    return bytes_field(number, varint_field(1, source) + bytes_field(2, age))
