"""A small shop made by hand, written by SQL: what reports are checked on."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import asyncpg

__all__ = ["APPOINTMENTS", "SmallShop", "write_small_shop"]

# Barber, service, client (0: a walk-in), status, local start, minutes; ids count from 1.
APPOINTMENTS = (
    (1, 1, 1, "completed", "2018-02-28 23:30", 60),
    (1, 1, 1, "completed", "2018-03-01 09:00", 30),
    (1, 2, 1, "completed", "2018-03-01 11:00", 45),
    (1, 1, 2, "no_show", "2018-03-02 10:00", 30),
    (1, 2, 2, "cancelled", "2018-03-02 10:00", 45),
    (1, 3, 2, "completed", "2018-03-11 01:30", 120),
    (2, 1, 3, "completed", "2018-03-11 10:00", 30),
    (2, 3, 3, "completed", "2018-03-31 23:30", 90),
    (2, 2, 0, "completed", "2018-03-15 12:15", 45),
    (2, 2, 4, "completed", "2018-03-16 12:00", 40),
    (1, 1, 4, "in_progress", "2018-03-20 09:00", 30),
    (1, 1, 1, "scheduled", "2018-04-03 09:00", 30),
    (1, 2, 2, "confirmed", "2018-04-03 23:45", 60),
    (2, 2, 1, "scheduled", "2018-04-03 10:00", 45),
    (3, 1, 3, "completed", "2017-11-05 01:30", 30),
    (3, 2, 3, "no_show", "2018-03-05 15:00", 45),
    (2, 1, 5, "completed", "2017-01-10 10:00", 30),
    (3, 1, 4, "no_show", "2018-03-28 10:00", 30),
    (3, 1, 4, "cancelled", "2018-03-29 10:00", 30),
)
# Appointment (0: retail), who took it, client, amount, status, local moment.
PAYMENTS = (
    (1, 1, 1, "40.01", "completed", "2018-03-01 00:10"),
    (2, 1, 1, "35.00", "completed", "2018-03-01 09:30"),
    (3, 2, 1, "80.04", "completed", "2018-03-01 12:00"),
    (6, 1, 2, "200.00", "completed", "2018-03-11 03:30"),
    (7, 2, 3, "35.00", "completed", "2018-03-31 23:59"),
    (8, 2, 3, "120.55", "completed", "2018-04-01 00:00"),
    (9, 2, 0, "80.00", "pending", "2018-03-15 13:00"),
    (10, 1, 4, "80.00", "failed", "2018-03-16 13:00"),
    (10, 2, 4, "82.50", "completed", "2018-03-16 13:01"),
    (0, 1, 4, "12.05", "completed", "2018-03-16 13:05"),
    (0, 3, 0, "9.99", "completed", "2018-02-10 10:00"),
    (17, 2, 5, "30.00", "completed", "2017-01-10 11:00"),
)
# Appointment (0: none), who gave it back, client, amount, local moment.
REFUNDS = (
    (3, 2, 1, "20.02", "2018-03-05 10:00"),
    (6, 1, 2, "200.00", "2018-04-02 10:00"),
    (0, 1, 4, "2.05", "2018-03-17 10:00"),
    (5, 1, 2, "5.00", "2018-03-02 11:00"),
)
_WEEK = ["{[540,720),[780,1020)}"] * 5 + ["{[0,90),[1380,1440)}", "{[60,240)}"]
_NEW_WEEK = ["{[600,1080)}"] * 4 + ["{}"] * 3


@dataclass(frozen=True, slots=True)
class SmallShop:
    """Where the shop's ids begin: its barber 1 has the id `base + 1`, and so on."""

    organization_id: int
    time_zone: str

    @property
    def base(self) -> int:
        """The number below its first ids."""
        return self.organization_id * 1000

    @property
    def clock_change(self) -> date:
        """The local day of early 2018 on which the clocks change; March 20 where they do not."""
        for number in range(60):
            midnight = datetime(2018, 2, 15) + timedelta(days=number)  # noqa: DTZ001 - local
            bounds = (midnight, midnight + timedelta(days=1))
            first, last = (one.replace(tzinfo=ZoneInfo(self.time_zone)) for one in bounds)
            # Where midnight itself is left out, both say what was before.
            if first.utcoffset() != last.utcoffset():
                return midnight.date()
        return date(2018, 3, 20)

    def at(self, local: str) -> datetime:
        """Turn a local time of the shop into an instant."""
        naive = datetime.fromisoformat(local)
        return naive.replace(tzinfo=ZoneInfo(self.time_zone)).astimezone(UTC)


async def write_small_shop(connection: asyncpg.Connection, shop: SmallShop) -> None:
    """Write the shop's rows: two active barbers and one who left, three services, five clients."""
    org, base = shop.organization_id, shop.base
    await connection.execute(
        "INSERT INTO organizations (id, name, time_zone, currency) VALUES ($1, 'Small', $2, 'CAD')",
        org,
        shop.time_zone,
    )
    await connection.executemany(
        "INSERT INTO barbers (id, organization_id, name, active) VALUES ($1, $2, $3, $4)",
        [(base + n, org, f"Barber {n}", n != 3) for n in (1, 2, 3)],
    )
    await connection.executemany(
        "INSERT INTO services (id, organization_id, name, category, duration_minutes,"
        " buffer_before_minutes, buffer_after_minutes, price)"
        " VALUES ($1, $2, $3, $4, $5, 5, 10, $6)",
        [
            (base + n, org, f"Service {n}", "Cut" if n < 3 else "", 30 * n, 35 * n)
            for n in (1, 2, 3)
        ],
    )
    await connection.executemany(
        "INSERT INTO barber_services (organization_id, barber_id, service_id, offered, price,"
        " duration_minutes) VALUES ($1, $2, $3, $4, $5::int, $6)",
        [
            (org, base + 1, base + 1, True, None, None),
            (org, base + 1, base + 2, True, 99, 50),
            (org, base + 2, base + 1, True, None, 25),
            (org, base + 2, base + 3, False, None, None),
            (org, base + 3, base + 1, True, None, None),
        ],
    )
    await connection.executemany(
        "INSERT INTO clients (id, organization_id, name, email, phone, deleted)"
        " VALUES ($1, $2, $3, $4, $5, $6)",
        [
            (base + n, org, name, f"{name.lower()}@example.org", f"555-010{n}", n == 5)
            for n, name in enumerate(("Ada", "Björn", "50%_off", "Zoë", "Gone"), 1)
        ],
    )
    await _write_hours(connection, shop)
    await _write_visits(connection, shop)


async def _write_hours(connection: asyncpg.Connection, shop: SmallShop) -> None:
    org, base = shop.organization_id, shop.base
    await connection.executemany(
        "INSERT INTO weekly_hours (organization_id, barber_id, valid_from, weekday, periods)"
        " VALUES ($1, $2, $3::text::date, $4, $5::text::int4multirange)",
        [
            (org, base + barber, valid_from, weekday, week[weekday])
            for barber, valid_from, week in (
                (1, "2018-01-01", _WEEK),
                (1, "2018-03-19", _NEW_WEEK),
                (1, "2019-01-01", _WEEK),
                (2, "2018-03-10", _WEEK),
                (3, "2018-01-01", _WEEK),
            )
            for weekday in range(7)
        ],
    )
    await connection.executemany(
        "INSERT INTO special_hours (organization_id, barber_id, day, periods)"
        " VALUES ($1, $2, $3::text::date, $4::text::int4multirange)",
        [
            (org, base + 1, "2018-03-02", "{}"),
            (org, base + 1, "2018-03-31", "{[600,660),[1320,1440)}"),
            (org, base + 2, "2018-03-11", "{[90,210)}"),
            (org, base + 2, "2018-05-01", "{[0,1440)}"),
        ],
    )
    await connection.executemany(
        "INSERT INTO time_off (organization_id, barber_id, starts_at, ends_at, reason)"
        " VALUES ($1, $2, $3, $4, $5)",
        [
            (org, base + 1, shop.at("2018-03-05 16:30"), shop.at("2018-03-07 09:20"), "dentist"),
            (org, base + 1, shop.at("2018-03-06 10:00"), shop.at("2018-03-06 11:00"), ""),
            (org, base + 2, shop.at("2018-03-26 00:00"), shop.at("2018-03-27 00:00"), "away"),
            (org, base + 2, shop.at("2018-04-05 10:00"), shop.at("2018-04-05 12:00"), "later"),
        ],
    )


async def _write_visits(connection: asyncpg.Connection, shop: SmallShop) -> None:
    org, base = shop.organization_id, shop.base
    before, after = timedelta(minutes=5), timedelta(minutes=10)
    for number, (barber, service, client, status, local, minutes) in enumerate(APPOINTMENTS, 1):
        start = shop.at(local)
        end = start + timedelta(minutes=minutes)
        await connection.execute(
            "INSERT INTO appointments (id, organization_id, barber_id, service_id, client_id,"
            " status, starts_at, ends_at, blocked_from, blocked_until, price)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 35)",
            base + number,
            org,
            base + barber,
            base + service,
            base + client if client else None,
            status,
            start,
            end,
            start - before,
            end + after,
        )
    for appointment, barber, client, amount, status, local in PAYMENTS:
        await connection.execute(
            "INSERT INTO payments (organization_id, appointment_id, barber_id, client_id, amount,"
            " status, paid_at) VALUES ($1, $2, $3, $4, $5::text::numeric, $6, $7)",
            org,
            base + appointment if appointment else None,
            base + barber,
            base + client if client else None,
            amount,
            status,
            shop.at(local),
        )
    for appointment, barber, client, amount, local in REFUNDS:
        await connection.execute(
            "INSERT INTO refunds (organization_id, appointment_id, barber_id, client_id, amount,"
            " refunded_at) VALUES ($1, $2, $3, $4, $5::text::numeric, $6)",
            org,
            base + appointment if appointment else None,
            base + barber,
            base + client if client else None,
            amount,
            shop.at(local),
        )
