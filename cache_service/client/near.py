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

To parse a message costs several times all else of a hit. So the hits of one hundredth of a
second are given the same message, for reading only, whose age is true to that. Such a hit is
so cheap that a function's call is a tenth of it: the method of each read is made here, with
all that it needs at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, NamedTuple

from google.protobuf.message import Message

from cache_service.client.answered import Answered
from cache_service.client.reads import READS, Read
from cache_service.coherence.tagged import Tagged
from chairside.cache.v1 import types_pb2
from service_kit.wire import bytes_field, varint_field

__all__ = ["Asked", "Near"]

_STEP = 0.01
"""Seconds for which the hits of an answer are given one message."""
_PARSED_SHARE = 8
"""The part of the limit that is for parsed messages."""
_PARSED_TIMES, _PARSED_LEAST = 13, 600
"""A parsed message takes up to so many times its serialised bytes, and so many at least."""


class Asked(NamedTuple):
    """A read whose answer may enter: its request's bytes, as of when, and for how long.

    `sent_at` and `seconds` are of the client's clock; `marker` was taken before the call.
    """

    read: Read
    organization_id: int
    raw: bytes
    sent_at: float
    seconds: float
    marker: int


class _Answer(NamedTuple):
    """A response that is kept: its `body` is without cache_info."""

    body: bytes
    filled_at: float
    until: float


class Near:
    """Keeps answers to reads whose `max_staleness` is at least `lease`, in `limit` bytes; 0: none.

    `clock` gives seconds that only go forward, also while the machine is suspended.
    """

    def __init__(self, limit: int, *, lease: float, ttl: float, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._room = limit // _PARSED_SHARE
        self._kept: Tagged[bytes, _Answer] = Tagged(limit - self._room)
        self._ttl = ttl
        self._clock = clock
        self._fresh_until = float("-inf")
        self._process = ""
        # What was parsed in this hundredth of a second, by the read and its request's bytes.
        self._given: dict[str, dict[bytes, Answered]] = {field: {} for field in READS}
        self._given_until = float("-inf")
        self._left = 0
        self.lease = lease

    def __len__(self) -> int:
        return len(self._kept)

    def method(
        self, read: Read, ask: Callable[[Any, bytes, float | None], Coroutine[Any, Any, Any]]
    ) -> Callable[..., Coroutine[Any, Any, Any]]:
        """Make a method of `request` and `timeout`, which answers what was just given out here.

        Whatever else is for `ask`, which is given the request's bytes, too.
        """
        serialise, given, clock = read.serialise, self._given[read.field], self._clock

        def method(request: Message, timeout: float | None = None) -> Coroutine[Any, Any, Any]:
            raw = serialise(request)
            if clock() < self._given_until:
                try:
                    return given[raw]
                except KeyError:
                    pass
            return ask(request, raw, timeout)

        return method

    def get(self, read: Read, raw: bytes) -> Any:  # noqa: ANN401 - the read's own response
        """Return the answer to a request's bytes, for reading only; None: not here.

        Others may be given it by the method until the hundredth of a second is over.
        """
        now = self._clock()
        if now >= self._fresh_until:
            return None
        kept = self._kept.find(read.mark + raw)
        if kept is None or now >= kept.value.until:
            return None
        kept.used = True
        body, filled_at, until = kept.value
        answer = read.parse(body + _cache_info(read.cache_info, now - filled_at))
        if now >= self._given_until:
            self._take_back()
            self._given_until = min(now + _STEP, self._fresh_until)
            self._left = self._room
        size = _PARSED_LEAST + _PARSED_TIMES * len(body)
        if size <= self._left and self._given_until <= until:
            self._left -= size
            self._given[read.field][raw] = Answered(answer)
        return answer

    def _take_back(self) -> None:
        self._given_until = float("-inf")
        for given in self._given.values():
            given.clear()

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
        return Asked(read, organization_id, raw, self._clock(), seconds, marker)

    def put(self, asked: Asked, answer: Any, tags: Sequence[str], process: str) -> None:  # noqa: ANN401 - as above
        """Keep an answer of that process, unless it is flagged stale or may be old by now."""
        info = answer.cache_info
        if info.stale or not tags or not process or process != self._process:
            return
        body = type(answer)()
        body.CopyFrom(answer)
        body.ClearField("cache_info")
        filled_at = asked.sent_at - (info.age.seconds + info.age.nanos / 1e9)
        kept = _Answer(body.SerializeToString(), filled_at, asked.sent_at + asked.seconds)
        key = asked.read.mark + asked.raw
        self._given[asked.read.field].pop(asked.raw, None)
        self._kept.put(
            key,
            kept,
            marker=asked.marker,
            organization_id=asked.organization_id,
            tags=tuple(tags),
            size=len(key) + len(kept.body),
        )

    def told(self, organization_id: int, tags: Sequence[str]) -> None:
        """Forget all that depends on the tags, and refuse what is on its way.

        What had to go for others may be given out for the rest of its hundredth of a second.
        """
        before = len(self._kept)
        self._kept.drop(organization_id, tags)
        if len(self._kept) < before:
            self._take_back()

    def watched(self, process: str, until: float) -> None:
        """Take note that this process has told of everything acknowledged before `until`."""
        if process != self._process:
            self.forget()
            self._process = process
        self._fresh_until = until + self.lease

    def forget(self) -> None:
        """Forget everything, and refuse what is on its way."""
        self._kept.forget()
        self._take_back()

    def lost(self) -> None:
        """Forget everything, for nobody tells what changes any more."""
        self.forget()
        self._process = ""
        self._fresh_until = float("-inf")


def _cache_info(number: int, age: float) -> bytes:
    """Serialise that field of a response; the age is in seconds."""
    seconds, nanos = divmod(int(age * 1e9), 1_000_000_000)
    span = varint_field(1, seconds) + varint_field(2, nanos)
    return bytes_field(number, varint_field(1, types_pb2.SOURCE_NEAR) + bytes_field(2, span))
