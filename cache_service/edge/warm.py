"""Warm: fill the availability of the days ahead before the first reader asks."""

from __future__ import annotations

from datetime import timedelta

from cache_service.cached_reads import CachedReads
from cache_service.coherence.outcome import Outcome
from cache_service.database import Primary
from cache_service.edge.availability import MAX_BARBERS
from cache_service.edge.declared import DeclaredReads
from cache_service.queries.availability import AvailabilityDay, availability
from cache_service.queries.roster import Roster, RosterArguments, roster
from chairside.cache.v1 import cache_service_pb2
from service_kit.calls import Context
from service_kit.clock import Clock
from service_kit.errors import FailedPrecondition, NotFound
from service_kit.validation import Violations

__all__ = ["Warm"]

MAX_DAYS = 90
DEFAULT_DAYS = 7


class Warm:
    """Answers Warm: every service that each barber offers, one barber's service a load."""

    def __init__(
        self, reads: CachedReads, declared: DeclaredReads, primary: Primary, clock: Clock
    ) -> None:
        self._reads = reads
        self._declared = declared
        self._primary = primary
        self._clock = clock

    async def warm(
        self, request: cache_service_pb2.WarmRequest, _context: Context
    ) -> cache_service_pb2.WarmResponse:
        """Fill what is not fresh; NotFound for an unknown organization or barber."""
        violations = Violations()
        organization_id = violations.id("organization_id", request.organization_id)
        wanted = violations.ids("barber_ids", request.barber_ids, maximum=MAX_BARBERS)
        if not 0 <= request.days_ahead <= MAX_DAYS:
            violations.add("days_ahead", f"must be 0 to {MAX_DAYS}")
        violations.raise_if_any()
        shop, _ = await self._declared.shop(organization_id)
        today = shop.today(self._clock.now())
        (answer,) = await self._reads.read(roster, [RosterArguments(organization_id)])
        offers = [
            (barber_id, service_id)
            for service_id, barbers in Roster.of(answer.payload).barbers_by_service.items()
            for barber_id in barbers
            if not wanted or barber_id in wanted
        ]
        known = {barber_id for barber_id, _ in offers}
        await self._check(organization_id, [one for one in wanted if one not in known])
        filled = 0
        for barber_id, service_id in offers:
            days = [
                AvailabilityDay(
                    organization_id, barber_id, service_id, today + timedelta(days=offset)
                )
                for offset in range(request.days_ahead or DEFAULT_DAYS)
            ]
            try:
                answers = await self._reads.read(availability, days)
            except (FailedPrecondition, NotFound):
                continue  # It left the roster a moment ago: nothing to warm.
            filled += sum(one.outcome is Outcome.MISS for one in answers)
        return cache_service_pb2.WarmResponse(entries_filled=filled)

    async def _check(self, organization_id: int, barber_ids: list[int]) -> None:
        """Raise NotFound for a barber that is unknown; one without offers is just empty."""
        if barber_ids:
            known = set(await self._primary.barber_ids(organization_id))
            for barber_id in barber_ids:
                if barber_id not in known:
                    raise NotFound("barber", barber_id)
