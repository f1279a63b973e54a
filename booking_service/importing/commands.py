"""Import a salon's books, or make a salon up: each in one transaction, all or nothing."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from time import perf_counter
from zoneinfo import ZoneInfo

import asyncpg
from rich.console import Console

from booking_service.importing.copying import write_batch, write_shop
from booking_service.importing.generator import GeneratorOptions, plan
from booking_service.importing.progress import reporting
from booking_service.importing.records import Batch, Shop
from booking_service.importing.salon import read_salon
from booking_service.importing.summaries import Summary, Tally

__all__ = ["generate", "import_salon"]

# Far above the 1,000 rows from which a statement tells one event, small enough for a bar to move.
_BATCH = 10_000


async def import_salon(
    database_url: str, directory: Path, *, name: str | None = None, console: Console | None = None
) -> Summary:
    """Import the salon's books in `directory` as a new organization; prints what it does.

    `name` is the organization's, None: the folder's. Nothing is written unless all of it is.

    Raises:
        BadBooks: the books are not sound; names every bad row. Nothing was written.

    """
    console = console or Console(stderr=True)
    began = perf_counter()
    console.print(f"reading {directory}", highlight=False)
    shop, batch = await asyncio.to_thread(_read, directory, name)
    writing = _Writing(database_url, console, began)
    return await writing.write(shop, iter([batch]), len(batch.appointments))


async def generate(
    database_url: str,
    options: GeneratorOptions,
    *,
    now: datetime,
    console: Console | None = None,
) -> Summary:
    """Make a salon up around the local day of `now` as a new organization; prints what it does.

    Equal options, and an equal local day of `now`, give equal rows.

    Raises:
        ValueError: the options make no salon.

    """
    console = console or Console(stderr=True)
    began = perf_counter()
    planned = plan(options, now)
    writing = _Writing(database_url, console, began)
    return await writing.write(planned.shop, planned.batches(_BATCH), planned.about)


def _read(directory: Path, name: str | None) -> tuple[Shop, Batch]:
    return read_salon(directory, name or directory.resolve().name)


@dataclass(frozen=True, slots=True)
class _Writing:
    """One writing of a shop: where to, whom to tell, and since when it is timed."""

    database_url: str
    console: Console
    began: float

    async def write(self, shop: Shop, batches: Iterator[Batch], about: int) -> Summary:
        """Write everything in one transaction; `about` is how many appointments to expect."""
        tally, zone = Tally(), ZoneInfo(shop.time_zone)
        async with self._connected() as connection, connection.transaction():
            ids = await write_shop(connection, shop)
            with reporting(self.console, "appointments", about) as advance:
                # The next batch is made in a thread while Postgres works on this one.
                coming = asyncio.create_task(asyncio.to_thread(next, batches, None))
                try:
                    while (batch := await coming) is not None:
                        coming = asyncio.create_task(asyncio.to_thread(next, batches, None))
                        await write_batch(connection, ids, batch)
                        tally.add(batch, zone)
                        advance(len(batch.appointments))
                finally:
                    await asyncio.gather(coming, return_exceptions=True)
        summary = Summary(
            organization_id=ids.organization,
            name=shop.name,
            barbers=len(shop.barbers),
            services=len(shop.services),
            clients=len(shop.clients),
            tally=tally,
            seconds=perf_counter() - self.began,
        )
        self.console.print(summary.table(shop.currency))
        return summary

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[asyncpg.Connection]:
        url = self.database_url.replace("postgresql+asyncpg:", "postgresql:", 1)
        connection = await asyncpg.connect(url)
        try:
            yield connection
        finally:
            await connection.close()
