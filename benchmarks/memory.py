"""What each service holds after many calls, and whether that still grows.

Reads come from h2load, all kinds in turn; bookings and cancellations from a client, so
that entries are dropped and filled all the time.
"""

from __future__ import annotations

import asyncio
import math
import random
import uuid
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import asyncpg
import grpc
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date

from benchmarks import h2load
from benchmarks.report import Bound, Section
from benchmarks.servers import (
    MeasuredService,
    Stand,
    megabytes,
    serve_booking,
    serve_cache,
    stand,
)
from chairside.booking.v1 import booking_service_pb2 as booking
from chairside.booking.v1.booking_service_pb2_grpc import BookingServiceStub
from chairside.cache.v1 import analytics_pb2
from chairside.cache.v1 import cache_service_pb2 as cache

if TYPE_CHECKING:
    from chairside.booking.v1.booking_service_pb2_grpc import BookingServiceAsyncStub

__all__ = ["measure"]

_LIMIT_MB = 200.0
_TURNS = 40
_MUTATIONS = 0.05
"""How many mutations the booking service gets for each read, in addition."""
_MUTATIONS_AT_ONCE = 8

Call = tuple[str, Message]


def _date(offset: int) -> Date:
    day = datetime.now(UTC).date() + timedelta(days=offset)
    return Date(year=day.year, month=day.month, day=day.day)


class _Shop:
    """The generated shop, and calls to make about it."""

    def __init__(self, organization_id: int, offers: list[tuple[int, int]]) -> None:
        self._organization_id = organization_id
        self._offers = offers
        # The same calls in every run; nothing here is a secret.
        self._random = random.Random(1)  # noqa: S311

    @classmethod
    async def of(cls, at: Stand) -> _Shop:
        connection = await asyncpg.connect(at.url)
        offers = await connection.fetch(
            "SELECT barber_id, service_id FROM barber_services JOIN barbers b ON b.id = barber_id "
            "WHERE b.organization_id = $1 AND offered AND active",
            at.organization_id,
        )
        await connection.close()
        return cls(at.organization_id, [(row[0], row[1]) for row in offers])

    def of_cache(self) -> list[Call]:
        """Make one call of each read of the cache service."""
        shop, (barber, service) = self._organization_id, self._random.choice(self._offers)
        since, until = _date(-self._random.randrange(30, 90)), _date(0)
        reads: dict[str, Message] = {
            "GetAvailability": cache.GetAvailabilityRequest(
                organization_id=shop,
                barber_ids=[barber],
                service_id=service,
                start_date=_date(self._random.randrange(60)),
            ),
            "GetAnalytics": cache.GetAnalyticsRequest(
                organization_id=shop,
                start_date=since,
                end_date=until,
                appointment_stats=analytics_pb2.AppointmentStatsOptions(),
            ),
            "GetSchedule": cache.GetScheduleRequest(organization_id=shop, barber_id=barber),
            "GetBookedSlots": cache.GetBookedSlotsRequest(
                organization_id=shop,
                barber_id=barber,
                start_date=_date(self._random.randrange(60)),
            ),
            "GetUserData": cache.GetUserDataRequest(
                organization_id=shop, client_id=self._random.randrange(1, 100)
            ),
            "ListAppointments": cache.ListAppointmentsRequest(
                organization_id=shop, barber_id=barber, start_date=since, end_date=until
            ),
            "ListClients": cache.ListClientsRequest(organization_id=shop),
            "ListServices": cache.ListServicesRequest(organization_id=shop),
            "ListBarbers": cache.ListBarbersRequest(organization_id=shop),
        }
        return [(f"/chairside.cache.v1.CacheService/{name}", one) for name, one in reads.items()]

    def of_booking(self) -> list[Call]:
        """Make one call of two reads of the booking service."""
        barber, service = self._random.choice(self._offers)
        get = booking.GetAppointmentRequest(
            organization_id=self._organization_id, appointment_id=self._random.randrange(1, 500)
        )
        search = booking.SearchAvailabilityRequest(
            organization_id=self._organization_id,
            barber_ids=[barber],
            service_id=service,
            start_date=_date(self._random.randrange(60)),
        )
        service_name = "/chairside.booking.v1.BookingService"
        return [
            (f"{service_name}/GetAppointment", get),
            (f"{service_name}/SearchAvailability", search),
        ]

    async def book_and_cancel(self, stub: BookingServiceAsyncStub) -> None:
        """Book a time and cancel it; that the time is taken is an answer like others."""
        barber, service = self._random.choice(self._offers)
        at = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        start = Timestamp()
        start.FromDatetime(at + timedelta(hours=self._random.randrange(24, 24 * 60)))
        try:
            made = await stub.CreateAppointment(
                booking.CreateAppointmentRequest(
                    organization_id=self._organization_id,
                    barber_id=barber,
                    service_id=service,
                    start_time=start,
                    request_id=str(uuid.UUID(int=self._random.getrandbits(128))),
                ),
                timeout=10,
            )
            await stub.CancelAppointment(
                booking.CancelAppointmentRequest(
                    organization_id=self._organization_id,
                    appointment_id=made.appointment.appointment_id,
                ),
                timeout=10,
            )
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.FAILED_PRECONDITION:
                raise


async def _read(service: MeasuredService, calls: Sequence[Call], number: int) -> None:
    for method, message in calls:
        await h2load.drive(
            service.address, method, message.SerializeToString(), calls=number // len(calls)
        )


async def _mutate(shop: _Shop, stub: BookingServiceAsyncStub, number: int) -> None:
    for _ in range(math.ceil(number / (2 * _MUTATIONS_AT_ONCE))):
        await asyncio.gather(*(shop.book_and_cancel(stub) for _ in range(_MUTATIONS_AT_ONCE)))


async def measure(calls: int) -> list[Section]:
    """Make so many calls to each service. Raises DriverError."""
    h2load.program()
    async with AsyncExitStack() as stack:
        at = await stack.enter_async_context(stand())
        cached = await stack.enter_async_context(serve_cache(at))
        booked = await stack.enter_async_context(serve_booking(at, cached))
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(booked.address))
        stub = BookingServiceStub(channel)
        shop = await _Shop.of(at)
        services = {"cache_service": cached, "booking_service": booked}
        held = {name: [megabytes(service)] for name, service in services.items()}
        turn = calls // _TURNS
        for _ in range(_TURNS):
            await _read(cached, shop.of_cache(), turn)
            await _read(booked, shop.of_booking(), turn)
            await _mutate(shop, stub, round(turn * _MUTATIONS))
            for name, service in services.items():
                held[name].append(megabytes(service))
        answered = {name: service.answered() for name, service in services.items()}
    return [_section(held, answered, calls)]


def _section(
    held: dict[str, list[float]], answered: dict[str, dict[str, int]], calls: int
) -> Section:
    middle = _TURNS // 2
    return Section(
        title="Memory after many calls",
        command=f"python -m benchmarks memory --calls {calls}",
        about=(
            f"Resident memory of each service after {calls:,} reads of its own: every read of the\n"
            "cache service in turn; GetAppointment, SearchAvailability, bookings and\n"
            "cancellations (5 % more) of the booking service. Growth is that of the second half."
        ),
        columns=("", "At the start", "Half way", "At the end", "Growth of 1,000 calls", "Answers"),
        rows=[
            (
                name,
                f"{sizes[0]:.0f} MB",
                f"{sizes[middle]:.0f} MB",
                f"{sizes[-1]:.0f} MB",
                f"{(sizes[-1] - sizes[middle]) / (calls / 2) * 1e6:.0f} kB",
                ", ".join(f"{code} {number:,}" for code, number in answered[name].items()),
            )
            for name, sizes in held.items()
        ],
        bounds=[
            Bound.at_most(f"megabytes of {name}", _LIMIT_MB, max(sizes))
            for name, sizes in held.items()
        ],
    )
