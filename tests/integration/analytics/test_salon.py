"""Every figure of a salon's books: the real ones where they are at hand, else made up ones."""

import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import asyncpg
import pytest
from rich.console import Console
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from booking_service.importing import import_salon
from tests.conftest import NewDatabase
from tests.integration.analytics.asking import answers, compared, questions
from tests.integration.analytics.test_every_figure import BUILT
from tests.support.plain_reports import Books, read_books
from tests.support.salon_books import books_at_hand

RANGES = (
    (date(2018, 3, 1), date(2019, 3, 1)),
    (date(2018, 5, 1), date(2018, 6, 1)),
    (date(2018, 6, 27), date(2018, 8, 3)),
    (date(2018, 1, 1), date(2018, 1, 5)),
)
DAYS = (
    *(date(2018, 7, 30), date(2018, 7, 1), date(2018, 6, 1), date(2018, 5, 31)),
    *(date(2018, 6, 15), date(2017, 1, 1), date(2019, 1, 1), date(2020, 2, 29)),
)


@dataclass(frozen=True, slots=True)
class Salon:
    """The salon's database as the cache service's role sees it, and all of its rows."""

    reader: AsyncEngine
    books: Books


@pytest.fixture(scope="module")
async def salon(
    new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Salon]:
    """Import the books into a database of their own."""
    folder: Path = tmp_path_factory.mktemp("books")
    directory, _ = books_at_hand(folder)
    async with new_database() as database:
        await import_salon(database.url, directory, console=Console(file=io.StringIO()))
        connection = await asyncpg.connect(database.url)
        await connection.execute("ANALYZE")
        books = await read_books(connection, 1)
        await connection.close()
        url = database.cache_url.replace("postgresql://", "postgresql+asyncpg://", 1)
        engine = create_async_engine(url, isolation_level="REPEATABLE READ")
        yield Salon(engine, books)
        await engine.dispose()


@pytest.mark.parametrize("report", BUILT)
async def test_every_figure_of_the_salon(salon: Salon, report: str) -> None:
    """Of the shop and of each of its barbers, over all ranges and as of all days."""
    who = (0, *sorted(salon.books.barbers))
    requests = questions(report, 1, who, RANGES, DAYS)
    responses = await answers(salon.reader, requests)
    assert compared(salon.books, requests, responses) == []
    assert len(salon.books.appointments) > 1000
