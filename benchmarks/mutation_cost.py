"""Measure what a mutation's events cost: commits a second against the bare insert.

    python -m benchmarks.mutation_cost [--seconds 2] [--rounds 9] [--connections 8]

Both sides book appointments through the booking service's own engine, one transaction
each, on a Postgres with fsync. `bare` inserts into a table with the same columns,
indexes and constraints and no trigger. `mutation` inserts into appointments, reads its
events before the commit and has them deleted behind in batches; nobody is told of them.
Rounds of both take turns, and `bare` runs twice in each, so that the last line says how
far two equal things differ here.
"""

import argparse
import asyncio
import itertools
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import uvloop
from sqlalchemy import Insert, Table, insert, text
from sqlalchemy.ext.asyncio import AsyncEngine

from booking_service.postgres.engine import make_engine
from booking_service.postgres.outbox import OutboxCleaner
from booking_service.postgres.tables import appointments, metadata
from booking_service.postgres.unit_of_work import UnitsOfWork
from devstack import databases
from devstack.postgres import PostgresServer

_BARE = """
INSERT INTO organizations (name, time_zone, currency) VALUES ('shop', 'America/Toronto', 'CAD');
INSERT INTO barbers (organization_id, name) SELECT 1, 'barber ' || n FROM generate_series(1, 64) n;
INSERT INTO services (organization_id, name, duration_minutes, price) VALUES (1, 'cut', 30, 30);
INSERT INTO clients (organization_id, name) SELECT 1, 'client ' || n FROM generate_series(1, 500) n;
CREATE TABLE bare_appointments (LIKE appointments INCLUDING ALL);
ALTER TABLE bare_appointments
    ADD FOREIGN KEY (organization_id, barber_id) REFERENCES barbers (organization_id, id),
    ADD FOREIGN KEY (organization_id, service_id) REFERENCES services (organization_id, id),
    ADD FOREIGN KEY (organization_id, client_id) REFERENCES clients (organization_id, id);
GRANT SELECT, INSERT ON bare_appointments TO chairside_booking;
TRUNCATE outbox
"""
_PASSWORD = "benchmark"  # noqa: S105 - of a throwaway server on the loopback

Commit = Callable[[Insert], Awaitable[None]]


def _bookings(table: Table, barber_id: int) -> Iterator[Insert]:
    """Yield one booking after the other of a barber, with the next free half hour."""
    half_hour = timedelta(minutes=30)
    start = datetime(2020, 1, 1, tzinfo=UTC)
    for number in itertools.count():
        end = start + half_hour
        yield insert(table).values(
            organization_id=1,
            barber_id=barber_id,
            service_id=1,
            client_id=1 + (barber_id * 61 + number) % 500,
            status="scheduled",
            starts_at=start,
            ends_at=end,
            blocked_from=start,
            blocked_until=end,
            price=30,
        )
        start = end


async def _rate(commit: Commit, bookings: list[Iterator[Insert]], seconds: float) -> float:
    """Return the commits a second that as many callers as there are iterators reach."""
    end = time.perf_counter() + seconds

    async def caller(statements: Iterator[Insert]) -> int:
        count = 0
        while time.perf_counter() < end:
            await commit(next(statements))
            count += 1
        return count

    begun = time.perf_counter()
    counts = await asyncio.gather(*(caller(statements) for statements in bookings))
    return sum(counts) / (time.perf_counter() - begun)


async def _measure(url: str, options: argparse.Namespace) -> dict[str, list[float]]:
    engine = make_engine(
        url,
        application_name="benchmark",
        pool_size=options.connections + 1,  # one for the cleaner
    )
    try:
        return await _rounds(engine, options)
    finally:
        await engine.dispose()


async def _rounds(engine: AsyncEngine, options: argparse.Namespace) -> dict[str, list[float]]:
    bare = appointments.to_metadata(metadata, name="bare_appointments")
    callers = range(1, options.connections + 1)
    into_bare = [_bookings(bare, barber) for barber in callers]
    into_appointments = [_bookings(appointments, barber) for barber in callers]

    async def insert_bare(statement: Insert) -> None:
        async with units() as unit:
            await unit.connection.execute(statement)
            await unit.commit()

    async with OutboxCleaner(engine) as cleaner:
        units = UnitsOfWork(engine, cleaner.applied)

        async def mutate(statement: Insert) -> None:
            async with units() as unit:
                await unit.connection.execute(statement)
                changes = await unit.changes(1)
                await unit.commit()
            cleaner.acknowledged(changes.xid)

        sides = {
            "bare": (insert_bare, into_bare),
            "mutation": (mutate, into_appointments),
            "bare again": (insert_bare, into_bare),
        }
        rates: dict[str, list[float]] = {name: [] for name in sides}
        for number in range(-1, options.rounds):
            # A different one comes first each time, for the machine tires.
            order = list(sides.items())
            for name, (commit, bookings) in order[number % 3 :] + order[: number % 3]:
                rate = await _rate(commit, bookings, options.seconds)
                if number >= 0:  # the first round warms caches and plans
                    rates[name].append(rate)
                    print(f"round {number + 1:2}  {name:10} {rate:8.0f} commits/s", flush=True)
    return rates


async def main(options: argparse.Namespace) -> None:
    """Start a durable Postgres, measure, and print medians and ratios."""
    with tempfile.TemporaryDirectory(prefix="chairside-benchmark-") as name:
        Path(name).chmod(0o755)  # noqa: ASYNC240 - nothing else runs yet
        async with PostgresServer(Path(name) / "postgres", durable=True) as server:
            await databases.create_database(server.url(), "benchmark")
            url = server.url("benchmark")
            await databases.migrate(url, _PASSWORD)
            owner = make_engine(url, application_name="benchmark")
            async with owner.begin() as connection:
                for statement in _BARE.split(";\n"):
                    await connection.execute(text(statement))
            await owner.dispose()
            # In a loop like the services'; that one starts no program as another user.
            booking_url = databases.role_url(url, databases.BOOKING_ROLE, _PASSWORD)
            rates = await asyncio.to_thread(uvloop.run, _measure(booking_url, options))
    for side, figures in rates.items():
        print(f"{side:10} {statistics.median(figures):8.0f} commits/s (median)")
    for side in ("mutation", "bare again"):
        ratios = [one / bare for one, bare in zip(rates[side], rates["bare"], strict=True)]
        print(
            f"{side} / bare: {statistics.median(ratios):.2f} "
            f"(median of rounds; {min(ratios):.2f} to {max(ratios):.2f})"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each round and side")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--connections", type=int, default=8)
    asyncio.run(main(parser.parse_args()))
