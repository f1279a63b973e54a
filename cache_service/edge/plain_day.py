"""One barber's day out of Redis: the commonest read that is not in memory.

Between one hit and the next mostly nothing has changed: so what a request asks for is read
once, and the response is made once of each answer. Only Redis says whether that is a hit.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

from google.protobuf.message import DecodeError

from cache_service.cached_reads import CachedReads
from cache_service.coherence.outcome import Answer
from cache_service.edge.availability import serialise
from cache_service.edge.availability_search import next_available
from cache_service.edge.composed import Composed, Part
from cache_service.edge.freshness import NOTES, cached_info
from cache_service.edge.kinds import Kind
from cache_service.edge.near import NearResponses
from cache_service.queries.availability import AvailabilityDay, DaySlots, availability
from chairside.cache.v1 import cache_service_pb2
from service_kit.callers import Caller
from service_kit.clock import Clock
from service_kit.validation import FIRST_YEAR, LAST_YEAR
from service_kit.values import from_date
from service_kit.wire import bytes_field

__all__ = ["PlainDays"]

_ASKED = 4096
_LARGEST = 4096
"""Requests known, and the bytes of the largest response kept: about 60 MB at the very most, with
the entries that are remembered for them."""


class _Asked:
    """What a request asks for, and the last response to it: of which answer, until when."""

    __slots__ = ("answer", "body", "hit", "until", "wanted")

    def __init__(
        self, wanted: AvailabilityDay, hit: Callable[[], Awaitable[Answer | None]]
    ) -> None:
        self.wanted = wanted
        self.hit = hit
        self.answer: Answer | None = None
        self.body = b""
        self.until = 0.0


class PlainDays:
    """Answers GetAvailability of one barber's day with free slots, and nothing else, if it hits."""

    def __init__(
        self,
        cached: CachedReads,
        near: NearResponses,
        kind: Kind,
        clock: Clock,
        time: Callable[[], float],
    ) -> None:
        self._cached = cached
        self._near = near
        self._kind = kind
        self._clock = clock
        self._time = time
        self._asked: dict[bytes, _Asked] = {}

    async def hit(
        self, raw: bytes, caller: Caller | None = None
    ) -> tuple[bytes, Mapping[str, object]] | None:
        """Answer a serialised request, with notes for the log.

        None: it is not such a one, or no hit, or not for the caller: the long way answers.
        """
        asked = self._asked.get(raw) or self._ask(raw)
        if asked is None or (caller is not None and not caller.sees(asked.wanted.organization_id)):
            return None
        answer = await asked.hit()
        if answer is None:
            return None
        now = self._clock.now()
        if answer is asked.answer and now.timestamp() < asked.until:
            body, until = asked.body, asked.until
        else:
            composed = self._compose(asked, answer, now)
            if composed is None:
                return None
            body, until = composed
        wanted, kind, near = asked.wanted, self._kind, self._near
        self._cached.served(availability, wanted.organization_id, wanted, answer)
        if near.limit:
            parts = [Part(availability, wanted, answer)]
            near.keep(kind, bytes_field(kind.number, raw), Composed(body, parts, until))
        info = cached_info(kind.cache_info, answer.outcome, answer.filled_at, self._time())
        return body + info, NOTES[answer.outcome]

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

    def _compose(self, asked: _Asked, answer: Answer, now: datetime) -> tuple[bytes, float] | None:
        """Make the response, and say until when; None: the next slot must be sought."""
        day = DaySlots.decode(answer.payload)
        slots = {asked.wanted.barber_id: day.bookable(asked.wanted.date, now)}
        following = next_available(slots)
        if not following:
            return None
        body, until = serialise(slots, following, day.time_zone), day.steady_until(now)
        if len(answer.payload) <= _LARGEST:
            asked.answer, asked.body, asked.until = answer, body, until
        return body, until


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
