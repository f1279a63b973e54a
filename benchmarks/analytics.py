"""Reports on a long history: their misses, as history grows, and what keeping totals costs.

The same shop is written three times: whole, and with its last six and twelve months only. A
miss is what the cache service does for one, without gRPC and Redis: a snapshot and a loader's
statement in one transaction of the service's own role, and the response.
"""

import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg

from benchmarks import analytics_tables as tables
from benchmarks import plain, totals_cost
from benchmarks.long_history import LongHistory, long_history, months_before, write
from benchmarks.misses import REPORTS, SHOP, Misses, Question, misses, take_turns
from benchmarks.report import Section
from devstack import databases
from devstack.postgres import PostgresServer

__all__ = ["measure"]

_PASSWORD = "benchmark"  # noqa: S105 - of a throwaway server on the loopback
_WHOLE, _RECENT, _YEAR = "whole", "recent", "year"
_DAYS_AGO = (30, 365, 3 * 365)


@dataclass(frozen=True, slots=True)
class _Stand:
    """A server with the databases, and the id that the shop has in each."""

    server: PostgresServer
    history: LongHistory
    organization_ids: dict[str, int]

    def owner_url(self, name: str) -> str:
        return self.server.url(name)

    def role_url(self, name: str, role: str) -> str:
        return databases.role_url(self.server.url(name), role, _PASSWORD)

    @asynccontextmanager
    async def misses(self, name: str) -> AsyncIterator[Misses]:
        url = self.role_url(name, databases.CACHE_ROLE)
        async with misses(url, self.organization_ids[name]) as found:
            yield found


async def measure(appointments: int, rounds: int) -> list[Section]:
    """Measure everything. Raises AnalyticsError; ValueError: so many do not fit."""
    command = f"python -m benchmarks analytics --appointments {appointments} --rounds {rounds}"
    async with _stand(appointments) as at:
        questions = await _questions(at)
        async with at.misses(_WHOLE) as whole, at.misses(_RECENT) as recent:
            print("asking both histories", flush=True)
            grown = await take_turns(questions, [recent, whole, recent], rounds)
            print("asking for a year", flush=True)
            of_a_year = [one for one in questions if one.report in tables.OF_A_YEAR]
            async with at.misses(_YEAR) as year:
                years = await take_turns(of_a_year, [year, whole, year], rounds)
            print("asking for days of the past", flush=True)
            past = await take_turns(_past(questions), [whole], rounds)
            print("working it out in plain Python", flush=True)
            worked = await plain.measure(
                at.owner_url(_WHOLE), at.organization_ids[_WHOLE], questions, whole
            )
        print("paying for the totals", flush=True)
        costs = await totals_cost.measure(
            at.owner_url(_WHOLE),
            at.role_url(_WHOLE, databases.BOOKING_ROLE),
            at.organization_ids[_WHOLE],
            rounds,
        )
    return [
        tables.misses(at.history, grown, worked, command),
        tables.growth(grown, command),
        tables.year(years, command),
        tables.past(grown, past, command),
        tables.cost(costs, command),
    ]


@asynccontextmanager
async def _stand(appointments: int) -> AsyncIterator[_Stand]:
    history = long_history(appointments, datetime.now(UTC).date())
    since = {
        _WHOLE: history.start,
        _RECENT: months_before(history.end, tables.RECENT_MONTHS),
        _YEAR: months_before(history.end, 12),
    }
    with tempfile.TemporaryDirectory(prefix="chairside-benchmark-") as name:
        Path(name).chmod(0o755)  # noqa: ASYNC240 - nothing else runs yet
        async with PostgresServer(Path(name) / "postgres", durable=True) as server:
            organization_ids = {}
            for database, day in since.items():
                begun = time.perf_counter()
                await databases.create_database(server.url(), database)
                await databases.migrate(server.url(database), _PASSWORD)
                written = await write(server.url(database), history, day)
                organization_ids[database] = written
                seconds = time.perf_counter() - begun
                print(f"wrote the {database} history in {seconds:.0f} s", flush=True)
            yield _Stand(server, history, organization_ids)


async def _questions(at: _Stand) -> list[Question]:
    """Ask for every report of the shop and of a barber: the last month that is over, and today."""
    connection = await asyncpg.connect(at.owner_url(_WHOLE))
    try:
        barber_id = await connection.fetchval("SELECT min(id) FROM barbers")
    finally:
        await connection.close()
    today = at.history.end - timedelta(days=1)
    end = today.replace(day=1)
    month = (months_before(end, 1), end)
    return [
        Question(report, barber, month, today) for report in REPORTS for barber in (SHOP, barber_id)
    ]


def _past(questions: Sequence[Question]) -> list[Question]:
    return [
        Question(one.report, one.barber_id, one.month, one.as_of - timedelta(days=days))
        for one in questions
        if one.report in tables.CLIENTS
        for days in _DAYS_AGO
    ]
