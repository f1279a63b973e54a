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
from chairside.cache.v1 import analytics_pb2
from service_kit.values import from_money
from tests.conftest import NewDatabase
from tests.integration.analytics.asking import answers, ask, compared, questions
from tests.support.plain_reports import REPORTS, Books, read_books
from tests.support.salon_books import Totals, books_at_hand

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
    """The salon as the cache service sees it, what its books say in sum, and all of its rows."""

    reader: AsyncEngine
    totals: Totals
    books: Books


@pytest.fixture(scope="module")
async def salon(
    new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Salon]:
    """Import the books into a database of their own."""
    folder: Path = tmp_path_factory.mktemp("books")
    directory, totals = books_at_hand(folder)
    async with new_database() as database:
        await import_salon(database.url, directory, console=Console(file=io.StringIO()))
        connection = await asyncpg.connect(database.url)
        await connection.execute("ANALYZE")
        books = await read_books(connection, 1)
        await connection.close()
        url = database.cache_url.replace("postgresql://", "postgresql+asyncpg://", 1)
        engine = create_async_engine(url, isolation_level="REPEATABLE READ")
        yield Salon(engine, totals, books)
        await engine.dispose()


@pytest.mark.parametrize("report", REPORTS)
async def test_every_figure_of_the_salon(salon: Salon, report: str) -> None:
    """Of the shop and of each of its barbers, over all ranges and as of all days."""
    who = (0, *sorted(salon.books.barbers))
    requests = questions(report, 1, who, RANGES, DAYS)
    responses = await answers(salon.reader, requests)
    assert compared(salon.books, requests, responses) == []
    assert len(salon.books.appointments) > 1000


async def test_monthly_net_revenue_is_what_the_books_state(salon: Salon) -> None:
    """Every month's revenue equals the books' own total, to the cent."""
    by_month = analytics_pb2.RevenueOptions(group_by=analytics_pb2.GROUP_BY_MONTH)
    (response,) = await answers(salon.reader, [ask(1, 0, RANGES[0], None, revenue=by_month)])
    report = response.revenue
    found = {p.period: from_money(p.revenue) for p in report.series if p.transactions}
    assert found == {month: amount for month, amount in salon.totals.revenue.items() if amount}
    assert from_money(report.total.revenue) == sum(salon.totals.revenue.values())
    assert len(report.series) == 12
