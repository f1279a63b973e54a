"""Whether a barber has room for a booking: the rules, then the appointments already there."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import func, select, update

from booking_service.domain.opening import Period, day_bounds
from booking_service.domain.slots import Refusal, ServiceTerms, check_booking
from booking_service.domain.statuses import Status
from booking_service.postgres import tables
from booking_service.use_cases.periods import as_text, minutes
from booking_service.use_cases.records import Barber, Organization
from booking_service.use_cases.transaction import Transaction
from service_kit.errors import FailedPrecondition

__all__ = [
    "HOLD_EXPIRED",
    "SLOT_TAKEN",
    "Place",
    "check_active",
    "check_rules",
    "make_room",
    "slot_taken",
]

HOLD_EXPIRED = "hold expired"
SLOT_TAKEN = "SLOT_TAKEN"

_MESSAGES = {
    Refusal.OUTSIDE_HOURS: "the barber is not open for all of that time",
    Refusal.LEAD_TIME: "that is sooner than a booking can be made",
    Refusal.BEYOND_HORIZON: "that is further ahead than can be booked",
}


@dataclass(frozen=True, slots=True)
class Place:
    """A time of a barber: `start` is the appointment's, buffers lie outside of it."""

    barber_id: int
    start: datetime
    terms: ServiceTerms

    @property
    def end(self) -> datetime:
        """When the appointment ends, exclusive, without buffers."""
        return self.start + self.terms.duration

    @property
    def blocked_from(self) -> datetime:
        """When its buffer before begins."""
        return self.start - self.terms.buffer_before

    @property
    def blocked_until(self) -> datetime:
        """When its buffer after ends, exclusive."""
        return self.end + self.terms.buffer_after


def check_active(barber: Barber) -> None:
    """Refuse a barber who takes no new bookings."""
    if not barber.active:
        reason = "BARBER_INACTIVE"
        message = f"barber {barber.id} takes no new bookings"
        raise FailedPrecondition(
            reason, message, subject=f"barbers/{barber.id}", barber_id=barber.id
        )


async def check_rules(tx: Transaction, shop: Organization, place: Place) -> None:
    """Check hours, lead time and horizon once more, from the tables and the process's clock."""
    zone = ZoneInfo(shop.time_zone)
    day = place.start.astimezone(zone).date()
    refusal = check_booking(
        place.start,
        place.terms,
        day,
        zone,
        await _periods(tx, place.barber_id, day),
        await _time_off(tx, place.barber_id, day, zone),
        tx.now,
        timedelta(minutes=shop.lead_time_minutes),
        shop.horizon_days,
    )
    if refusal is not None:
        raise FailedPrecondition(
            refusal.value,
            _MESSAGES[refusal],
            subject=f"barbers/{place.barber_id}",
            barber_id=place.barber_id,
            start_time=place.start.isoformat(),
            date=day,
        )


async def make_room(tx: Transaction, place: Place, *, besides: int = 0) -> None:
    """Refuse a time that is taken, and cancel the expired holds that stand in its way.

    Needs the barber's lock. `besides` is the appointment that is being moved. Asked
    before the exclusion constraint would answer, so that a lost race is no error in
    the database's log; the constraint stays the last word.
    """
    table = tables.appointments
    wanted = func.tsrange(_utc(place.blocked_from), _utc(place.blocked_until))
    in_the_way = (
        await tx.connection.execute(
            select(table.c.id, table.c.status, table.c.hold_until).where(
                table.c.barber_id == place.barber_id,
                table.c.blocked.op("&&", is_comparison=True)(wanted),
                table.c.status != Status.CANCELLED.value,
                table.c.id != besides,
            )
        )
    ).all()
    if any(row.status != Status.PENDING or row.hold_until > tx.now for row in in_the_way):
        raise slot_taken(barber_id=place.barber_id, start_time=place.start.isoformat())
    if in_the_way:
        await tx.connection.execute(
            update(table)
            .where(table.c.id.in_([row.id for row in in_the_way]))
            .values(
                status=Status.CANCELLED.value,
                cancellation_reason=HOLD_EXPIRED,
                hold_until=None,
                version=table.c.version + 1,
            )
        )


def slot_taken(**metadata: object) -> FailedPrecondition:
    """Say that a time is gone."""
    return FailedPrecondition(
        SLOT_TAKEN, "the time is not free (any more)", subject="slot", **metadata
    )


async def _periods(tx: Transaction, barber_id: int, day: date) -> Sequence[Period]:
    special = tables.special_hours
    replaced = await tx.connection.scalar(
        select(as_text(special.c.periods)).where(
            special.c.barber_id == barber_id, special.c.day == day
        )
    )
    if replaced is not None:
        return minutes(replaced)
    weekly = tables.weekly_hours
    found = await tx.connection.scalar(
        select(as_text(weekly.c.periods))
        .where(
            weekly.c.barber_id == barber_id,
            weekly.c.valid_from <= day,
            weekly.c.weekday == day.weekday(),
        )
        .order_by(weekly.c.valid_from.desc())
        .limit(1)
    )
    return () if found is None else minutes(found)


async def _time_off(
    tx: Transaction, barber_id: int, day: date, zone: ZoneInfo
) -> list[tuple[datetime, datetime]]:
    begins, ends = day_bounds(day, zone)
    table = tables.time_off
    rows = await tx.connection.execute(
        select(table.c.starts_at, table.c.ends_at).where(
            table.c.barber_id == barber_id, table.c.starts_at < ends, table.c.ends_at > begins
        )
    )
    return [(row.starts_at, row.ends_at) for row in rows]


def _utc(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(tzinfo=None)
