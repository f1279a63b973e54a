"""A rough salon behind both services, all reports about it, and mutations of every kind."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date

import asyncpg

from chairside.booking.v1.booking_service_pb2_grpc import BookingServiceStub
from chairside.cache.v1 import types_pb2
from chairside.cache.v1.cache_service_pb2 import GetAnalyticsRequest, GetAnalyticsResponse
from chairside.cache.v1.cache_service_pb2_grpc import CacheServiceStub
from tests.conftest import NewDatabase, NewSystem
from tests.integration.analytics.asking import questions
from tests.integration.analytics.every_mutation import Mutating
from tests.integration.analytics.rough_shop import RoughShop, write_rough_shop
from tests.support.plain_reports import REPORTS

__all__ = ["FRESH", "MINUTE", "Open", "open_salon", "payloads"]

CLOCK = "2020-04-01T16:00:00+00:00"
NOW = ([(date(2020, 3, 1), date(2020, 6, 1))], [date(2020, 5, 20)])
BEFORE = ([(date(2019, 12, 1), date(2020, 1, 1))], [date(2020, 1, 1)])
MINUTE = types_pb2.Consistency(max_staleness={"seconds": 60})
FRESH = types_pb2.Consistency(fully_consistent=True)
AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Open:
    """A rough salon that is open for business, and all reports about it."""

    shop: RoughShop
    mutating: Mutating
    cache: CacheServiceStub
    requests: Sequence[GetAnalyticsRequest]

    async def read(
        self, consistency: types_pb2.Consistency | None = None
    ) -> list[GetAnalyticsResponse]:
        """Read all reports, several at once."""
        turn = asyncio.Semaphore(AT_ONCE)

        async def one(request: GetAnalyticsRequest) -> GetAnalyticsResponse:
            async with turn:
                asked = GetAnalyticsRequest()
                asked.CopyFrom(request)
                if consistency is not None:
                    asked.consistency.CopyFrom(consistency)
                response: GetAnalyticsResponse = await self.cache.GetAnalytics(asked, timeout=20)
                return response

        return await asyncio.gather(*map(one, self.requests))


@asynccontextmanager
async def open_salon(new_database: NewDatabase, new_system: NewSystem) -> AsyncIterator[Open]:
    """Write a salon, and start both services on the day up to which it is written."""
    async with new_database() as database:
        connection = await asyncpg.connect(database.url)
        shop = await write_rough_shop(
            connection, database.url, seed=21, zone="America/New_York", currency="USD", prices="1"
        )
        await connection.execute("ANALYZE")
        org = shop.organization_id
        requests = [
            request
            for report in REPORTS
            for who, when in (((0, shop.barbers[0]), NOW), ((0,), BEFORE))
            for request in questions(report, org, who, *when, briefly=True)
        ]
        async with new_system({"CHAIRSIDE_CLOCK_START": CLOCK}, database=database) as system:
            booking = BookingServiceStub(system.booking_channel)
            mutating = Mutating(booking, connection, shop, "USD")
            yield Open(shop, mutating, CacheServiceStub(system.cache_channel), requests)
        await connection.close()


def payloads(responses: Sequence[GetAnalyticsResponse]) -> list[GetAnalyticsResponse]:
    """Take away how the answers were come by."""
    for response in responses:
        response.ClearField("cache_info")
    return list(responses)
