"""A small, hot shop: three barbers, two services, four clients, ten days."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import asyncpg

from tests.faults.history import Service

__all__ = ["ZONE", "Shop", "open_shop"]

ZONE = ZoneInfo("America/Toronto")
_SERVICES = ((30, 0, 0), (60, 5, 10))
"""Minutes: duration, buffer before, buffer after."""
_WEEK = "{[540,780)}"
_AHEAD = 10
_DAYS = 10
_BARBERS = 3
_HEAT = 0.7
"""Of each day's mutations the next one has so many: the first days are the hottest."""


@dataclass(frozen=True, slots=True)
class Shop:
    """The ids and days of a shop; open every day from 09:00 to 13:00 of its zone."""

    organization_id: int
    barbers: tuple[int, ...]
    services: dict[int, Service]
    clients: tuple[int, ...]
    days: tuple[date, ...]

    def starts(self, day: date) -> list[int]:
        """Return every quarter of an hour of a day's opening, in seconds since the epoch."""
        opens = datetime(day.year, day.month, day.day, 9, tzinfo=ZONE)
        return [int(opens.timestamp()) + 900 * n for n in range(16)]

    def any_day(self, random: Random) -> date:
        """Choose a day to change, most often one of the first."""
        weights = [_HEAT**at for at in range(len(self.days))]
        return random.choices(self.days, weights)[0]

    @staticmethod
    def day_of(instant: int) -> int:
        """Return the ordinal of an instant's local day."""
        return datetime.fromtimestamp(instant, ZONE).toordinal()


async def open_shop(connection: asyncpg.Connection) -> Shop:
    """Write a new shop, empty of appointments."""
    today = datetime.now(UTC).astimezone(ZONE).date()
    organization = await connection.fetchval(
        "INSERT INTO organizations (name, time_zone, currency, slot_interval_minutes,"
        " lead_time_minutes, horizon_days)"
        " VALUES ('Hot', $1, 'CAD', 15, 15, 90) RETURNING id",
        ZONE.key,
    )
    barbers = [
        await connection.fetchval(
            "INSERT INTO barbers (organization_id, name, active) VALUES ($1, $2, true)"
            " RETURNING id",
            organization,
            f"Barber {n}",
        )
        for n in range(_BARBERS)
    ]
    services = [
        await connection.fetchval(
            "INSERT INTO services (organization_id, name, duration_minutes,"
            " buffer_before_minutes, buffer_after_minutes, price)"
            " VALUES ($1, $2, $3, $4, $5, 40) RETURNING id",
            organization,
            f"Service {n}",
            *minutes,
        )
        for n, minutes in enumerate(_SERVICES)
    ]
    clients = [
        await connection.fetchval(
            "INSERT INTO clients (organization_id, name) VALUES ($1, $2) RETURNING id",
            organization,
            f"Client {n}",
        )
        for n in range(4)
    ]
    for barber in barbers:
        await connection.executemany(
            "INSERT INTO barber_services (organization_id, barber_id, service_id, offered)"
            " VALUES ($1, $2, $3, true)",
            [(organization, barber, service) for service in services],
        )
        await connection.executemany(
            "INSERT INTO weekly_hours (organization_id, barber_id, valid_from, weekday, periods)"
            " VALUES ($1, $2, $3, $4, $5::text::int4multirange)",
            [(organization, barber, today, weekday, _WEEK) for weekday in range(7)],
        )
    return Shop(
        organization,
        tuple(barbers),
        {
            service: Service(*(60 * part for part in minutes))
            for service, minutes in zip(services, _SERVICES, strict=True)
        },
        tuple(clients),
        tuple(today + timedelta(days=_AHEAD + n) for n in range(_DAYS)),
    )
