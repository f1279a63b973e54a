"""The calls of the tour, over plain channels as any other client's."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from datetime import date, timedelta
from typing import Self, TypeVar

import grpc
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status.rpc_status import from_call

from chairside.booking.v1 import booking_service_pb2 as booking
from chairside.booking.v1.booking_service_pb2_grpc import BookingServiceStub
from chairside.cache.v1 import analytics_pb2, types_pb2
from chairside.cache.v1 import cache_service_pb2 as cache
from chairside.cache.v1.cache_service_pb2_grpc import CacheServiceStub
from service_kit.values import to_date

__all__ = ["Caller", "reason_of", "timed"]

T = TypeVar("T")
_TIMEOUT = 10.0


async def timed(call: Awaitable[T]) -> tuple[T, float]:
    """Return an answer and how many milliseconds it took."""
    began = time.perf_counter()
    answer = await call
    return answer, (time.perf_counter() - began) * 1000


def reason_of(error: grpc.aio.AioRpcError) -> str:
    """Return the reason of a rich error, or the code's name."""
    status = from_call(error)
    for detail in status.details if status else ():
        info = ErrorInfo()
        if detail.Unpack(info):
            return info.reason
    return str(error.code().name)


class Caller:
    """One organization's calls to both services."""

    def __init__(self, cache_target: str, booking_target: str, organization_id: int) -> None:
        self.organization_id = organization_id
        self._targets = cache_target, booking_target
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        channels = [
            await self._stack.enter_async_context(grpc.aio.insecure_channel(target))
            for target in self._targets
        ]
        self.cache = CacheServiceStub(channels[0])
        self.booking = BookingServiceStub(channels[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def barbers(self, service_id: int = 0) -> list[types_pb2.Barber]:
        """Return the active barbers, and what they offer."""
        request = cache.ListBarbersRequest(
            organization_id=self.organization_id, service_id=service_id
        )
        return list((await self.cache.ListBarbers(request, timeout=_TIMEOUT)).barbers)

    async def slots(
        self, barber_id: int, service_id: int, first: date | None = None, days: int = 1
    ) -> cache.GetAvailabilityResponse:
        """Return free slots of some days; of today where none is named."""
        request = cache.GetAvailabilityRequest(
            organization_id=self.organization_id, barber_ids=[barber_id], service_id=service_id
        )
        if first is not None:
            request.start_date.CopyFrom(to_date(first))
            request.end_date.CopyFrom(to_date(first + timedelta(days=days)))
        return await self.cache.GetAvailability(request, timeout=_TIMEOUT)

    async def book(
        self, barber_id: int, service_id: int, slot: types_pb2.Slot
    ) -> booking.CreateAppointmentResponse:
        """Book a slot for a walk-in."""
        request = booking.CreateAppointmentRequest(
            organization_id=self.organization_id,
            barber_id=barber_id,
            service_id=service_id,
            start_time=slot.start_time,
        )
        return await self.booking.CreateAppointment(request, timeout=_TIMEOUT)

    async def revenue(self, first: date, end: date) -> cache.GetAnalyticsResponse:
        """Return the shop's revenue by month."""
        request = cache.GetAnalyticsRequest(
            organization_id=self.organization_id,
            start_date=to_date(first),
            end_date=to_date(end),
            revenue=analytics_pb2.RevenueOptions(group_by=analytics_pb2.GROUP_BY_MONTH),
        )
        return await self.cache.GetAnalytics(request, timeout=_TIMEOUT)
