"""When barbers work."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import delete
from sqlalchemy import insert as plain_insert
from sqlalchemy.dialects.postgresql import insert

from booking_service.domain.opening import Period, local_day
from booking_service.postgres import tables
from booking_service.use_cases import lookups
from booking_service.use_cases.periods import as_text, minutes, multirange
from booking_service.use_cases.records import SpecialHours, TimeOff, WeeklyHours, maybe, only, shape
from booking_service.use_cases.transaction import Transaction
from service_kit.errors import NotFound

__all__ = [
    "Day",
    "NewTimeOff",
    "Week",
    "add_time_off",
    "remove_special_hours",
    "remove_time_off",
    "set_special_hours",
    "set_weekly_hours",
]

_WEEKDAYS = range(7)


@dataclass(frozen=True, slots=True)
class Week:
    """The open weekdays (0: Monday) of a barber from a local day on; None: today."""

    organization_id: int
    barber_id: int
    valid_from: date | None
    weekdays: Mapping[int, Sequence[Period]]


@dataclass(frozen=True, slots=True)
class NewTimeOff:
    """A time in which a barber shall not work."""

    organization_id: int
    barber_id: int
    start: datetime
    end: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Day:
    """The periods of one local day of a barber; none: closed."""

    organization_id: int
    barber_id: int
    day: date
    periods: Sequence[Period]


async def set_weekly_hours(tx: Transaction, wanted: Week) -> WeeklyHours:
    """Set all seven weekdays at once, replacing a week that began on the same day."""
    shop = await lookups.organization(tx, wanted.organization_id)
    await lookups.barber(tx, shop, wanted.barber_id)
    # Bookings of the barber are decided before this week or after it, never within.
    await lookups.lock_barbers(tx, wanted.barber_id)
    valid_from = wanted.valid_from or local_day(tx.now, ZoneInfo(shop.time_zone))
    table = tables.weekly_hours
    week = tuple(tuple(wanted.weekdays.get(weekday, ())) for weekday in _WEEKDAYS)
    statement = insert(table).values(
        [
            {
                "organization_id": shop.id,
                "barber_id": wanted.barber_id,
                "valid_from": valid_from,
                "weekday": weekday,
                "periods": multirange(week[weekday]),
            }
            for weekday in _WEEKDAYS
        ]
    )
    await tx.connection.execute(
        statement.on_conflict_do_update(
            index_elements=[table.c.barber_id, table.c.valid_from, table.c.weekday],
            set_={"periods": statement.excluded.periods},
        )
    )
    return WeeklyHours(valid_from, week)


async def add_time_off(tx: Transaction, wanted: NewTimeOff) -> TimeOff:
    """Take time off a barber's open time; appointments in it stay."""
    shop = await lookups.organization(tx, wanted.organization_id)
    await lookups.barber(tx, shop, wanted.barber_id)
    await lookups.lock_barbers(tx, wanted.barber_id)
    return await only(
        tx.connection,
        plain_insert(tables.time_off)
        .values(
            organization_id=shop.id,
            barber_id=wanted.barber_id,
            starts_at=wanted.start,
            ends_at=wanted.end,
            reason=wanted.reason,
        )
        .returning(*shape(tables.time_off, TimeOff)),
        TimeOff,
    )


async def remove_time_off(tx: Transaction, organization_id: int, time_off_id: int) -> TimeOff:
    """Give time off back."""
    shop = await lookups.organization(tx, organization_id)
    table = tables.time_off
    removed = await maybe(
        tx.connection,
        delete(table)
        .where(table.c.organization_id == shop.id, table.c.id == time_off_id)
        .returning(*shape(table, TimeOff)),
        TimeOff,
    )
    if removed is None:
        raise NotFound("time_off", time_off_id)
    return removed


async def set_special_hours(tx: Transaction, wanted: Day) -> SpecialHours:
    """Replace the weekly hours of one local day."""
    shop = await lookups.organization(tx, wanted.organization_id)
    await lookups.barber(tx, shop, wanted.barber_id)
    await lookups.lock_barbers(tx, wanted.barber_id)
    table = tables.special_hours
    periods = multirange(wanted.periods)
    await tx.connection.execute(
        insert(table)
        .values(
            organization_id=shop.id,
            barber_id=wanted.barber_id,
            day=wanted.day,
            periods=periods,
        )
        .on_conflict_do_update(
            index_elements=[table.c.barber_id, table.c.day], set_={"periods": periods}
        )
    )
    return SpecialHours(wanted.barber_id, wanted.day, tuple(wanted.periods))


async def remove_special_hours(
    tx: Transaction, organization_id: int, barber_id: int, day: date
) -> SpecialHours:
    """Give a local day its weekly hours back; NotFound if it has no others."""
    shop = await lookups.organization(tx, organization_id)
    await lookups.barber(tx, shop, barber_id)
    await lookups.lock_barbers(tx, barber_id)
    table = tables.special_hours
    removed = await tx.connection.scalar(
        delete(table)
        .where(table.c.barber_id == barber_id, table.c.day == day)
        .returning(as_text(table.c.periods))
    )
    if removed is None:
        raise NotFound("special_hours", f"{barber_id}/{day}")
    return SpecialHours(barber_id, day, minutes(removed))
