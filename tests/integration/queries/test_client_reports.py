"""Retention and lifetime value, by hand: clients whose visits lie just within and without."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from cache_service.queries.declare import LoadContext
from cache_service.queries.lifetime_value import lifetime_value
from cache_service.queries.reports import AsOfArguments
from cache_service.queries.retention import retention
from chairside.cache.v1.analytics_pb2 import (
    ClientValue,
    ClientValues,
    LifetimeValueReport,
    RetentionReport,
)
from chairside.cache.v1.cache_service_pb2 import GetAnalyticsResponse
from service_kit.errors import NotFound
from service_kit.values import from_date, from_money
from tests.conftest import NewDatabase

AS_OF = date(2026, 7, 1)
_SHOP = """
INSERT INTO organizations (id, name, time_zone, currency) VALUES (1, 'Shop', 'UTC', 'EUR');
INSERT INTO barbers (id, organization_id, name) VALUES (1, 1, 'Ann'), (2, 1, 'Bob');
INSERT INTO services (id, organization_id, name, duration_minutes, price)
    VALUES (1, 1, 'cut', 30, 30);
"""

Answer = Callable[..., Awaitable[GetAnalyticsResponse]]


class Writer:
    """Writes clients into a shop of two barbers; days are counted back from `AS_OF`."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._ids = count(1)
        self._hours = count()

    async def client(
        self,
        visits: Sequence[int],
        paid: str = "0",
        *,
        refunded: str = "0",
        ago: int = 1,
        barber: int = 1,
    ) -> int:
        """Write a client with visits and with money that moved `ago` days before."""
        client = next(self._ids)
        await self._connection.execute(
            "INSERT INTO clients (id, organization_id, name) VALUES ($1, 1, $2)",
            client,
            f"Client {client}",
        )
        for days in visits:
            await self.visit(client, days, barber)
        for table, moment, amount in (
            ("payments", "paid_at", Decimal(paid)),
            ("refunds", "refunded_at", Decimal(refunded)),
        ):
            if amount:
                await self._connection.execute(
                    f"INSERT INTO {table} (organization_id, barber_id, client_id, amount, {moment})"  # noqa: S608 - named above
                    " VALUES (1, $1, $2, $3, $4)",
                    barber,
                    client,
                    amount,
                    _noon(ago),
                )
        return client

    async def visit(self, client: int, ago: int, barber: int) -> None:
        """Write a completed appointment, each at another minute of its day."""
        start = _noon(ago) + timedelta(minutes=next(self._hours) % 600)
        await self._connection.execute(
            "INSERT INTO appointments (organization_id, barber_id, service_id, client_id, status,"
            " starts_at, ends_at, blocked_from, blocked_until, price)"
            " VALUES (1, $1, 1, $2, 'completed', $3, $4, $3, $4, 30)",
            barber,
            client,
            start,
            start + timedelta(minutes=1),
        )


def _noon(ago: int) -> datetime:
    return datetime(AS_OF.year, AS_OF.month, AS_OF.day, 12, tzinfo=UTC) - timedelta(days=ago)


@pytest.fixture
async def shop(new_database: NewDatabase) -> AsyncIterator[tuple[Writer, Answer]]:
    """Open a shop without clients, and hand out how to write them and how to ask."""
    async with new_database() as database:
        connection = await asyncpg.connect(database.url)
        await connection.execute(_SHOP)
        url = database.cache_url.replace("postgresql://", "postgresql+asyncpg://", 1)
        engine = create_async_engine(url, isolation_level="REPEATABLE READ")

        async def answer(
            report: str, barber_id: int = 0, as_of: date = AS_OF
        ) -> GetAnalyticsResponse:
            async with engine.connect() as reading:
                context = LoadContext(reading, datetime(2026, 7, 1, tzinfo=UTC))
                if report == "retention":
                    asked = [AsOfArguments(1, barber_id, as_of)]
                    (payload,) = await retention.load(context, asked)
                else:
                    wanted = [AsOfArguments(1, barber_id, as_of)]
                    (payload,) = await lifetime_value.load(context, wanted)
            return GetAnalyticsResponse.FromString(payload)

        yield Writer(connection), answer
        await engine.dispose()
        await connection.close()


def _counts(report: RetentionReport) -> tuple[float, ...]:
    """Read all, active, at risk, lost; new, returning, rate; earlier, repeat, rate."""
    return (
        *(report.clients, report.active_clients, report.at_risk_clients, report.lost_clients),
        *(report.new_clients, report.returning_clients, report.retention_rate),
        *(report.earlier_clients, report.repeat_clients, report.repeat_rate_90),
    )


async def test_retention_by_hand(shop: tuple[Writer, Answer]) -> None:
    """Bounds of 30, 60, 90 and 180 days; today does not count; another day, another barber."""
    write, answer = shop
    assert _counts((await answer("retention")).retention) == (0,) * 10
    for visits in (
        (180, 90),  # earlier and again, lost
        (91,),  # earlier, lost, new
        (181, 30),  # active, returning
        (31,),  # at risk, new
        (200, 100, 60),  # earlier and again, at risk, returning
        (200, 61),  # lost, returning
        (0,),  # none yet
        (150, 0),  # earlier, lost, new
        (1, 1),  # active, new: one day
    ):
        await write.client(visits)
    await write.visit(3, 30, 2)
    report = (await answer("retention")).retention
    assert from_date(report.as_of_date) == AS_OF
    assert _counts(report) == (8, 2, 2, 4, 4, 4, 50.0, 4, 2, 50.0)
    assert _counts((await answer("retention", 2)).retention) == (1, 1, 0, 0, 1, 0, 0.0, 0, 0, 0.0)
    # A hundred days before: 80, 81, 100, 100 and 50 days ago.
    report = (await answer("retention", as_of=AS_OF - timedelta(days=100))).retention
    assert _counts(report) == (5, 0, 1, 4, 5, 0, 0.0, 2, 0, 0.0)
    # From tomorrow on today counts.
    report = (await answer("retention", as_of=AS_OF + timedelta(days=1))).retention
    assert _counts(report)[:6] == (9, 3, 2, 4, 4, 5)


def _values(values: ClientValues) -> tuple[object, ...]:
    """Read clients, spent, visits, predicted, and the means of these; None where absent."""
    means = [
        from_money(getattr(values, name)) if values.HasField(name) else None
        for name in ("mean_spent", "mean_predicted")
    ]
    visits = values.mean_visits if values.HasField("mean_visits") else None
    sums = from_money(values.spent), values.visits, from_money(values.predicted)
    return values.clients, *sums, means[0], visits, means[1]


def _worth(clients: Sequence[ClientValue]) -> list[tuple[int, Decimal]]:
    return [(client.client_id, from_money(client.predicted)) for client in clients]


async def test_lifetime_value_by_hand(shop: tuple[Writer, Answer]) -> None:
    """Segments at their bounds, predictions by pace, money before the day only."""
    write, answer = shop
    vip = await write.client((41, 31, 21, 11, 1), "520", refunded="20")
    regular = await write.client((41, 31, 21, 11, 1), "499.99")
    slow = await write.client((300, 200, 61), "200")
    paced = await write.client((181, 91, 1), "60")
    owed = await write.client((2, 1), "1", refunded="11")
    new = await write.client((5,), "1000")
    await write.client((5,), "70", ago=0)
    await write.client((), "70")
    await write.client((0,), "70")
    report: LifetimeValueReport = (await answer("lifetime_value")).lifetime_value
    assert _worth(report.top_clients) == [
        (vip, Decimal("7300.00")),  # 100 every 10 days for two years
        (regular, Decimal("7299.85")),  # 99.998 x 73 = 7,299.854
        (new, Decimal(1000)),
        (slow, Decimal(200)),  # 119.5 days are more than 90
        (paced, Decimal("162.22")),  # 20 x 365 / 90 x 2, 90 days are not
        (7, Decimal(0)),  # paid today
        (owed, Decimal(-3650)),
    ]
    first = report.top_clients[0]
    assert (first.name, first.segment, first.visits) == ("Client 1", 4, 5)
    assert (from_money(first.spent), from_money(first.average_order)) == (500, 100)
    assert first.mean_days_between_visits == 10
    assert from_date(first.first_visit) == AS_OF - timedelta(days=41)
    assert from_date(first.last_visit) == AS_OF - timedelta(days=1)
    assert not report.top_clients[2].HasField("mean_days_between_visits")
    assert report.top_clients[3].mean_days_between_visits == 119.5
    assert [values.segment for values in report.segments] == [1, 2, 3, 4]
    assert [_values(values) for values in report.segments] == [
        (2, 1000, 2, 1000, 500, 1.0, 500),
        (2, 50, 5, Decimal("-3487.78"), 25, 2.5, Decimal("-1743.89")),
        (2, Decimal("699.99"), 8, Decimal("7499.85"), Decimal("350.00"), 4.0, Decimal("3749.93")),
        (1, 500, 5, 7300, 500, 5.0, 7300),
    ]
    assert _values(report.total)[:4] == (7, Decimal("2249.99"), 20, Decimal("12312.08"))
    assert _values(report.at_risk) == (1, 200, 3, 200, 200, 3.0, 200)
    assert _worth(report.top_at_risk_clients) == [(slow, Decimal(200))]
    of_bob = (await answer("lifetime_value", 2)).lifetime_value
    assert _values(of_bob.total) == (0, 0, 0, 0, None, None, None)
    assert [_values(values)[0] for values in of_bob.segments] == [0, 0, 0, 0]
    # A hundred days before: two visits by now slow, one by now paced; no money yet.
    before = (await answer("lifetime_value", as_of=AS_OF - timedelta(days=100))).lifetime_value
    assert _values(before.total)[:4] == (2, 0, 3, 0)


async def test_money_is_rounded_half_even_and_equals_go_by_id(shop: tuple[Writer, Answer]) -> None:
    """Equal predictions of unequal making are ties; only ten are named."""
    write, answer = shop
    # 10 x 730 / (2 x 3) = 20 x 730 / (2 x 6): thirds that are equal.
    await write.client((4, 1), "10")
    await write.client((7, 1), "20")
    for number in range(9):
        await write.client((4, 1), "10" if number % 2 else "0.05")
    report = (await answer("lifetime_value")).lifetime_value
    assert [client.client_id for client in report.top_clients] == [1, 2, 4, 6, 8, 10, 3, 5, 7, 9]
    assert {from_money(client.predicted) for client in report.top_clients} == {
        Decimal("1216.67"),
        Decimal("6.08"),
    }
    assert from_money(report.top_clients[-1].average_order) == Decimal("0.02")  # of 0.025


async def test_a_barber_who_is_not_there_is_an_error(shop: tuple[Writer, Answer]) -> None:
    """Not an empty report."""
    _, answer = shop
    for report in ("retention", "lifetime_value"):
        with pytest.raises(NotFound):
            await answer(report, 3)
