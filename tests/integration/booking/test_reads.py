"""Reads through the cache service: passed on whole, errors included."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from cache_service.app import SERVICE as CACHE
from chairside.booking.v1 import booking_service_pb2 as pb
from chairside.cache.v1 import analytics_pb2 as analytics
from chairside.cache.v1 import cache_service_pb2 as cache
from chairside.cache.v1 import types_pb2 as types
from service_kit.access_log import AccessLog
from service_kit.calls import Calls, Context, remaining
from service_kit.errors import FailedPrecondition, InvalidArgument, Unavailable, Violation
from service_kit.metrics import Metrics
from service_kit.rpc import register
from tests.integration.booking.house import (
    MONDAY,
    House,
    Shop,
    cad,
    day,
    open_house,
    open_shop,
    stamp,
)
from tests.support.batching import batch_get
from tests.support.failures import failure
from tests.support.stack import Database

Answer = Callable[[Any, Context], Awaitable[Any]]


class FakeCache:
    """A cache service that answers what a test tells it to, and keeps the questions."""

    def __init__(self) -> None:
        self.questions: list[Any] = []
        self.seconds: list[float] = []
        self.answer: Answer = self.nothing

    async def nothing(self, _request: Any, _context: Context) -> Any:
        """Answer nothing."""
        return cache.GetAvailabilityResponse()

    async def GetAvailability(self, request: Any, context: Context) -> Any:
        """Keep the question and give the answer."""
        self.questions.append(request)
        self.seconds.append(remaining(context))
        return await self.answer(request, context)

    GetAnalytics = GetAvailability

    async def BatchGet(self, request: Any, context: Context) -> Any:
        """Answer each read as its method does."""
        return await batch_get(self, request, context)


@pytest.fixture
async def reading(database: Database) -> AsyncIterator[tuple[House, Shop, FakeCache]]:
    """Serve bookings over a fake cache service."""
    fake = FakeCache()
    server = grpc.aio.server()
    register(server, CACHE, fake, Calls(Metrics(), AccessLog(None)))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with open_house(database, cache_target=f"127.0.0.1:{port}") as house:
        yield house, await open_shop(house, barbers=1), fake
    await server.stop(None)


async def test_a_search_is_passed_on_and_back_whole(
    reading: tuple[House, Shop, FakeCache],
) -> None:
    """Every field reaches the cache service, every part of its answer comes back."""
    house, shop, fake = reading
    slot = types.Slot(start_time=stamp(MONDAY), end_time=stamp(MONDAY))
    found = cache.GetAvailabilityResponse(
        barbers=[types.BarberAvailability(barber_id=7, slots=[slot])],
        next_available=types.NextAvailable(barber_id=7, slot=slot),
        time_zone="America/Toronto",
        cache_info=types.CacheInfo(source=types.SOURCE_REDIS, age=Duration(seconds=3)),
    )

    async def answer(_request: Any, _context: Context) -> Any:
        return found

    fake.answer = answer
    asked = {
        "organization_id": shop.id,
        "barber_ids": [7, 8],
        "service_id": shop.service,
        "start_date": day(2025, 6, 2),
        "end_date": day(2025, 6, 9),
        "time_zone": "Asia/Kolkata",
        "consistency": types.Consistency(at_least_as_fresh=b"token"),
    }
    response = await house.stub.SearchAvailability(pb.SearchAvailabilityRequest(**asked), timeout=3)
    assert fake.questions == [cache.GetAvailabilityRequest(**asked)]
    assert 2 < fake.seconds[0] < 2.96  # the call's deadline, less a margin
    assert response.SerializeToString() == found.SerializeToString()
    await house.stub.SearchAvailability(pb.SearchAvailabilityRequest(organization_id=1))
    assert fake.questions[1] == cache.GetAvailabilityRequest(organization_id=1)


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (InvalidArgument([Violation("end_date", "x")]), "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        (
            FailedPrecondition("BARBER_INACTIVE", "x", barber_id=7),
            "FAILED_PRECONDITION",
            "BARBER_INACTIVE",
        ),
        (Unavailable("DATABASE_UNAVAILABLE", "x"), "UNAVAILABLE", "DATABASE_UNAVAILABLE"),
        (RuntimeError("secret"), "INTERNAL", "INTERNAL"),
    ],
)
async def test_errors_of_the_cache_service_are_passed_on(
    reading: tuple[House, Shop, FakeCache], error: Exception, code: str, reason: str
) -> None:
    """Status, reason, fields and details are those that the cache service gave."""
    house, shop, fake = reading

    async def answer(_request: Any, _context: Context) -> Any:
        raise error

    fake.answer = answer
    search = pb.SearchAvailabilityRequest(organization_id=shop.id, service_id=shop.service)
    dashboard = pb.GetDashboardRequest(organization_id=shop.id)
    for call in (house.stub.SearchAvailability(search), house.stub.GetDashboard(dashboard)):
        failed = await failure(call)
        assert (failed.code, failed.reason) == (code, reason)
        assert failed.fields == (["end_date"] if code == "INVALID_ARGUMENT" else [])
        assert failed.retry == (code == "UNAVAILABLE")


async def test_a_cache_service_away_is_unavailable(shop: Shop) -> None:
    """Nobody at the target: UNAVAILABLE with a reason of its own and a time to retry after."""
    search = pb.SearchAvailabilityRequest(organization_id=shop.id, service_id=shop.service)
    failed = await failure(shop.house.stub.SearchAvailability(search))
    assert (failed.code, failed.reason) == ("UNAVAILABLE", "CACHE_SERVICE_UNAVAILABLE")
    assert failed.retry


async def test_a_dashboard_is_three_reports_at_once(
    reading: tuple[House, Shop, FakeCache],
) -> None:
    """The three are asked concurrently, of the 30 days before the shop's today."""
    house, shop, fake = reading
    all_asked = asyncio.Event()

    async def answer(request: Any, _context: Context) -> Any:
        if len(fake.questions) == 3:
            all_asked.set()
        await all_asked.wait()
        kind = request.WhichOneof("report")
        info = {
            "revenue": types.CacheInfo(source=types.SOURCE_NEAR, age=Duration(seconds=1)),
            "appointment_stats": types.CacheInfo(
                source=types.SOURCE_DATABASE, age=Duration(seconds=9, nanos=5)
            ),
            "dashboard": types.CacheInfo(source=types.SOURCE_REDIS, stale=True),
        }
        report = {
            "revenue": analytics.RevenueReport(total=analytics.RevenuePeriod(revenue=cad(7))),
            "appointment_stats": analytics.AppointmentStatsReport(),
            "dashboard": analytics.DashboardReport(
                six_figure=analytics.SixFigureReport(monthly_revenue=cad(8)),
                insights=[analytics.Insight(kind="retention")],
            ),
        }
        return cache.GetAnalyticsResponse(**{kind: report[kind]}, cache_info=info[kind])

    fake.answer = answer
    response = await house.stub.GetDashboard(
        pb.GetDashboardRequest(organization_id=shop.id, barber_id=4), timeout=10
    )
    assert response.revenue.total.revenue == cad(7)
    assert response.HasField("appointment_stats")
    assert response.six_figure.monthly_revenue == cad(8)
    assert [insight.kind for insight in response.dashboard.insights] == ["retention"]
    assert response.cache_info == types.CacheInfo(
        source=types.SOURCE_DATABASE, age=Duration(seconds=9, nanos=5), stale=True
    )
    by_kind = {question.WhichOneof("report"): question for question in fake.questions}
    assert set(by_kind) == {"revenue", "appointment_stats", "dashboard"}
    for question in fake.questions:
        assert question.start_date == day(2025, 5, 3)
        assert question.end_date == day(2025, 6, 2)
    short = by_kind["dashboard"]
    assert short.as_of_date == day(2025, 6, 2)
    assert not short.dashboard.HasField("target_annual_income")
    assert {question.barber_id for question in fake.questions} == {4}
    assert not any(question.HasField("consistency") for question in fake.questions)


async def test_a_dashboards_income_and_freshness_are_passed_on(
    reading: tuple[House, Shop, FakeCache],
) -> None:
    """The income aimed at reaches the report that takes one, the consistency all three."""
    house, shop, fake = reading

    async def answer(_request: Any, _context: Context) -> Any:
        return cache.GetAnalyticsResponse()

    fake.answer = answer
    consistency = types.Consistency(max_staleness=Duration(seconds=60))
    await house.stub.GetDashboard(
        pb.GetDashboardRequest(
            organization_id=shop.id, target_annual_income=60_000.5, consistency=consistency
        )
    )
    by_kind = {question.WhichOneof("report"): question for question in fake.questions}
    assert by_kind["dashboard"].dashboard.target_annual_income == 60_000.5
    assert [question.consistency for question in fake.questions] == 3 * [consistency]


async def test_a_dashboard_of_an_unknown_shop_is_not_found(shop: Shop) -> None:
    """Without a day the shop's own is asked for, which an unknown shop does not have."""
    failed = await failure(shop.house.stub.GetDashboard(pb.GetDashboardRequest(organization_id=99)))
    assert (failed.code, failed.resource) == ("NOT_FOUND", "organization")


async def test_a_booking_that_the_cache_missed_is_seen_by_the_next_search(
    reading: tuple[House, Shop, FakeCache],
) -> None:
    """The process carries the token of its own unapplied mutation, in that shop alone."""
    house, shop, fake = reading

    async def missed() -> bool:
        return False

    async def search(organization_id: int, **fields: Any) -> types.Consistency:
        asked = pb.SearchAvailabilityRequest(organization_id=organization_id, **fields)
        await house.stub.SearchAvailability(asked)
        return fake.questions[-1].consistency  # type: ignore[no-any-return]

    await shop.book(MONDAY + timedelta(hours=2))
    assert await search(shop.id) == types.Consistency(), "applied, so every read sees it"
    house.cache.answer = missed
    booked = await house.stub.CreateAppointment(shop.request(MONDAY + timedelta(hours=4)))
    assert not booked.cache_applied
    assert await search(shop.id) == types.Consistency(at_least_as_fresh=booked.token)
    assert await search(shop.id + 1) == types.Consistency()
    own = types.Consistency(max_staleness=Duration(seconds=9))
    assert await search(shop.id, consistency=own) == own
