"""GetAvailability out of memory: from the request's bytes to the response's.

A memo from one to the other saves all but the question whether memory still keeps the very
answer that the response was made of. So it needs no invalidation of its own, and what it
knows is bounded by its size alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from google.protobuf.message import DecodeError

from cache_service.cached_reads import CachedReads
from cache_service.coherence.outcome import Answer
from cache_service.edge.availability import plain_day, serialise
from cache_service.edge.availability_search import next_available
from cache_service.edge.freshness import cache_info
from cache_service.queries.availability import DaySlots, availability
from chairside.cache.v1 import cache_service_pb2
from service_kit.clock import Clock

__all__ = ["NearAvailability"]

_MADE = 4096
_LARGEST = 4096
"""Responses kept, and the bytes of the largest: 32 MiB with their requests at the very most."""


class _Made(NamedTuple):
    """A response without its cache_info, of which answer it was made, and until when it is so."""

    organization_id: int
    key: str
    answer: Answer
    body: bytes
    until: float


class NearAvailability:
    """Answers the commonest request, one barber's day with free slots, if memory keeps it.

    `time` gives seconds since the epoch, for ages; `clock` is the shop's time.
    """

    def __init__(self, reads: CachedReads, clock: Clock, time: Callable[[], float]) -> None:
        self._reads = reads
        self._clock = clock
        self._time = time
        self._made: dict[bytes, _Made] = {}

    def answer(self, raw: bytes) -> tuple[bytes, dict[str, object]] | None:
        """Return the response and what to note in the log; None: not that, or not in memory."""
        made = self._made.get(raw)
        if made is not None:
            kept = self._reads.near(made.organization_id, made.key)
            if kept is not made.answer or self._clock.now().timestamp() >= made.until:
                del self._made[raw]
                made = None
        if made is None:
            made = self._make(raw)
        if made is None:
            return None
        answer = made.answer
        self._reads.served(availability, made.organization_id, made.key, answer)
        info = cache_info(4, (answer,), self._time())
        return made.body + info, {"outcome": answer.outcome.value}

    def _make(self, raw: bytes) -> _Made | None:
        try:
            wanted = plain_day(cache_service_pb2.GetAvailabilityRequest.FromString(raw))
        except DecodeError:
            return None
        if wanted is None:
            return None
        key = availability.key(wanted)
        answer = self._reads.near(wanted.organization_id, key)
        if answer is None:
            return None
        now = self._clock.now()
        day = DaySlots.decode(answer.payload)
        slots = {wanted.barber_id: day.bookable(wanted.date, now)}
        following = next_available(slots)
        if not following:
            return None  # The next free one must be searched for.
        body = serialise(slots, following, day.time_zone)
        made = _Made(wanted.organization_id, key, answer, body, day.steady_until(now))
        if max(len(raw), len(body)) <= _LARGEST:
            self._made[raw] = made
            if len(self._made) > _MADE:
                del self._made[next(iter(self._made))]
        return made
