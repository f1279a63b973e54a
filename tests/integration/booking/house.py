"""A booking service in this process, a cache that records, and a shop to book in."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date
from google.type.money_pb2 import Money
from google.type.timeofday_pb2 import TimeOfDay
from sqlalchemy import text

from booking_service.app import SERVICE
from booking_service.edge.cache_gateway import CacheTokens
from booking_service.edge.servicer import BookingServicer
from booking_service.postgres.engine import make_engine
from booking_service.postgres.unit_of_work import UnitsOfWork
from booking_service.use_cases.mutations import Mutations
from booking_service.use_cases.reading import Reads
from cache_service.client import CacheClient
from chairside.booking.v1 import booking_service_pb2 as pb
from chairside.booking.v1.booking_service_pb2_grpc import BookingServiceStub
from chairside.cache.v1.types_pb2 import LocalPeriod, WeekdayHours
from service_kit.access_log import AccessLog
from service_kit.calls import Calls
from service_kit.metrics import Metrics
from service_kit.rpc import register
from tests.support.stack import Database

if TYPE_CHECKING:
    from chairside.booking.v1.booking_service_pb2_grpc import BookingServiceAsyncStub

# A Monday, 08:00 in Toronto.
MONDAY = datetime(2025, 6, 2, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


class SettableClock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.time = MONDAY

    def now(self) -> datetime:
        """Tell the time that was set."""
        return self.time


class RecordingCache:
    """A notifier that records what it is told; `answer` says what comes of it."""

    def __init__(self) -> None:
        self.told: list[list[str]] = []
        self.acknowledged: list[int] = []
        self.answer: Callable[[], Awaitable[bool]] = self.applied

    async def applied(self) -> bool:
        """Answer that all is invalidated."""
        return True

    async def invalidate(self, events: Sequence[str], timeout: float) -> bool:  # noqa: ASYNC109 - the port's own
        """Record the events."""
        self.told.append(list(events))
        return await self.answer()


@dataclass
class House:
    """The service as a client sees it (`stub`), and what stands around it."""

    stub: "BookingServiceAsyncStub"
    cache: RecordingCache
    clock: SettableClock
    database: Database
    mutations: Mutations
    sql: Callable[..., Awaitable[list[Any]]]


@dataclass
class Shop:
    """A shop in Toronto, open from 09:00 to 17:00 local on every day."""

    house: House
    id: int
    barbers: list[int] = field(default_factory=list)
    service: int = 0
    client: int = 0

    def request(self, start: datetime, **more: Any) -> pb.CreateAppointmentRequest:
        """Make a request for the shop's one service of the first barber."""
        fields = {
            "organization_id": self.id,
            "barber_id": self.barbers[0],
            "service_id": self.service,
            "client_id": self.client,
            "start_time": stamp(start),
        }
        return pb.CreateAppointmentRequest(**(fields | more))

    async def book(self, start: datetime, **more: Any) -> Any:
        """Book, and return the appointment."""
        response = await self.house.stub.CreateAppointment(self.request(start, **more))
        return response.appointment

    async def pay(self, appointment_id: int, units: int) -> Any:
        """Pay for an appointment, and return the payment."""
        response = await self.house.stub.ConfirmPayment(
            pb.ConfirmPaymentRequest(
                organization_id=self.id, appointment_id=appointment_id, amount=cad(units)
            )
        )
        return response.payment


def stamp(instant: datetime) -> Timestamp:
    """Make a Timestamp."""
    message = Timestamp()
    message.FromDatetime(instant)
    return message


def cad(units: int, cents: int = 0) -> Money:
    """Make Canadian money."""
    return Money(currency_code="CAD", units=units, nanos=cents * 10_000_000)


def day(year: int, month: int, number: int) -> Date:
    """Make a Date."""
    return Date(year=year, month=month, day=number)


def period(opens: int, closes: int) -> LocalPeriod:
    """Make a period of whole hours."""
    return LocalPeriod(opens=TimeOfDay(hours=opens), closes=TimeOfDay(hours=closes))


def every_day(opens: int, closes: int) -> list[WeekdayHours]:
    """Make a week of equal days."""
    return [WeekdayHours(weekday=n, periods=[period(opens, closes)]) for n in range(7)]


def request_id() -> str:
    """Make an id that no other request has."""
    return str(uuid4())


@asynccontextmanager
async def open_house(
    database: Database, *, cache_target: str = "127.0.0.1:1", pool_size: int = 12
) -> AsyncIterator[House]:
    """Serve over `database` as the booking role, on a free port."""
    async with AsyncExitStack() as stack:
        engine = make_engine(
            database.booking_url,
            application_name="tests",
            pool_size=pool_size,
            # Hundreds may wait for one barber.
            pool_timeout=60.0,
            statement_timeout=60.0,
        )
        stack.push_async_callback(engine.dispose)
        owner = make_engine(database.url, application_name="tests-owner", pool_size=2)
        stack.push_async_callback(owner.dispose)
        client = await stack.enter_async_context(CacheClient(cache_target))
        cache, clock, tokens = RecordingCache(), SettableClock(), CacheTokens()
        units = UnitsOfWork(engine, lambda: cache.acknowledged)
        mutations = Mutations(
            units=units,
            notifier=cache,
            tokens=tokens,
            acknowledged=cache.acknowledged.append,
            clock=clock,
            sleep=asyncio.sleep,
            jitter=random.random,
            cache_timeout=1.0,
        )
        stack.push_async_callback(mutations.drain, 5.0)
        servicer = BookingServicer(mutations, Reads(units, tokens, clock), client)
        server = grpc.aio.server()
        calls = Calls(Metrics(), AccessLog(None), default_deadline=60.0)
        register(server, SERVICE, servicer, calls)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        stack.push_async_callback(server.stop, 1.0)
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{port}"))

        async def sql(statement: str, **parameters: Any) -> list[Any]:
            async with owner.begin() as connection:
                result = await connection.execute(text(statement), parameters)
                return list(result.all()) if result.returns_rows else []

        yield House(BookingServiceStub(channel), cache, clock, database, mutations, sql)


async def open_shop(house: House, barbers: int = 2, zone: str = "America/Toronto") -> Shop:
    """Make a shop through the service itself: 30 minutes for 40.00, 5 minutes around."""
    stub = house.stub
    made = await stub.CreateOrganization(
        pb.CreateOrganizationRequest(name="Shop", time_zone=zone, currency="CAD")
    )
    shop = Shop(house, made.organization.organization_id)
    service = await stub.CreateService(
        pb.CreateServiceRequest(
            organization_id=shop.id,
            name="Cut",
            duration={"seconds": 1800},
            buffer_before={"seconds": 300},
            buffer_after={"seconds": 300},
            price=cad(40),
        )
    )
    shop.service = service.service.service_id
    client = await stub.CreateClient(
        pb.CreateClientRequest(organization_id=shop.id, name="Ann", email="ann@example.org")
    )
    shop.client = client.client.client_id
    for number in range(barbers):
        barber = await stub.CreateBarber(
            pb.CreateBarberRequest(organization_id=shop.id, name=f"Barber {number}")
        )
        barber_id = barber.barber.barber_id
        shop.barbers.append(barber_id)
        await stub.SetBarberService(
            pb.SetBarberServiceRequest(
                organization_id=shop.id,
                barber_id=barber_id,
                service_id=shop.service,
                offered=True,
            )
        )
        await stub.SetWeeklyHours(
            pb.SetWeeklyHoursRequest(
                organization_id=shop.id,
                barber_id=barber_id,
                valid_from=day(2025, 1, 1),
                weekdays=every_day(9, 17),
            )
        )
    # Nothing of it is pending.
    await house.sql("DELETE FROM outbox WHERE organization_id = :shop", shop=shop.id)
    house.cache.told.clear()
    house.cache.acknowledged.clear()
    return shop
