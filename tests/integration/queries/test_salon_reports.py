"""The reports on a salon's books: the real ones where they are at hand, else made up ones."""

import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import asyncpg
import pytest
from rich.console import Console
from sqlalchemy.ext.asyncio import create_async_engine

from booking_service.importing import import_salon
from cache_service.queries.appointment_stats import StatsArguments, appointment_stats
from cache_service.queries.declare import CachedQuery, LoadContext
from cache_service.queries.revenue import RevenueArguments, revenue
from cache_service.queries.six_figure import SixFigureArguments, six_figure
from chairside.cache.v1.cache_service_pb2 import GetAnalyticsResponse
from service_kit.values import from_money
from tests.conftest import NewDatabase
from tests.support.plain_analytics import Books, read_books
from tests.support.salon_books import Totals, books_at_hand

AS_OF = date(2018, 7, 30)
YEAR = (date(2018, 3, 1), date(2019, 3, 1))


@dataclass(frozen=True, slots=True)
class Salon:
    """The salon's database, its totals as its books say, and all of its rows."""

    url: str
    totals: Totals
    books: Books

    async def report(self, query: CachedQuery[object], arguments: object) -> GetAnalyticsResponse:
        """Load a report."""
        engine = create_async_engine(self.url)
        async with engine.connect() as connection:
            context = LoadContext(connection, datetime(2018, 7, 30, 16, tzinfo=UTC))
            (payload,) = await query.load(context, [arguments])
        await engine.dispose()
        return GetAnalyticsResponse.FromString(payload)


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
        books = await read_books(connection, 1)
        await connection.close()
        url = database.cache_url.replace("postgresql://", "postgresql+asyncpg://", 1)
        yield Salon(url, totals, books)


async def test_monthly_net_revenue_is_what_the_books_state(salon: Salon) -> None:
    """Every month's revenue equals the books' own total, to the cent."""
    report = await salon.report(revenue, RevenueArguments(1, 0, *YEAR, "month"))
    found = {p.period: from_money(p.revenue) for p in report.revenue.series if p.transactions}
    assert found == {month: amount for month, amount in salon.totals.revenue.items() if amount}
    assert from_money(report.revenue.total.revenue) == sum(salon.totals.revenue.values())
    assert len(report.revenue.series) == 12


async def test_statistics_of_the_year_equal_the_plain_count(salon: Salon) -> None:
    """Totals, services, hours and minutes of the whole book equal the plain count."""
    report = await salon.report(appointment_stats, StatsArguments(1, 0, *YEAR))
    stats, plain = report.appointment_stats, salon.books.stats(0, *YEAR)
    assert stats.total == plain["total"]
    assert {h.hour: h.count for h in stats.by_hour} == dict(plain["hours"])
    assert {s.service_id: (s.name, s.count, from_money(s.revenue)) for s in stats.by_service} == {
        service_id: figures[:3] for service_id, figures in plain["services"].items()
    }
    assert (stats.booked_minutes, stats.open_minutes) == (plain["booked"], plain["open"])
    assert stats.total > stats.by_service[0].count > 0


@pytest.mark.parametrize("barber_id", [0, 1, 2])
async def test_the_way_to_an_income_equals_the_plain_count(salon: Salon, barber_id: int) -> None:
    """The six-figure report of the shop and of a barber equals the plain one."""
    report = await salon.report(six_figure, SixFigureArguments(1, barber_id, AS_OF, 100_000.0))
    found, plain = report.six_figure, salon.books.six_figure(barber_id, AS_OF, 100_000.0)
    assert from_money(found.monthly_revenue) == plain["monthly_revenue"]
    assert from_money(found.previous_revenue) == plain["previous_revenue"]
    assert found.utilisation == pytest.approx(plain["utilisation"])
    assert found.active_clients == plain["active_clients"]
    assert found.retention_rate == pytest.approx(plain["retention_rate"])
    assert [action.kind for action in found.actions] == plain["actions"]
