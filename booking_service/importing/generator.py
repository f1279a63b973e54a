"""Make up a salon of the shape of a real one, the same for the same seed and days."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

from booking_service.domain import local_day, local_midnight
from booking_service.importing.generated_shop import make_shop
from booking_service.importing.generated_visits import Diary
from booking_service.importing.records import Batch, Shop

__all__ = ["GeneratorOptions", "Plan", "plan"]

_PER_BARBER_DAY = 6
_MOST_BARBERS = 10_000
_MOST_MONTHS = 240


@dataclass(frozen=True, slots=True)
class GeneratorOptions:
    """What to make up. Equal seeds, zones, days and sizes give equal rows.

    `start` and `end` (exclusive) are local days; None: `months` before the local day of the
    clock, and `months_ahead` after it. What lies before that day has happened, the rest is ahead.
    """

    barbers: int = 7
    months: int = 12
    months_ahead: int = 3
    seed: int = 1
    organization_name: str = "Generated Salon"
    time_zone: str = "America/Toronto"
    currency: str = "CAD"
    start: date | None = None
    end: date | None = None

    def __post_init__(self) -> None:
        """Refuse sizes that make no salon."""
        for name, value, most in (
            ("barbers", self.barbers, _MOST_BARBERS),
            ("months", self.months, _MOST_MONTHS),
        ):
            if not 1 <= value <= most:
                message = f"{name} must be 1 to {most:,}, not {value}"
                raise ValueError(message)
        if not 0 <= self.months_ahead <= _MOST_MONTHS:
            message = f"months_ahead must be 0 to {_MOST_MONTHS}, not {self.months_ahead}"
            raise ValueError(message)
        if not self.organization_name.strip():
            message = "organization_name must not be empty"
            raise ValueError(message)


class Plan:
    """A salon about to be made up: its shop now, what happens in it as it is asked for."""

    def __init__(self, options: GeneratorOptions, now: datetime) -> None:
        zone = _zone(options.time_zone)
        today = local_day(now, zone)
        start = options.start or _months_after(today, -options.months)
        end = options.end or _months_after(today, options.months_ahead)
        if start >= end:
            message = f"the first day {start} must lie before the end {end}"
            raise ValueError(message)
        self._random = Random(options.seed)  # noqa: S311 - it makes up rows, not secrets
        self._zone, self._today, self._start, self._end = zone, today, start, end
        self.shop: Shop = make_shop(
            self._random,
            name=options.organization_name,
            zone=zone,
            currency=options.currency,
            barbers=options.barbers,
            start=start,
            end=end,
        )
        self.about = options.barbers * (end - start).days * _PER_BARBER_DAY

    def batches(self, size: int) -> Iterator[Batch]:
        """Make everything that happens, in order of days, in batches of about `size` appointments.

        May be gone through once. The rows do not depend on `size`.
        """
        batch, days = Batch(), (self._end - self._start).days
        present = local_midnight(self._today, self._zone)
        diaries = [
            Diary(self._random, self.shop, barber, self._zone, present)
            for barber in range(len(self.shop.barbers))
        ]
        for day in range(days):
            for diary in diaries:
                diary.fill(self._start + timedelta(days=day), day / days, batch)
                if len(batch.appointments) >= size:
                    yield batch
                    batch = Batch()
        yield batch


def plan(options: GeneratorOptions, now: datetime) -> Plan:
    """Plan a salon around the local day of `now`.

    Raises:
        ValueError: no day lies between start and end, or the time zone is not known.

    """
    return Plan(options, now)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, KeyError, OSError) as error:
        message = f"{name!r} is not a time zone"
        raise ValueError(message) from error


def _months_after(day: date, months: int) -> date:
    """Move a day by calendar months; the 29th and later become the 28th, which each month has."""
    index = day.year * 12 + day.month - 1 + months
    return date(index // 12, index % 12 + 1, min(day.day, 28))
