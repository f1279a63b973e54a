"""One barber's day out of Redis: the commonest read that is not in memory.

Between one hit and the next mostly nothing has changed: so what a request asks for is read
once, and the response is made once of each payload. Only Redis says whether that is a hit.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from google.protobuf.message import DecodeError

from cache_service.cached_reads import CachedReads
from cache_service.coherence.outcome import Answer
from cache_service.edge.availability import serialise
from cache_service.edge.availability_search import next_available
from cache_service.edge.composed import Composed, Part
from cache_service.edge.kinds import Kind
from cache_service.edge.reads import Reads
from cache_service.queries.availability import AvailabilityDay, DaySlots, availability
from chairside.cache.v1 import cache_service_pb2
from service_kit.callers import Caller
from service_kit.calls import Context, annotate
from service_kit.clock import Clock
from service_kit.validation import FIRST_YEAR, LAST_YEAR
from service_kit.values import from_date
from service_kit.wire import bytes_field

__all__ = ["PlainDays"]

_ASKED = 4096
_LARGEST = 4096
"""Requests known, and the bytes of the largest response kept: about 40 MB at the very most."""


class _Asked:
    """What a request asks for, and the last response to it: of which payload, until when."""

    __slots__ = ("body", "hit", "payload", "until", "wanted")

    def __init__(
        self, wanted: AvailabilityDay, hit: Callable[[], Awaitable[Answer | None]]
    ) -> None:
        self.wanted = wanted
        self.hit = hit
        self.payload = b""
        self.body = b""
        self.until = 0.0


class PlainDays:
    """Answers GetAvailability of one barber's day with free slots, and nothing else, if it hits."""

    def __init__(self, cached: CachedReads, reads: Reads, kind: Kind, clock: Clock) -> None:
        self._cached = cached
        self._reads = reads
        self._kind = kind
        self._clock = clock
        self._asked: dict[bytes, _Asked] = {}

    async def hit(self, raw: bytes, context: Context, caller: Caller | None = None) -> bytes | None:
        """Answer a serialised request; None: not such a one, or no hit: the long way answers.

        None, too, for what the caller may not see.
        """
        asked = self._asked.get(raw) or self._ask(raw)
        if asked is None or (caller is not None and not caller.sees(asked.wanted.organization_id)):
            return None
        answer = await asked.hit()
        if answer is None:
            return None
        composed = self._compose(asked, answer)
        if composed is None:
            return None
        self._cached.served(availability, asked.wanted.organization_id, asked.wanted, answer)
        annotate(context, outcome=answer.outcome.value)
        return self._reads.finish(self._kind, bytes_field(self._kind.number, raw), composed)

    def _ask(self, raw: bytes) -> _Asked | None:
        try:
            wanted = _plain_day(cache_service_pb2.GetAvailabilityRequest.FromString(raw))
        except DecodeError:
            return None
        if wanted is None:
            return None
        asked = self._asked[raw] = _Asked(wanted, self._cached.asking(availability, wanted))
        if len(self._asked) > _ASKED:
            del self._asked[next(iter(self._asked))]
        return asked

    def _compose(self, asked: _Asked, answer: Answer) -> Composed | None:
        """Make the response, unless it is the last one; None: the next slot must be sought."""
        now, parts = self._clock.now(), [Part(availability, asked.wanted, answer)]
        if answer.payload == asked.payload and now.timestamp() < asked.until:
            return Composed(asked.body, parts, asked.until)
        day = DaySlots.decode(answer.payload)
        slots = {asked.wanted.barber_id: day.bookable(asked.wanted.date, now)}
        following = next_available(slots)
        if not following:
            return None
        composed = Composed(
            serialise(slots, following, day.time_zone), parts, day.steady_until(now)
        )
        if len(answer.payload) <= _LARGEST:
            asked.payload, asked.body, asked.until = answer.payload, composed.body, composed.until
        return composed


def _plain_day(request: cache_service_pb2.GetAvailabilityRequest) -> AvailabilityDay | None:
    """Read a request that asks for one barber's day and nothing else; None if it is not sound.

    What is wrong is for `_validated` to say: collecting that costs a tenth of a hit.
    """
    if (
        len(request.barber_ids) != 1
        or request.time_zone
        or request.HasField("consistency")
        or request.HasField("end_date")
    ):
        return None
    try:
        day = from_date(request.start_date)
    except (ValueError, OverflowError):
        return None
    organization_id, service_id = request.organization_id, request.service_id
    barber_id = request.barber_ids[0]
    if min(organization_id, service_id, barber_id) <= 0 or not FIRST_YEAR <= day.year <= LAST_YEAR:
        return None
    return AvailabilityDay(organization_id, barber_id, service_id, day)
