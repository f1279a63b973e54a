"""GetAvailability: one entry for each barber and day, put together without parsing them."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from booking_service.domain.opening import local_day
from cache_service.cached_reads import CachedReads
from cache_service.coherence.consistency import Consistency
from cache_service.edge.availability_search import DAY, AvailabilitySearch
from cache_service.edge.composed import Composed, Part, end_of_day
from cache_service.edge.declared import DeclaredReads
from cache_service.edge.freshness import read_consistency
from cache_service.queries.roster import Roster, RosterArguments, roster
from chairside.cache.v1 import cache_service_pb2
from service_kit.clock import Clock
from service_kit.errors import AnswerTooLarge, FailedPrecondition, NotFound
from service_kit.validation import Violations
from service_kit.wire import bytes_field, varint_field

__all__ = ["MAX_BARBERS", "Availability", "serialise"]

MAX_DAYS = 62
MAX_BARBERS = 50


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A validated request; `barber_ids` empty means those on the roster."""

    organization_id: int
    service_id: int
    barber_ids: tuple[int, ...]
    first: date | None
    end: date | None
    zone: ZoneInfo | None
    consistency: Consistency


class Availability:
    """Answers GetAvailability."""

    def __init__(self, reads: CachedReads, declared: DeclaredReads, clock: Clock) -> None:
        self._reads = reads
        self._declared = declared
        self._clock = clock

    async def compose(self, request: cache_service_pb2.GetAvailabilityRequest) -> Composed:
        """Answer any request; raises as the proto says."""
        wanted = _validated(request, self._reads.unset)
        try:
            return await self._compose(wanted, wanted.consistency)
        except AnswerTooLarge:
            raise
        except (FailedPrecondition, NotFound):
            if wanted.barber_ids:
                raise
            # Someone left the roster between the reading of it and of them: read both anew.
            return await self._compose(wanted, Consistency.FULL)

    async def _compose(self, wanted: _Wanted, consistency: Consistency) -> Composed:
        now, until = self._clock.now(), math.inf
        if wanted.barber_ids or wanted.first is not None:
            barber_ids, roster_part = await self._barbers(wanted, consistency)
            first, shop_part = await self._first_day(wanted, now, consistency)
        else:  # Both may read: together, so that it is one round trip.
            (barber_ids, roster_part), (first, shop_part) = await asyncio.gather(
                self._barbers(wanted, consistency), self._first_day(wanted, now, consistency)
            )
        parts = [*roster_part, *shop_part]
        search = AvailabilitySearch(
            self._reads,
            organization_id=wanted.organization_id,
            service_id=wanted.service_id,
            barber_ids=barber_ids,
            zone=wanted.zone,
            now=now,
            consistency=consistency,
        )
        following = await search.collect(first, wanted.end or first + DAY)
        parts += search.parts
        time_zone = wanted.zone.key if wanted.zone else search.time_zone
        if not time_zone:  # Nobody offers the service, so no entry told it.
            shop, part = await self._declared.shop(wanted.organization_id, consistency)
            time_zone = shop.time_zone
            parts.append(part)
        if wanted.first is None:
            until = end_of_day(now, ZoneInfo(time_zone))
        body = serialise(search.slots, following, time_zone)
        return Composed(body, parts, min(until, search.until))

    async def _barbers(
        self, wanted: _Wanted, consistency: Consistency
    ) -> tuple[tuple[int, ...], list[Part]]:
        """Return the barbers named, or those on the roster, and what told it."""
        if wanted.barber_ids:
            return wanted.barber_ids, []
        arguments = RosterArguments(wanted.organization_id)
        (answer,) = await self._reads.read(roster, [arguments], consistency)
        offering = Roster.of(answer.payload).barbers_by_service.get(wanted.service_id)
        if offering is None:
            raise NotFound("service", wanted.service_id)
        return tuple(offering), [Part(roster, arguments, answer)]

    async def _first_day(
        self, wanted: _Wanted, now: datetime, consistency: Consistency
    ) -> tuple[date, list[Part]]:
        """Return the first day asked for, and what told it."""
        if wanted.first is not None:
            return wanted.first, []
        if wanted.zone is not None:
            return local_day(now, wanted.zone), []
        shop, part = await self._declared.shop(wanted.organization_id, consistency)
        return shop.today(now), [part]


def serialise(slots: dict[int, bytes], following: bytes, time_zone: str) -> bytes:
    """Put the response together, but for its cache_info."""
    return b"".join(
        (
            *(bytes_field(1, varint_field(1, barber) + wire) for barber, wire in slots.items()),
            following,
            bytes_field(3, time_zone.encode()),
        )
    )


def _validated(request: cache_service_pb2.GetAvailabilityRequest, unset: Consistency) -> _Wanted:
    violations = Violations()
    organization_id = violations.id("organization_id", request.organization_id)
    service_id = violations.id("service_id", request.service_id)
    barber_ids = violations.ids("barber_ids", request.barber_ids, maximum=MAX_BARBERS)
    first = violations.date("start_date", request.start_date, has=request.HasField("start_date"))
    end = violations.date("end_date", request.end_date, has=request.HasField("end_date"))
    if end is not None and not request.HasField("start_date"):
        violations.add("end_date", "needs a start_date")
    elif first is not None and end is not None and not 0 < (end - first).days <= MAX_DAYS:
        violations.add("end_date", f"must be 1 to {MAX_DAYS} days after start_date")
    zone = violations.time_zone("time_zone", request.time_zone)
    consistency = read_consistency(violations, request.consistency, unset)
    violations.raise_if_any()
    return _Wanted(
        organization_id,
        service_id,
        tuple(barber_ids),
        first,
        end,
        ZoneInfo(zone) if zone else None,
        consistency,
    )
