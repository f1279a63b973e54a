"""What reads ask of the database, counted in its log."""

from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import pytest

from chairside.cache.v1 import analytics_pb2
from chairside.cache.v1 import cache_service_pb2 as pb
from chairside.cache.v1.cache_service_pb2_grpc import CacheServiceStub
from devstack.postgres import PostgresServer
from devstack.statement_log import StatementLog
from devstack.valkey import ValkeyServer
from service_kit.values import to_date
from tests.conftest import NewDatabase
from tests.integration.cache.running import Cache, source, start_cache
from tests.integration.cache.shops import Shop, open_shop
from tests.support.stack import Database

MONDAY, TUESDAY = to_date(date(2025, 3, 10)), to_date(date(2025, 3, 11))
READS = (
    "GetAvailability",
    "GetSchedule",
    "GetBookedSlots",
    "GetUserData",
    "ListAppointments",
    "ListClients",
    "ListServices",
    "ListBarbers",
    "revenue",
    "appointment_stats",
    "six_figure",
    "patterns",
    "comparison",
    "barber_performance",
    "retention",
    "lifetime_value",
    "dashboard",
)


class Counted(NamedTuple):
    """A service, its database, and the log of what that is asked."""

    cache: Cache
    database: Database
    log: StatementLog


@pytest.fixture(scope="module")
async def counted(
    postgres: PostgresServer, new_database: NewDatabase, server_directory: Path
) -> AsyncIterator[Counted]:
    """Run a service whose database logs every statement."""
    directory = server_directory / "statement-counts"
    async with new_database() as database, ValkeyServer(directory) as valkey:
        log = await StatementLog.start(postgres, database.name)
        async with start_cache(database.cache_url, valkey.url, directory) as cache:
            yield Counted(cache, database, log)


async def _open_shop(database: Database) -> tuple[Shop, int]:
    connection = await asyncpg.connect(database.url)
    try:
        shop = await open_shop(connection)
        client_id: int = await connection.fetchval(
            "INSERT INTO clients (organization_id, name) VALUES ($1, 'C') RETURNING id",
            shop.organization_id,
        )
        await connection.execute("DELETE FROM outbox")
    finally:
        await connection.close()
    return shop, client_id


async def _ask(stub: CacheServiceStub, name: str, shop: Shop, client_id: int) -> Any:
    """Make the read of that name (a method's, or a report's of GetAnalytics)."""
    who: dict[str, Any] = {"organization_id": shop.organization_id}
    barber = {"barber_id": shop.barbers[0]}
    days = {"start_date": MONDAY, "end_date": TUESDAY}
    requests: dict[str, Any] = {
        "GetAvailability": pb.GetAvailabilityRequest(
            **who, barber_ids=shop.barbers, service_id=shop.services[0], start_date=MONDAY
        ),
        "GetSchedule": pb.GetScheduleRequest(**who, **barber),
        "GetBookedSlots": pb.GetBookedSlotsRequest(**who, **barber, **days),
        "GetUserData": pb.GetUserDataRequest(**who, client_id=client_id),
        "ListAppointments": pb.ListAppointmentsRequest(**who, **days),
        "ListClients": pb.ListClientsRequest(**who),
        "ListServices": pb.ListServicesRequest(**who),
        "ListBarbers": pb.ListBarbersRequest(**who),
        "revenue": pb.GetAnalyticsRequest(**who, **days, revenue=analytics_pb2.RevenueOptions()),
        "appointment_stats": pb.GetAnalyticsRequest(
            **who, **days, appointment_stats=analytics_pb2.AppointmentStatsOptions()
        ),
        "patterns": pb.GetAnalyticsRequest(**who, **days, patterns=analytics_pb2.PatternsOptions()),
        "comparison": pb.GetAnalyticsRequest(
            **who, as_of_date=MONDAY, comparison=analytics_pb2.ComparisonOptions()
        ),
        "barber_performance": pb.GetAnalyticsRequest(
            **who, **days, barber_performance=analytics_pb2.BarberPerformanceOptions()
        ),
        "retention": pb.GetAnalyticsRequest(
            **who, as_of_date=MONDAY, retention=analytics_pb2.RetentionOptions()
        ),
        "lifetime_value": pb.GetAnalyticsRequest(
            **who, as_of_date=MONDAY, lifetime_value=analytics_pb2.LifetimeValueOptions()
        ),
        "dashboard": pb.GetAnalyticsRequest(
            **who, **days, as_of_date=MONDAY, dashboard=analytics_pb2.DashboardOptions()
        ),
        "six_figure": pb.GetAnalyticsRequest(
            **who,
            as_of_date=MONDAY,
            six_figure=analytics_pb2.SixFigureOptions(target_annual_income=100_000),
        ),
    }
    method = name if hasattr(stub, name) else "GetAnalytics"
    return await getattr(stub, method)(requests[name])


@pytest.mark.parametrize("name", READS)
async def test_a_miss_asks_two_statements_and_a_hit_none(counted: Counted, name: str) -> None:
    """A miss reads its snapshot and its answer in one transaction; a hit leaves Postgres alone."""
    stub = counted.cache.stub
    # Of another shop, so that what is asked once for each connection or shop is not counted.
    await _ask(stub, name, *await _open_shop(counted.database))
    shop, client_id = await _open_shop(counted.database)
    await stub.GetBookedSlots(
        pb.GetBookedSlotsRequest(organization_id=shop.organization_id, barber_id=shop.barbers[0])
    )
    counted.log.take()

    assert source(await _ask(stub, name, shop, client_id)) == "DATABASE"
    (miss,) = counted.log.take()
    begin, snapshot, answer, commit = miss
    assert begin.startswith("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    assert "pg_current_snapshot()" in snapshot
    assert answer.startswith(("SELECT", "WITH"))
    assert commit.startswith("COMMIT")

    assert source(await _ask(stub, name, shop, client_id)) == "REDIS"
    assert counted.log.take() == []
