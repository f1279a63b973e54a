"""Shops made by SQL, with or without a word to the cache."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import asyncpg

from tests.support.waiting import eventually

__all__ = ["NINE_TO_FIVE", "Shop", "open_shop"]

NINE_TO_FIVE = "{[540,1020)}"


@dataclass(slots=True)
class Shop:
    """A shop with barbers and services; all of its changes go over one connection."""

    connection: asyncpg.Connection
    organization_id: int
    time_zone: str
    barbers: list[int] = field(default_factory=list)
    services: list[int] = field(default_factory=list)

    @asynccontextmanager
    async def acknowledged(self) -> AsyncIterator[None]:
        """Make changes of which the relay hears nothing, as if their caller had applied them."""
        async with self.connection.transaction():
            yield
            await self.connection.execute("DELETE FROM outbox WHERE xid = pg_current_xact_id()")

    async def relayed(self) -> None:
        """Wait until the relay has applied every change so far: it would do so during a test."""

        async def applied() -> bool:
            return bool(await self.connection.fetchval("SELECT count(*) = 0 FROM outbox"))

        await eventually(applied)

    def at(self, local: str) -> datetime:
        """Turn a local time, such as `2025-03-05 09:00`, into an instant."""
        return datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(self.time_zone))

    async def add_barber(
        self, hours: str = NINE_TO_FIVE, *, offers: Sequence[int] = (), active: bool = True
    ) -> int:
        """Add a barber with the same hours on every weekday; returns the id."""
        barber_id: int = await self.connection.fetchval(
            "INSERT INTO barbers (organization_id, name, active) VALUES ($1, 'B', $2) RETURNING id",
            self.organization_id,
            active,
        )
        await self.connection.execute(
            "INSERT INTO weekly_hours (organization_id, barber_id, valid_from, weekday, periods)"
            " SELECT $1, $2, '2000-01-01', weekday, $3::text::int4multirange"
            " FROM generate_series(0, 6) weekday",
            self.organization_id,
            barber_id,
            hours,
        )
        for service_id in offers:
            await self.connection.execute(
                "INSERT INTO barber_services (organization_id, barber_id, service_id)"
                " VALUES ($1, $2, $3)",
                self.organization_id,
                barber_id,
                service_id,
            )
        self.barbers.append(barber_id)
        return barber_id

    async def add_service(self, minutes: int = 60, before: int = 0, after: int = 0) -> int:
        """Add a service; returns the id."""
        service_id: int = await self.connection.fetchval(
            "INSERT INTO services (organization_id, name, duration_minutes, buffer_before_minutes,"
            " buffer_after_minutes, price) VALUES ($1, 'S', $2, $3, $4, 40) RETURNING id",
            self.organization_id,
            minutes,
            before,
            after,
        )
        self.services.append(service_id)
        return service_id

    async def close_on(self, barber_id: int, *days: date, hours: str = "{}") -> None:
        """Give days hours of their own, closed unless said."""
        await self.connection.executemany(
            "INSERT INTO special_hours (organization_id, barber_id, day, periods)"
            " VALUES ($1, $2, $3, $4::text::int4multirange)",
            [(self.organization_id, barber_id, day, hours) for day in days],
        )

    async def book(
        self,
        start: datetime,
        minutes: int = 60,
        *,
        buffer_after: int = 0,
        hold_until: datetime | None = None,
    ) -> int:
        """Book the first barber; pending if it is held only until an instant."""
        end = start + timedelta(minutes=minutes)
        appointment_id: int = await self.connection.fetchval(
            "INSERT INTO appointments (organization_id, barber_id, service_id, status, starts_at,"
            " ends_at, blocked_from, blocked_until, price, hold_until)"
            " VALUES ($1, $2, $3, $4, $5, $6, $5, $7, 40, $8) RETURNING id",
            self.organization_id,
            self.barbers[0],
            self.services[0],
            "pending" if hold_until else "scheduled",
            start,
            end,
            end + timedelta(minutes=buffer_after),
            hold_until,
        )
        return appointment_id


async def open_shop(
    connection: asyncpg.Connection,
    *,
    zone: str = "America/New_York",
    hours: str = NINE_TO_FIVE,
    barbers: int = 1,
    minutes: int = 60,
    lead_minutes: int = 15,
    horizon_days: int = 300,
) -> Shop:
    """Open a shop whose barbers all offer its one service; slots step by the hour."""
    organization_id: int = await connection.fetchval(
        "INSERT INTO organizations (name, time_zone, currency, slot_interval_minutes,"
        " lead_time_minutes, horizon_days) VALUES ('T', $1, 'USD', 60, $2, $3) RETURNING id",
        zone,
        lead_minutes,
        horizon_days,
    )
    shop = Shop(connection, organization_id, zone)
    service_id = await shop.add_service(minutes)
    for _ in range(barbers):
        await shop.add_barber(hours, offers=[service_id])
    await connection.execute("DELETE FROM outbox WHERE organization_id = $1", organization_id)
    return shop
