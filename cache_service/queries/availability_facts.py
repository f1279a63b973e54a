"""The facts that decide free slots, read with one statement."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from booking_service.domain.intervals import Interval
from booking_service.domain.opening import Period, day_bounds
from booking_service.domain.slots import Blocked, ServiceTerms
from service_kit.errors import FailedPrecondition, NotFound

__all__ = ["Facts", "load_facts"]

_REACH = timedelta(hours=2)
"""The largest buffer: how far an appointment of one day can reach into the next."""

_SQL = text("""
    WITH shop AS (
        SELECT id, time_zone, slot_interval_minutes, lead_time_minutes, horizon_days,
               (CAST(:first AS date) - 1)::timestamp AT TIME ZONE time_zone AS since,
               (CAST(:last AS date) + 2)::timestamp AT TIME ZONE time_zone AS until
        FROM organizations WHERE id = :organization_id
    )
    SELECT shop.time_zone, shop.slot_interval_minutes, shop.lead_time_minutes, shop.horizon_days,
        (SELECT json_agg(json_build_array(b.id, b.active)) FROM barbers b
         WHERE b.organization_id = shop.id AND b.id = ANY(:barber_ids))::text AS barbers,
        (SELECT json_agg(json_build_array(s.id, s.duration_minutes, s.buffer_before_minutes,
                                          s.buffer_after_minutes)) FROM services s
         WHERE s.organization_id = shop.id AND s.id = ANY(:service_ids)
           AND NOT s.deleted)::text AS services,
        (SELECT json_agg(json_build_array(o.barber_id, o.service_id, o.duration_minutes))
         FROM barber_services o
         WHERE o.barber_id = ANY(:barber_ids) AND o.service_id = ANY(:service_ids)
           AND o.organization_id = shop.id AND o.offered)::text AS offers,
        (SELECT json_agg(json_build_array(w.barber_id, w.valid_from, w.weekday,
            (SELECT json_agg(json_build_array(lower(p), upper(p)) ORDER BY p)
             FROM unnest(w.periods) p)) ORDER BY w.valid_from)
         FROM weekly_hours w
         WHERE w.barber_id = ANY(:barber_ids) AND w.organization_id = shop.id
           AND w.valid_from <= :last)::text AS weeks,
        (SELECT json_agg(json_build_array(h.barber_id, h.day,
            (SELECT json_agg(json_build_array(lower(p), upper(p)) ORDER BY p)
             FROM unnest(h.periods) p)))
         FROM special_hours h
         WHERE h.barber_id = ANY(:barber_ids) AND h.organization_id = shop.id
           AND h.day BETWEEN :first AND :last)::text AS special,
        (SELECT json_agg(json_build_array(t.barber_id, extract(epoch FROM t.starts_at),
                                          extract(epoch FROM t.ends_at)))
         FROM time_off t
         WHERE t.barber_id = ANY(:barber_ids) AND t.organization_id = shop.id
           AND t.starts_at < shop.until AND t.ends_at > shop.since)::text AS time_off,
        (SELECT json_agg(json_build_array(a.barber_id, extract(epoch FROM a.blocked_from),
                            extract(epoch FROM a.blocked_until), extract(epoch FROM a.hold_until))
                         ORDER BY a.blocked_from)
         FROM appointments a
         WHERE a.barber_id = ANY(:barber_ids) AND a.organization_id = shop.id
           AND a.status <> 'cancelled'
           AND a.blocked && tsrange(shop.since AT TIME ZONE 'UTC',
                                    shop.until AT TIME ZONE 'UTC'))::text AS blocked
    FROM shop
""")


@dataclass(frozen=True, slots=True)
class Facts:
    """Hours, time off, terms and appointments of the barbers asked for.

    Appointments are sorted by the beginning of their blocked interval.
    """

    zone: ZoneInfo
    slot_interval: timedelta
    lead_minutes: int
    horizon_days: int
    barbers: dict[int, bool]
    services: dict[int, ServiceTerms]
    offers: dict[tuple[int, int], timedelta | None]
    weeks: dict[tuple[int, int], list[tuple[date, list[Period]]]]
    special: dict[tuple[int, date], list[Period]]
    time_off: dict[int, list[Interval]]
    blocked: dict[int, list[Blocked]]

    def terms(self, barber_id: int, service_id: int) -> ServiceTerms:
        """Return what the service takes of this barber's time.

        Raises NotFound, or FailedPrecondition if the barber does not do it.
        """
        if barber_id not in self.barbers:
            raise NotFound("barber", barber_id)
        if service_id not in self.services:
            raise NotFound("service", service_id)
        if not self.barbers[barber_id]:
            raise FailedPrecondition(
                "BARBER_INACTIVE", "the barber takes no bookings", barber_id=barber_id
            )
        if (barber_id, service_id) not in self.offers:
            raise FailedPrecondition(
                "SERVICE_NOT_OFFERED",
                "the barber does not offer the service",
                barber_id=barber_id,
                service_id=service_id,
            )
        terms = self.services[service_id]
        own = self.offers[barber_id, service_id]
        return ServiceTerms(own or terms.duration, terms.buffer_before, terms.buffer_after)

    def periods(self, barber_id: int, day: date) -> Sequence[Period]:
        """Return the opening periods of a local day: special hours, else the weekly ones."""
        special = self.special.get((barber_id, day))
        if special is not None:
            return special
        weeks = self.weeks.get((barber_id, day.weekday()), [])
        at = bisect_right(weeks, day, key=lambda week: week[0])
        return weeks[at - 1][1] if at else ()

    def blocked_near(self, barber_id: int, day: date) -> Sequence[Blocked]:
        """Return the appointments that a slot of that day, buffers included, could meet."""
        blocked = self.blocked.get(barber_id, [])
        start, end = day_bounds(day, self.zone)
        last = bisect_left(blocked, end + _REACH, key=lambda one: one.start)
        return [one for one in blocked[:last] if one.end > start - _REACH]


async def load_facts(
    connection: AsyncConnection,
    organization_id: int,
    *,
    barber_ids: Sequence[int],
    service_ids: Sequence[int],
    first: date,
    last: date,
) -> Facts:
    """Read the facts of barbers and services for the local days [first, last].

    Raises NotFound if the organization is not known; what else is not known is just absent.
    """
    row = (
        await connection.execute(
            _SQL,
            {
                "organization_id": organization_id,
                "barber_ids": barber_ids,
                "service_ids": service_ids,
                "first": first,
                "last": last,
            },
        )
    ).one_or_none()
    if row is None:
        raise NotFound("organization", organization_id)
    weeks: dict[tuple[int, int], list[tuple[date, list[Period]]]] = defaultdict(list)
    for barber_id, valid_from, weekday, periods in _rows(row.weeks):
        weeks[barber_id, weekday].append((date.fromisoformat(valid_from), _periods(periods)))
    time_off: dict[int, list[Interval]] = defaultdict(list)
    for barber_id, start, end in _rows(row.time_off):
        time_off[barber_id].append((_instant(start), _instant(end)))
    blocked: dict[int, list[Blocked]] = defaultdict(list)
    for barber_id, start, end, hold_until in _rows(row.blocked):
        hold = None if hold_until is None else _instant(hold_until)
        blocked[barber_id].append(Blocked(_instant(start), _instant(end), hold))
    return Facts(
        zone=ZoneInfo(row.time_zone),
        slot_interval=timedelta(minutes=row.slot_interval_minutes),
        lead_minutes=row.lead_time_minutes,
        horizon_days=row.horizon_days,
        barbers=dict(_rows(row.barbers)),
        services={
            service_id: ServiceTerms(
                timedelta(minutes=duration), timedelta(minutes=before), timedelta(minutes=after)
            )
            for service_id, duration, before, after in _rows(row.services)
        },
        offers={
            (barber_id, service_id): None if own is None else timedelta(minutes=own)
            for barber_id, service_id, own in _rows(row.offers)
        },
        weeks=weeks,
        special={
            (barber_id, date.fromisoformat(day)): _periods(periods)
            for barber_id, day, periods in _rows(row.special)
        },
        time_off=time_off,
        blocked=blocked,
    )


def _rows(aggregated: str | None) -> list[Any]:
    return [] if aggregated is None else json.loads(aggregated)


def _periods(periods: list[list[int]] | None) -> list[Period]:
    return [(opens, closes) for opens, closes in periods or ()]


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
