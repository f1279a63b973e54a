"""The near cache: answers that the client keeps itself, so that a hit costs no call.

What it promises: an answer that it serves was, at some moment within the last `lease`
seconds, not older than anything acknowledged before that moment. It is the memory of a
cache process at one remove:

- An answer may enter only if none of its tags was told since its call was sent, since what
  is told may overtake the reply.
- Only if it is of the very process that is watched. Another one may still answer from its
  memory what this one dropped and told long ago, until the change is acknowledged; nobody
  would tell of it again. (On one connection both are of one process, however many share
  its port.)
- It is served only while the watched stream has told of everything acknowledged up to
  `lease` seconds ago. A stream that is lost, or says that anything may be old, empties all.

The passing of time changes answers too, and nobody tells of that: a slot's lead time
passes, a new day begins. The service cuts that at each reading; here it may be late by as
long as an answer is kept, which is therefore bounded by the read's own `max_staleness` and
by `ttl`, whichever is shorter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from cache_service.client.reads import Read
from cache_service.coherence.tagged import Tagged
from chairside.cache.v1 import types_pb2
from service_kit.wire import bytes_field, varint_field

__all__ = ["Asked", "Near"]

_AGE_STEPS = 100
"""Of a second: hits of the same hundredth tell the same age, which costs as much as the rest."""


class Asked(NamedTuple):
    """A read whose answer may enter: what it is kept under, as of when, and for how long.

    `sent_at` and `seconds` are of the client's clock; `marker` was taken before the call.
    """

    organization_id: int
    key: bytes
    sent_at: float
    seconds: float
    marker: int


@dataclass(slots=True)
class _Kept:
    """A response: `body` is without cache_info, and `whole` with that of an age in steps."""

    body: bytes
    filled_at: float
    until: float
    age: int = -1
    whole: bytes = b""


class Near:
    """Keeps answers to reads whose `max_staleness` is at least `lease`, in `limit` bytes; 0: none.

    `clock` gives seconds that only go forward, also while the machine is suspended.
    """

    def __init__(self, limit: int, *, lease: float, ttl: float, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._kept: Tagged[bytes, _Kept] = Tagged(limit)
        self._ttl = ttl
        self._clock = clock
        self._fresh_until = float("-inf")
        self._process = ""
        self.lease = lease

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, read: Read, raw: bytes) -> Any:  # noqa: ANN401 - the read's own response
        """Return the answer to a request's bytes, a message of the caller's own; None: not here."""
        kept = self._kept.get(read.mark + raw)
        if kept is None:
            return None
        now = self._clock()
        if now >= self._fresh_until or now >= kept.until:
            return None
        age = int((now - kept.filled_at) * _AGE_STEPS)
        if age != kept.age:
            kept.age, kept.whole = age, kept.body + _cache_info(read.cache_info, age)
        return read.parse(kept.whole)

    def allows(self, consistency: types_pb2.Consistency) -> float:
        """Return for how many seconds an answer to such a read may be kept; 0: not at all."""
        span = consistency.max_staleness
        seconds = span.seconds + span.nanos / 1e9
        return min(seconds, self._ttl) if self._limit and seconds >= self.lease else 0.0

    def asks(self, read: Read, organization_id: int, raw: bytes, seconds: float) -> Asked | None:
        """Take note that a read is about to be sent; None: its answer cannot be kept now."""
        if not self._process:
            return None
        marker = self._kept.marker()
        return Asked(organization_id, read.mark + raw, self._clock(), seconds, marker)

    def put(self, asked: Asked, answer: Any, tags: Sequence[str], process: str) -> None:  # noqa: ANN401 - as above
        """Keep an answer of that process, unless it is flagged stale or may be old by now."""
        info = answer.cache_info
        if info.stale or not tags or not process or process != self._process:
            return
        body = type(answer)()
        body.CopyFrom(answer)
        body.ClearField("cache_info")
        filled_at = asked.sent_at - (info.age.seconds + info.age.nanos / 1e9)
        kept = _Kept(body.SerializeToString(), filled_at, asked.sent_at + asked.seconds)
        self._kept.put(
            asked.key,
            kept,
            marker=asked.marker,
            organization_id=asked.organization_id,
            tags=tuple(tags),
            size=len(asked.key) + len(kept.body),
        )

    def told(self, organization_id: int, tags: Sequence[str]) -> None:
        """Forget all that depends on the tags, and refuse what is on its way."""
        self._kept.drop(organization_id, tags)

    def watched(self, process: str, until: float) -> None:
        """Take note that this process has told of everything acknowledged before `until`."""
        if process != self._process:
            self.forget()
            self._process = process
        self._fresh_until = until + self.lease

    def forget(self) -> None:
        """Forget everything, and refuse what is on its way."""
        self._kept.forget()

    def lost(self) -> None:
        """Forget everything, for nobody tells what changes any more."""
        self.forget()
        self._process = ""
        self._fresh_until = float("-inf")


def _cache_info(number: int, age: int) -> bytes:
    """Serialise that field of a response; the age is in steps."""
    seconds, steps = divmod(age, _AGE_STEPS)
    span = varint_field(1, seconds) + varint_field(2, steps * (1_000_000_000 // _AGE_STEPS))
    return bytes_field(number, varint_field(1, types_pb2.SOURCE_NEAR) + bytes_field(2, span))
