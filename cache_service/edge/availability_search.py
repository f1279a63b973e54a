"""Collect free slots over barbers and days, and search for the next one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from booking_service.domain.opening import day_bounds
from cache_service.cached_reads import CachedReads
from cache_service.coherence.consistency import Consistency
from cache_service.edge.composed import Part, end_of_day
from cache_service.queries.availability import (
    SLOT_BYTES,
    AvailabilityDay,
    DaySlots,
    availability,
)
from service_kit.errors import LARGEST_ANSWER, AnswerTooLarge
from service_kit.wire import bytes_field, varint_field

__all__ = ["DAY", "AvailabilitySearch", "next_available"]

DAY = timedelta(days=1)
_BATCH = 500
"""How many entries are read at once: what a caller asks for stays small beside the others'."""
_SEARCH_DAYS = 14
"""How many days of all barbers one round trip fetches when searching on."""
_ZONE_REACH = timedelta(days=2)
"""Between the farthest zones lie 26 hours: a viewer's day meets shop days up to two away."""
_FOREVER = 1 << 35


class AvailabilitySearch:
    """One request's slots: serialised, by barber, with the entries that they came from.

    `zone` is the viewer's, in which the request's days are meant; None: the shop's.
    """

    def __init__(
        self,
        reads: CachedReads,
        *,
        organization_id: int,
        service_id: int,
        barber_ids: Sequence[int],
        zone: ZoneInfo | None,
        now: datetime,
        consistency: Consistency,
    ) -> None:
        self._reads = reads
        self._organization_id = organization_id
        self._service_id = service_id
        self._zone = zone
        self._now = now
        self._consistency = consistency
        self.slots: dict[int, bytes] = dict.fromkeys(barber_ids, b"")
        self.parts: list[Part] = []
        self.until = math.inf
        """Until when (seconds since the epoch) these entries say what they say now."""
        self.time_zone = ""
        self._horizon_days = 0

    async def collect(self, first: date, end: date) -> bytes:
        """Collect the days [first, end) and return the serialised `next_available`, or b""."""
        if self._zone is None:
            self.slots = await self._days(first, end, None)
            following = next_available(self.slots) or await self._search(end, None)
        else:
            start, stop = _second(first, self._zone), _second(end, self._zone)
            self.slots = await self._days(first - _ZONE_REACH, end + _ZONE_REACH, (start, stop))
            following = next_available(self.slots) or await self._search(
                end - _ZONE_REACH, (stop, _FOREVER)
            )
        if self.slots:
            # Then another day can be booked, and is searched.
            self.until = min(self.until, end_of_day(self._now, ZoneInfo(self.time_zone)))
        return following

    async def _search(self, since: date, within: tuple[int, int] | None) -> bytes:
        """Search from a shop's day on to the booking horizon."""
        if not self.slots:
            return b""
        today = self._now.astimezone(ZoneInfo(self.time_zone)).date()
        last = today + timedelta(days=self._horizon_days + 1)
        since = max(since, today)
        while since < last:
            until = min(since + timedelta(days=_SEARCH_DAYS), last)
            if found := next_available(await self._days(since, until, within, most=None)):
                return found
            since = until
        return b""

    async def _days(
        self,
        first: date,
        end: date,
        within: tuple[int, int] | None,
        most: int | None = LARGEST_ANSWER,
    ) -> dict[int, bytes]:
        """Read shop days of all barbers, 500 at a time; return what can be booked now.

        AnswerTooLarge above `most` bytes; None where the caller does not answer with them.
        """
        slots = dict.fromkeys(self.slots, b"")
        arguments = [
            AvailabilityDay(
                self._organization_id, barber_id, self._service_id, first + timedelta(days=offset)
            )
            for barber_id in slots
            for offset in range((end - first).days)
        ]
        size = 0
        for at in range(0, len(arguments), _BATCH):
            batch = arguments[at : at + _BATCH]
            answers = await self._reads.read(availability, batch, self._consistency)
            for one, answer in zip(batch, answers, strict=True):
                day = DaySlots.decode(answer.payload)
                bookable = day.bookable(one.date, self._now, within)
                slots[one.barber_id] += bookable
                size += len(bookable)
                self.until = min(self.until, day.steady_until(self._now))
                self.time_zone, self._horizon_days = day.time_zone, day.horizon_days
            if most is not None and size > most:
                raise AnswerTooLarge  # and do not compute the rest
            self.parts += [Part(availability, *one) for one in zip(batch, answers, strict=True)]
        return slots


def next_available(slots: dict[int, bytes]) -> bytes:
    """Serialise the earliest slot as field 2 of the response, or return b"" if there is none."""
    # A start is a varint of five bytes behind five of tags; read backwards, such bytes
    # compare as their numbers do.
    firsts = [(wire[9:4:-1], barber_id) for barber_id, wire in slots.items() if wire]
    if not firsts:
        return b""
    barber_id = min(firsts)[1]
    slot = slots[barber_id][2:SLOT_BYTES]
    return bytes_field(2, varint_field(1, barber_id) + bytes_field(2, slot))


def _second(day: date, zone: ZoneInfo) -> int:
    return int(day_bounds(day, zone)[0].timestamp())
