"""Import a salon's books, or make a salon up: the commands, and what they tell."""

import asyncio
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from time import perf_counter
from zoneinfo import ZoneInfo

from rich.console import Console

from booking_service.importing.generator import GeneratorOptions, plan
from booking_service.importing.progress import reporting
from booking_service.importing.records import Batch, Shop
from booking_service.importing.salon import read_salon
from booking_service.importing.summaries import Summary, Tally
from booking_service.importing.writing import connected, write_at_once, write_in_batches

__all__ = ["generate", "import_salon"]

# Above the 1,000 rows from which a statement tells one event; large ones keep two connections
# busy, small ones let a small salon use both at all.
_LEAST_BATCH, _MOST_BATCH, _BATCHES = 2_000, 20_000, 8


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
    tally = Tally()
    async with connected(database_url) as connection:
        with reporting(console, "appointments", len(batch.appointments)) as advance:
            organization_id = await write_at_once(connection, shop, batch)
            tally.add(batch, ZoneInfo(shop.time_zone))
            advance(len(batch.appointments))
    return _tell(console, shop, organization_id, tally, began)


async def generate(
    database_url: str,
    options: GeneratorOptions,
    *,
    now: datetime,
    console: Console | None = None,
) -> Summary:
    """Make a salon up around the local day of `now` as a new organization; prints what it does.

    Equal options, and an equal local day of `now`, give equal rows. It is written batch by batch;
    what an error or a cancellation leaves half done is deleted again.

    Raises:
        ValueError: the options make no salon.

    """
    console = console or Console(stderr=True)
    began = perf_counter()
    planned = plan(options, now)
    shop, tally = planned.shop, Tally()
    zone = ZoneInfo(shop.time_zone)
    size = min(max(planned.about // _BATCHES, _LEAST_BATCH), _MOST_BATCH)

    def counted() -> Iterator[Batch]:
        for batch in planned.batches(size):
            tally.add(batch, zone)
            yield batch

    async with connected(database_url) as one, connected(database_url) as other:
        with reporting(console, "appointments", planned.about) as advance:
            organization_id = await write_in_batches(one, other, shop, counted(), advance)
    return _tell(console, shop, organization_id, tally, began)


def _read(directory: Path, name: str | None) -> tuple[Shop, Batch]:
    return read_salon(directory, name or directory.resolve().name)


def _tell(
    console: Console, shop: Shop, organization_id: int, tally: Tally, began: float
) -> Summary:
    summary = Summary(
        organization_id=organization_id,
        name=shop.name,
        barbers=len(shop.barbers),
        services=len(shop.services),
        clients=len(shop.clients),
        tally=tally,
        seconds=perf_counter() - began,
    )
    console.print(summary.table(shop.currency))
    return summary
