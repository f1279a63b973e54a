"""Every slot of a salon, over the wire, against a brute-force calculation from its rows."""

import time
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest
from rich.console import Console

from booking_service.importing.commands import generate, import_salon
from booking_service.importing.generator import GeneratorOptions
from devstack.valkey import ValkeyServer
from tests.conftest import NewDatabase
from tests.integration.cache.running import Cache, source, start_cache
from tests.support.oracle_availability import (
    Appointment,
    OpenMinutes,
    bookable,
    free_starts,
    open_minutes,
)
from tests.support.salon_books import books_at_hand
from tests.support.stack import Database

DAY = timedelta(days=1)
NOW = datetime(2018, 7, 30, 16, 1, tzinfo=UTC)
"""A minute past noon in Toronto: for the next quarter of an hour lead time cuts the same slots."""
MOST_DAYS = 62

# Buffers, own durations, holds that ended and that hold, and days unlike the others.
_MIX = """
    UPDATE organizations SET horizon_days = 16;
    UPDATE services SET buffer_before_minutes = 5 * (id % 4), buffer_after_minutes = 5 * (id % 3);
    UPDATE barber_services SET duration_minutes = 20 + 25 * (barber_id % 3)
        WHERE (barber_id + service_id) % 4 = 0;
    UPDATE appointments SET status = 'pending',
        hold_until = TIMESTAMPTZ '2018-07-30 16:01Z' + CASE WHEN id % 2 = 0
            THEN INTERVAL '1 day' ELSE INTERVAL '-1 hour' END
        WHERE status IN ('scheduled', 'confirmed') AND id % 3 = 0;
    INSERT INTO special_hours (organization_id, barber_id, day, periods)
        SELECT organization_id, id, DATE '2018-08-02', '{[605,733),[800,1440)}' FROM barbers
        ON CONFLICT (barber_id, day) DO UPDATE SET periods = excluded.periods;
    INSERT INTO time_off (organization_id, barber_id, starts_at, ends_at)
        SELECT organization_id, id, TIMESTAMPTZ '2018-08-03 14:07:30Z',
            TIMESTAMPTZ '2018-08-03 17:22Z' FROM barbers;
    DELETE FROM outbox
"""


@dataclass(frozen=True)
class Salon:
    """A salon's rows, as the calculation needs them."""

    organization: Any
    zone: ZoneInfo
    barbers: Sequence[int]
    services: Mapping[int, Any]
    durations: Mapping[tuple[int, int], int]
    weeks: Mapping[int, list[tuple[date, int, list[tuple[int, int]]]]]
    special: Mapping[tuple[int, date], list[tuple[int, int]]]
    time_off: Mapping[int, list[tuple[datetime, datetime]]]
    appointments: Mapping[int, list[Appointment]]

    @property
    def today(self) -> date:
        """The shop's day."""
        return NOW.astimezone(self.zone).date()

    def periods(self, barber: int, day: date) -> list[tuple[int, int]]:
        """Return the opening periods of a day."""
        if (barber, day) in self.special:
            return self.special[barber, day]
        valid = [week for week in self.weeks[barber] if week[0] <= day and week[1] == day.weekday()]
        return max(valid)[2] if valid else []

    def near(self, barber: int, day: date) -> list[Appointment]:
        """Return the appointments that could meet a day, and many that do not."""
        noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
        return [
            one
            for one in self.appointments[barber]
            if one.blocked_from < noon + 2 * DAY and one.blocked_until > noon - 2 * DAY
        ]


def _periods(ranges: Any) -> list[tuple[int, int]]:
    return [(one.lower, one.upper) for one in ranges]


async def _salon_of(url: str) -> Salon:
    connection = await asyncpg.connect(url)
    try:
        rows = {
            table: await connection.fetch(f"SELECT * FROM {table}")  # noqa: S608
            for table in ("services", "barbers", "barber_services", "special_hours", "time_off")
        }
        organization = await connection.fetchrow("SELECT * FROM organizations")
        weekly = await connection.fetch("SELECT * FROM weekly_hours ORDER BY valid_from")
        held = await connection.fetch("SELECT * FROM appointments WHERE status <> 'cancelled'")
    finally:
        await connection.close()
    services = {row["id"]: row for row in rows["services"] if not row["deleted"]}
    active = {row["id"] for row in rows["barbers"] if row["active"]}
    weeks, time_off = defaultdict(list), defaultdict(list)
    appointments = defaultdict(list)
    for row in weekly:
        week = row["valid_from"], row["weekday"], _periods(row["periods"])
        weeks[row["barber_id"]].append(week)
    for row in rows["time_off"]:
        time_off[row["barber_id"]].append((row["starts_at"], row["ends_at"]))
    for row in held:
        appointments[row["barber_id"]].append(
            Appointment(row["blocked_from"], row["blocked_until"], row["hold_until"])
        )
    return Salon(
        organization,
        ZoneInfo(organization["time_zone"]),
        sorted(active),
        services,
        {
            (row["barber_id"], row["service_id"]): row["duration_minutes"]
            or services[row["service_id"]]["duration_minutes"]
            for row in rows["barber_services"]
            if row["offered"] and row["barber_id"] in active and row["service_id"] in services
        },
        weeks,
        {(row["barber_id"], row["day"]): _periods(row["periods"]) for row in rows["special_hours"]},
        time_off,
        appointments,
    )


class Oracle:
    """The calculation for all days, which does equal work once."""

    def __init__(self, salon: Salon, days: Sequence[date]) -> None:
        self._salon = salon
        self._days = days
        self._opened: dict[tuple[int, date], OpenMinutes] = {}
        self._slots: dict[tuple[int, int, int, int], list[int]] = {}

    def slots(self, barber: int, service: int) -> list[int]:
        """Return the starts, in seconds, of what can be booked of a barber for a service."""
        row = self._salon.services[service]
        duration = self._salon.durations[barber, service]
        key = barber, duration, row["buffer_before_minutes"], row["buffer_after_minutes"]
        if key not in self._slots:
            self._slots[key] = [start for day in self._days for start in self._day(day, *key)]
        return self._slots[key]

    def _day(
        self, day: date, barber: int, duration: int, buffer_before: int, buffer_after: int
    ) -> list[int]:
        salon, organization = self._salon, self._salon.organization
        if (barber, day) not in self._opened:
            self._opened[barber, day] = open_minutes(
                day, salon.zone, salon.periods(barber, day), salon.time_off[barber]
            )
        free = free_starts(
            self._opened[barber, day],
            duration=duration,
            buffer_before=buffer_before,
            buffer_after=buffer_after,
            slot_interval=organization["slot_interval_minutes"],
            appointments=salon.near(barber, day),
            now=NOW,
        )
        lead, horizon = organization["lead_time_minutes"], organization["horizon_days"]
        cut = bookable(free, salon.zone, now=NOW, lead_minutes=lead, horizon_days=horizon)
        return [int(start.timestamp()) for start in cut]


async def _compare(cache: Cache, salon: Salon) -> tuple[int, int]:
    """Compare all slots from yesterday to beyond the horizon; return days and slots seen."""
    first = salon.today - DAY
    days = [first + n * DAY for n in range(salon.organization["horizon_days"] + 4)]
    oracle = Oracle(salon, days)
    seen = 0
    for service in salon.services:
        barbers = [barber for barber in salon.barbers if (barber, service) in salon.durations]
        found: dict[int, list[int]] = {barber: [] for barber in barbers}
        for at in range(0, len(days), MOST_DAYS):
            part = days[at : at + MOST_DAYS]
            answer = await cache.availability(
                salon.organization["id"], service, (), part[0], len(part)
            )
            assert [one.barber_id for one in answer.barbers] == barbers
            for one in answer.barbers:
                found[one.barber_id] += [slot.start_time.seconds for slot in one.slots]
        for barber, slots in found.items():
            expected = oracle.slots(barber, service)
            wrong = sorted(set(slots) ^ set(expected))[:5]
            assert slots == expected, (
                f"barber {barber}, service {service}: "
                f"{[datetime.fromtimestamp(one, salon.zone).isoformat() for one in wrong]}"
            )
            seen += len(slots)
    return len(days) * len(salon.durations), seen


@asynccontextmanager
async def _running(database: Database, directory: Path) -> AsyncIterator[Cache]:
    clock = {"CHAIRSIDE_CLOCK_START": NOW.isoformat()}
    async with (
        ValkeyServer(directory) as valkey,
        start_cache(database.cache_url, valkey.url, directory, clock) as cache,
    ):
        yield cache


@pytest.mark.parametrize(
    ("seed", "zone"), [(1, "America/Toronto"), (2, "Asia/Kolkata"), (3, "Europe/London")]
)
async def test_the_slots_of_a_generated_salon(
    new_database: NewDatabase, tmp_path: Path, seed: int, zone: str
) -> None:
    """For every barber, service and day of a salon with everything in it, slots are the same."""
    options = GeneratorOptions(
        barbers=2, months=1, months_ahead=1, seed=seed, time_zone=zone, currency="USD"
    )
    async with new_database() as database:
        await generate(database.url, options, now=NOW, console=Console(file=StringIO()))
        connection = await asyncpg.connect(database.url)
        await connection.execute(_MIX)
        await connection.close()
        salon = await _salon_of(database.url)
        async with _running(database, tmp_path) as cache:
            days, slots = await _compare(cache, salon)
            with pytest.raises(AssertionError, match="barber"):  # it does see a difference
                await _compare(cache, replace(salon, appointments=defaultdict(list)))
    assert days >= 200
    assert slots > 1000


async def test_the_slots_of_a_salons_books(new_database: NewDatabase, tmp_path: Path) -> None:
    """The same of whole books: the real ones where they are at hand, else generated ones."""
    folder = tmp_path / "books"
    folder.mkdir()
    books, totals = books_at_hand(folder)
    async with new_database() as database:
        await import_salon(database.url, books, console=Console(file=StringIO()))
        salon = await _salon_of(database.url)
        assert len(salon.barbers) == totals.barbers
        async with _running(database, tmp_path) as cache:
            began = time.monotonic()
            days, slots = await _compare(cache, salon)
            assert time.monotonic() - began < 600, "then lead time would cut otherwise"
            again = await cache.availability(
                salon.organization["id"], next(iter(salon.services)), (), salon.today, 14
            )
            assert source(again) == "REDIS"
    assert days > 5000
    assert slots > 10_000
