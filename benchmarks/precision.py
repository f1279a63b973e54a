"""Needless invalidations: a salon's history, replayed under what a busy cache holds.

After each mutation the entries that its events' tags drop are loaded again: one whose answer
is what it was before was dropped for nothing. All others survive; that their answers did not
change either is checked at the end of each measured day.
"""

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from itertools import groupby
from pathlib import Path
from zoneinfo import ZoneInfo

import asyncpg
from sqlalchemy.ext.asyncio import create_async_engine

from benchmarks.history import Mutation, history_of
from benchmarks.replay import PrecisionError, Replay
from benchmarks.report import Bound, Section
from benchmarks.working_set import working_set
from booking_service.importing.copying import write_shop
from booking_service.importing.generator import GeneratorOptions, plan
from booking_service.importing.records import Batch, Shop
from booking_service.importing.salon import read_salon
from cache_service.edge.declared import discover
from devstack import databases
from devstack.postgres import PostgresServer

__all__ = ["SALON", "PrecisionError", "measure"]

SALON = Path(__file__).resolve().parents[2] / "shared" / "data" / "salon"
"""Where a salon's books may lie beside this repository."""
_DATABASE = "precision"
_PASSWORD = "benchmark"  # noqa: S105 - of a throwaway server on the loopback
_SURVIVE = 0.8
_MADE_UP_AT = datetime(2018, 7, 30, 16, tzinfo=UTC)
_HEAD = ("Held", "Dropped", "For nothing", "Of the dropped", "Survive of the unchanged")


async def measure(folder: Path, stride: int) -> list[Section]:
    """Replay the history of `folder`, or one made up, and measure each `stride`th day.

    Raises PrecisionError.
    """
    shop, batch, what = await asyncio.to_thread(_shop, folder)
    with tempfile.TemporaryDirectory(prefix="chairside-benchmark-") as name:
        Path(name).chmod(0o755)  # noqa: ASYNC240 - nothing else runs yet
        async with PostgresServer(Path(name) / "postgres", durable=False) as server:
            await databases.create_database(server.url(), _DATABASE)
            url = server.url(_DATABASE)
            await databases.migrate(url, _PASSWORD)
            connection = await asyncpg.connect(url)
            reader = create_async_engine(
                url.replace("postgresql://", "postgresql+asyncpg://", 1),
                isolation_level="REPEATABLE READ",
            )
            try:
                ids = await write_shop(connection, shop)
                mutations = await history_of(connection, ids, batch)
                await connection.execute("DELETE FROM outbox")
                cached = working_set(shop, ids, batch)
                replay = Replay(connection, reader, cached, ZoneInfo(shop.time_zone))
                await _run(replay, mutations, stride)
            finally:
                await reader.dispose()
                await connection.close()
    return _sections(replay, what, len(mutations), stride)


def _shop(folder: Path) -> tuple[Shop, Batch, str]:
    """Read the books, or make a shop up where there are none."""
    if folder.is_dir():
        return *read_salon(folder, "salon"), "a real salon's books"
    made = plan(GeneratorOptions(months=4, months_ahead=1, seed=7), _MADE_UP_AT)
    (batch,) = made.batches(1_000_000)
    return made.shop, batch, "a generated salon"


async def _run(replay: Replay, mutations: Sequence[Mutation], stride: int) -> None:
    for number, (today, of_day) in enumerate(_by_day(mutations, replay.zone)):
        if number % stride == stride // 2:
            await replay.day(today, of_day)
        else:
            for mutation in of_day:
                await replay.make(mutation)


def _by_day(mutations: Sequence[Mutation], zone: ZoneInfo) -> Iterator[tuple[date, list[Mutation]]]:
    for day, of_day in groupby(mutations, key=lambda one: one.at.astimezone(zone).date()):
        yield day, list(of_day)


def _sections(replay: Replay, what: str, mutations: int, stride: int) -> list[Section]:
    tally = replay.by_query
    names = sorted(tally.held)
    prefixes = {query.name: query.prefix for query in discover()}
    reports = [name for name in names if prefixes[name].startswith("analytics:")]
    about = f"""The history of {what}, replayed transaction by transaction under the answers that a
busy cache holds on the day: two weeks of free slots and busy times, schedules, lists,
40 clients, and each report for the shop and for each barber, of three months where it
takes a range, the comparison of a month, of a quarter and of a year. What was dropped is
loaded again: an equal answer was dropped for nothing. The last column is the share that
survives of the answers that a change left as they were.
Of {mutations:,} mutations {replay.measured:,} were measured, those of one day in {stride}."""
    command = f"python -m benchmarks precision --stride {stride}"
    rows = [tally.row(name, [name]) for name in names]
    rows += [tally.row("all reports", reports), tally.row("everything", names)]
    kinds = replay.by_kind
    by_kind = [kinds.row(kind, [kind]) for kind in sorted(kinds.held)]
    worst = min(reports, key=lambda name: tally.survive([name]))
    bounds = [
        Bound.at_least("unchanged reports that survive a change", _SURVIVE, tally.survive(reports)),
        Bound.at_least(f"of the worst report, {worst}", _SURVIVE, tally.survive([worst])),
    ]
    return [
        Section("Needless invalidations by query", command, about, ("Query", *_HEAD), rows, bounds),
        Section(
            "Needless invalidations by kind of change",
            command,
            "The same run, by what was changed.",
            ("Change", *_HEAD),
            by_kind,
            [],
        ),
    ]
