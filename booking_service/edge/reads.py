"""The methods that only read: one from the database, two through the cache service."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Protocol

import grpc

from booking_service.edge import dashboard, messages
from booking_service.edge.passing import pass_on
from booking_service.use_cases.reading import Reads
from chairside.booking.v1 import booking_service_pb2 as pb
from chairside.cache.v1 import cache_service_pb2
from service_kit.calls import Context, remaining
from service_kit.validation import Violations

__all__ = ["CacheReader", "Reading"]

# Kept back from the call's deadline for the way of the answer.
_MARGIN = 0.05
_MAX_INCOME = 1e9


class CacheReader(Protocol):
    """Ask the cache service within `timeout` seconds; raises `grpc.aio.AioRpcError`."""

    def get_availability(
        self, request: cache_service_pb2.GetAvailabilityRequest, timeout: float
    ) -> Coroutine[Any, Any, cache_service_pb2.GetAvailabilityResponse]:
        """Ask for free slots."""
        ...

    def get_analytics(
        self, request: cache_service_pb2.GetAnalyticsRequest, timeout: float
    ) -> Coroutine[Any, Any, cache_service_pb2.GetAnalyticsResponse]:
        """Ask for a report."""
        ...

    def saw(self, organization_id: int, token: bytes) -> None:
        """Have the reads of that organization see what the token stands for."""
        ...


class Reading:
    """Read."""

    def __init__(self, reads: Reads, cache: CacheReader) -> None:
        self._reads = reads
        self._cache = cache

    async def GetAppointment(
        self, request: pb.GetAppointmentRequest, _context: Context
    ) -> pb.GetAppointmentResponse:
        """Read one appointment from the database."""
        v = Violations()
        organization_id = v.id("organization_id", request.organization_id)
        appointment_id = v.id("appointment_id", request.appointment_id)
        v.raise_if_any()
        found, token = await self._reads.appointment(organization_id, appointment_id)
        return pb.GetAppointmentResponse(appointment=messages.appointment(found), token=token)

    async def SearchAvailability(
        self, request: pb.SearchAvailabilityRequest, context: Context
    ) -> pb.SearchAvailabilityResponse:
        """Pass the question on: the cache service checks it, field by field of the same name."""
        question = cache_service_pb2.GetAvailabilityRequest(
            organization_id=request.organization_id,
            barber_ids=request.barber_ids,
            service_id=request.service_id,
            start_date=request.start_date if request.HasField("start_date") else None,
            end_date=request.end_date if request.HasField("end_date") else None,
            time_zone=request.time_zone,
            consistency=request.consistency if request.HasField("consistency") else None,
        )
        seconds = remaining(context, _MARGIN)
        try:
            found = await self._cache.get_availability(question, seconds)
        except grpc.aio.AioRpcError as error:
            await pass_on(error, context, seconds)
        return pb.SearchAvailabilityResponse(
            barbers=found.barbers,
            next_available=found.next_available if found.HasField("next_available") else None,
            time_zone=found.time_zone,
            cache_info=found.cache_info,
        )

    async def GetDashboard(
        self, request: pb.GetDashboardRequest, context: Context
    ) -> pb.GetDashboardResponse:
        """Ask for revenue, statistics and all in short at once, and put them side by side."""
        v = Violations()
        organization_id = v.id("organization_id", request.organization_id)
        v.optional_id("barber_id", request.barber_id)
        has_day = request.HasField("as_of_date")
        day = v.date("as_of_date", request.as_of_date, has=has_day)
        has_income = request.HasField("target_annual_income")
        if has_income and not 0 < request.target_annual_income <= _MAX_INCOME:
            v.add("target_annual_income", "must be greater than 0 and at most 1,000,000,000")
        v.raise_if_any()
        day = day or await self._reads.today(organization_id)
        seconds = remaining(context, _MARGIN)
        try:
            parts = await self._ask_all(dashboard.questions(request, day), seconds)
        except grpc.aio.AioRpcError as error:
            await pass_on(error, context, seconds)
        return dashboard.answer(parts)

    async def _ask_all(
        self, questions: Sequence[cache_service_pb2.GetAnalyticsRequest], seconds: float
    ) -> list[cache_service_pb2.GetAnalyticsResponse]:
        asking = [
            asyncio.ensure_future(self._cache.get_analytics(question, seconds))
            for question in questions
        ]
        try:
            return await asyncio.gather(*asking)
        finally:
            for task in asking:  # the first error ends the others
                task.cancel()
