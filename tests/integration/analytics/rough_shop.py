"""Generated salons, made rough: rows that a generator does not think of, written by SQL.

Everything is about midnight, clock changes and what is missing: no client, no appointment, no
longer there.
"""

import io
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from zoneinfo import ZoneInfo

import asyncpg
from rich.console import Console

from booking_service.importing import GeneratorOptions, generate
from booking_service.importing.copying import take_ids
from tests.integration.analytics.takings import MONEY, Takings

__all__ = ["RoughShop", "write_rough_shop"]

START, PRESENT, END = date(2019, 10, 1), date(2020, 4, 1), date(2020, 4, 15)
DAYS = (END - START).days
_MINUTE, _DAY = timedelta(minutes=1), timedelta(days=1)
# A leap day, ends of months and of the year, clock changes of Europe and America.
NIGHTS = (
    *(date(2020, 2, 28), date(2020, 2, 29), date(2020, 3, 1), date(2019, 12, 31)),
    *(date(2020, 1, 1), date(2020, 1, 31), date(2019, 10, 31), date(2020, 3, 31)),
    *(date(2019, 10, 26), date(2019, 10, 27), date(2020, 3, 28), date(2020, 3, 29)),
    *(date(2019, 11, 2), date(2019, 11, 3), date(2020, 3, 7), date(2020, 3, 8)),
)
_PERIODS = ("{}", "{[0,300)}", "{[90,210),[1200,1440)}", "{[0,1440)}")
_APPOINTMENT = (
    *("id", "organization_id", "barber_id", "service_id", "client_id", "status"),
    *("starts_at", "ends_at", "blocked_from", "blocked_until", "price"),
)
_BOUNDS = {
    "Five visits, 500 spent": ([date(2019, 6, 3 + n) for n in range(5)], "100"),
    "Three visits, 200.01 spent": ([date(2019, 7, 1 + n) for n in range(3)], "66.67"),
    "Ninety days between": ([date(2019, 6, 12), date(2019, 9, 10)], "40"),
    "More than ninety": ([date(2019, 6, 13), date(2019, 9, 12)], "40"),
    "A year before 20 May 2020": ([date(2019, 5, 21)], "40"),
    "More than a year": ([date(2019, 5, 20)], "40"),
}
"""Clients by name, with their days and what they pay each time."""
LOSSES_UNTIL = date(2018, 7, 1)
"""Of the 60 days before, each 30 give back more than they take, to one client."""
_LOSSES = ((20, "50.00", "80.00"), (50, "20.00", "35.50"))
"""Days before, what is paid, and what is given back the day after."""
WEEK_CHANGES = date(2020, 2, 10)
"""From then on the first barber's week is another."""
_OVER = ("completed", "completed", "completed", "cancelled", "no_show", "scheduled", "in_progress")


@dataclass(frozen=True, slots=True)
class RoughShop:
    """A shop that was written: its zone, barbers (the last has left), services and clients."""

    organization_id: int
    zone: ZoneInfo
    barbers: tuple[int, ...]
    services: tuple[int, ...]
    clients: tuple[int, ...]

    def at(self, day: date, minute: int) -> datetime:
        """Turn minutes after a local midnight into an instant, in elapsed time."""
        midnight = datetime(day.year, day.month, day.day, tzinfo=self.zone)
        return midnight.astimezone(UTC) + minute * _MINUTE


async def write_rough_shop(
    connection: asyncpg.Connection,
    url: str,
    *,
    seed: int,
    zone: str,
    currency: str,
    prices: str = "1",
) -> RoughShop:
    """Generate a salon of half a year and add what is rough; equal seeds give equal rows.

    All money is multiplied by `prices`.
    """
    made = await generate(
        url,
        GeneratorOptions(
            barbers=3, seed=seed, time_zone=zone, currency=currency, start=START, end=END
        ),
        now=datetime(2020, 4, 1, 16, tzinfo=UTC),
        console=Console(file=io.StringIO()),
    )
    org = made.organization_id
    ids = [
        tuple(
            row["id"]
            for row in await connection.fetch(
                f"SELECT id FROM {table} WHERE organization_id = $1 ORDER BY id",  # noqa: S608
                org,
            )
        )
        for table in ("barbers", "services", "clients")
    ]
    shop = RoughShop(org, ZoneInfo(zone), *ids)
    random = Random(seed)  # noqa: S311 - it makes up rows, not secrets
    async with connection.transaction():
        await _write_hours(connection, shop, random)
        money = await _write_nights(connection, shop, random)
        _sell(shop, random, money)
        await money.write(connection)
        await _write_bounds(connection, shop)
        await _write_losses(connection, shop)
        await _take_away(connection, shop)
        for table in ("payments", "refunds"):
            await connection.execute(
                f"UPDATE {table} SET amount = greatest(0.01, amount * $2::text::numeric)"  # noqa: S608
                " WHERE organization_id = $1",
                org,
                prices,
            )
    return shop


async def _write_hours(connection: asyncpg.Connection, shop: RoughShop, random: Random) -> None:
    """Open at night around what is special, and be away over some midnights."""
    await connection.executemany(
        "INSERT INTO special_hours (organization_id, barber_id, day, periods)"
        " VALUES ($1, $2, $3, $4::text::int4multirange) ON CONFLICT DO NOTHING",
        [
            (shop.organization_id, barber, day, random.choice(_PERIODS))
            for barber in shop.barbers
            for day in NIGHTS
        ],
    )
    away = [shop.at(day, random.choice((-60, 0, 95))) for day in NIGHTS]
    await connection.executemany(
        "INSERT INTO time_off (organization_id, barber_id, starts_at, ends_at)"
        " VALUES ($1, $2, $3, $4)",
        [
            (shop.organization_id, random.choice(shop.barbers), at, at + 125 * _MINUTE)
            for at in [*away, shop.at(WEEK_CHANGES, 12 * 60)]
        ],
    )
    await connection.execute(
        "INSERT INTO weekly_hours (organization_id, barber_id, valid_from, weekday, periods)"
        " SELECT $1, $2, $3, weekday, '{[660,900)}' FROM generate_series(0, 6) weekday"
        " ON CONFLICT (barber_id, valid_from, weekday) DO UPDATE SET periods = excluded.periods",
        shop.organization_id,
        shop.barbers[0],
        WEEK_CHANGES,
    )


def _nights(shop: RoughShop, random: Random) -> Iterator[tuple[int, datetime, int]]:
    """Choose barbers and starts, close to midnights and in the hours when clocks change."""
    for barber in shop.barbers:
        for day in NIGHTS:
            for minute, length in ((-31, 30), (-1, 1), (0, 15), (15, 30), (60, 45), (120, 60)):
                yield barber, shop.at(day, minute), length
        for _ in range(40):
            day = START + timedelta(days=random.randrange(DAYS))
            yield barber, shop.at(day, random.choice((-90, 200))), random.choice((20, 45))


async def _write_nights(connection: asyncpg.Connection, shop: RoughShop, random: Random) -> Takings:
    """Book at night, often the same clients, so that some come twice on a day; some for money."""
    present, money, rows = (
        shop.at(PRESENT, 0),
        Takings(shop.organization_id, shop.barbers, random),
        [],
    )
    busy: dict[int, list[tuple[datetime, datetime]]] = defaultdict(list)
    for row in await connection.fetch(
        "SELECT barber_id, blocked_from, blocked_until FROM appointments"
        " WHERE organization_id = $1 AND status <> 'cancelled'",
        shop.organization_id,
    ):
        busy[row["barber_id"]].append((row["blocked_from"], row["blocked_until"]))
    nights = list(_nights(shop, random))
    keys = await take_ids(connection, "appointments", len(nights))
    for key, (barber, start, length) in zip(keys, nights, strict=True):
        end = start + length * _MINUTE
        taken = any(since < end and start < until for since, until in busy[barber])
        status = "cancelled" if taken else random.choice(_OVER)
        if start >= present and status in {"completed", "no_show", "in_progress"}:
            status = "confirmed"
        if status != "cancelled":
            busy[barber].append((start, end))
        client = random.choice((None, *shop.clients[:12], *shop.clients[:12]))
        service = random.choice(shop.services)
        times = start, end, start, end
        rows.append((key, shop.organization_id, barber, service, client, status, *times, 30))
        if start < present and random.random() < 0.5:
            money.take(key, client, end)
    await connection.copy_records_to_table("appointments", records=rows, columns=_APPOINTMENT)
    return money


def _sell(shop: RoughShop, random: Random, money: Takings) -> None:
    """Sell over the counter, to clients and to nobody, around midnights; and years before."""
    for day in (*NIGHTS, START - timedelta(days=700)):
        for minute in (-1, 0, 1, 600):
            client = random.choice((None, *shop.clients[:30], shop.clients[-1]))
            money.take(None, client, shop.at(day, minute))


async def _write_bounds(connection: asyncpg.Connection, shop: RoughShop) -> None:
    """Let clients come, at noon, and pay so that they lie just on what parts the figures."""
    keys = await take_ids(connection, "clients", len(_BOUNDS))
    await connection.copy_records_to_table(
        "clients",
        records=[
            (key, shop.organization_id, name) for key, name in zip(keys, _BOUNDS, strict=True)
        ],
        columns=("id", "organization_id", "name"),
    )
    rows, payments = [], []
    for client, (days, amount) in zip(keys, _BOUNDS.values(), strict=True):
        for day in days:
            taken = await take_ids(connection, "appointments", 1)
            start = shop.at(day, 12 * 60)
            end = start + 20 * _MINUTE
            who = shop.barbers[0], shop.services[0], client, "completed"
            rows.append((*taken, shop.organization_id, *who, start, end, start, end, 30))
            money = shop.barbers[0], client, Decimal(amount)
            payments.append((shop.organization_id, *taken, *money, end))
    await connection.copy_records_to_table("appointments", records=rows, columns=_APPOINTMENT)
    await connection.copy_records_to_table(
        "payments", records=payments, columns=(*MONEY, "paid_at")
    )


async def _write_losses(connection: asyncpg.Connection, shop: RoughShop) -> None:
    """Let a client come and pay, and give more back than was paid."""
    (client,) = await take_ids(connection, "clients", 1)
    org, barber = shop.organization_id, shop.barbers[0]
    await connection.execute(
        "INSERT INTO clients (id, organization_id, name) VALUES ($1, $2, 'Given back')", client, org
    )
    for ago, paid, refunded in _LOSSES:
        (key,) = await take_ids(connection, "appointments", 1)
        start = shop.at(LOSSES_UNTIL - timedelta(days=ago), 12 * 60)
        end = start + 20 * _MINUTE
        visit = key, org, barber, shop.services[0], client, "completed", start, end, start, end, 30
        money = org, key, barber, client
        for table, columns, row in (
            ("appointments", _APPOINTMENT, visit),
            ("payments", (*MONEY, "paid_at"), (*money, Decimal(paid), end)),
            ("refunds", (*MONEY, "refunded_at"), (*money, Decimal(refunded), end + _DAY)),
        ):
            await connection.copy_records_to_table(table, records=[row], columns=columns)


async def _take_away(connection: asyncpg.Connection, shop: RoughShop) -> None:
    """Let a barber leave, and delete clients and services that have a history."""
    await connection.execute("UPDATE barbers SET active = false WHERE id = $1", shop.barbers[-1])
    await connection.execute(
        "UPDATE clients SET deleted = true WHERE id = ANY($1)", list(shop.clients[:12:4])
    )
    await connection.execute(
        "UPDATE services SET deleted = true WHERE id = ANY($1)", list(shop.services[1::5])
    )
