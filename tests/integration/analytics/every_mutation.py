"""Every kind of mutation of the booking service, so that each can change some report."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import asyncpg
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.timeofday_pb2 import TimeOfDay

from chairside.booking.v1 import booking_service_pb2 as pb
from chairside.booking.v1.booking_service_pb2_grpc import BookingServiceStub
from chairside.cache.v1 import types_pb2
from service_kit.values import to_date, to_money
from tests.integration.analytics.rough_shop import RoughShop

__all__ = ["READS", "Mutating"]

READS = frozenset({"GetAppointment", "SearchAvailability", "GetDashboard"})
"""The methods that change nothing."""

_AHEAD = date(2020, 5, 11)
_ALL_DAY = types_pb2.LocalPeriod(opens=TimeOfDay(hours=0), closes=TimeOfDay(hours=24))


@dataclass(slots=True)
class Mutating:
    """Calls one method after the other; `yield`s the name of each when it is acknowledged."""

    stub: BookingServiceStub
    connection: asyncpg.Connection
    shop: RoughShop
    currency: str

    async def call(self, method: str, /, **fields: Any) -> Any:
        """Call a method about the shop; its change must have reached the cache."""
        if method not in {"CreateOrganization", "UpdateOrganization"}:
            fields["organization_id"] = self.shop.organization_id
        request = getattr(pb, f"{method}Request")(**fields)
        response = await getattr(self.stub, method)(request, timeout=20)
        assert response.cache_applied, method
        return response

    async def all(self) -> AsyncIterator[str]:
        """Go through all of them."""
        for part in (self.settings, self.bookings, self.statuses, self.money, self.lists):
            async for method in part():
                yield method

    async def settings(self) -> AsyncIterator[str]:
        """Open around the clock, be away, and open on days of one's own."""
        for barber in self.shop.barbers[:2]:
            week = [types_pb2.WeekdayHours(weekday=n, periods=[_ALL_DAY]) for n in range(7)]
            await self.call(
                "SetWeeklyHours",
                barber_id=barber,
                valid_from=to_date(date(2020, 3, 10)),
                weekdays=week,
            )
        yield "SetWeeklyHours"
        barber = self.shop.barbers[0]
        away = await self.call(
            "AddTimeOff", barber_id=barber, start_time=self.at(8), end_time=self.at(14)
        )
        yield "AddTimeOff"
        await self.call("RemoveTimeOff", time_off_id=away.time_off.time_off_id)
        yield "RemoveTimeOff"
        day = to_date(date(2020, 3, 17))
        for fields in ({"periods": []}, {"remove": True}):
            await self.call("SetSpecialHours", barber_id=barber, date=day, **fields)
            yield "SetSpecialHours"
        await self.call(
            "SetBarberService",
            barber_id=barber,
            service_id=self.shop.services[0],
            offered=True,
            price=self.amount("77.70"),
        )
        yield "SetBarberService"

    async def bookings(self) -> AsyncIterator[str]:
        """Book, change, move to another barber and day, and cancel."""
        booked = await self.book(9)
        yield "CreateAppointment"
        change = types_pb2.Appointment(appointment_id=booked, client_id=self.shop.clients[21])
        await self.call(
            "UpdateAppointment", appointment=change, update_mask={"paths": ["client_id"]}
        )
        yield "UpdateAppointment"
        await self.call(
            "RescheduleAppointment",
            appointment_id=booked,
            barber_id=self.shop.barbers[1],
            start_time=self.at(23),
        )
        yield "RescheduleAppointment"
        await self.call("CancelAppointment", appointment_id=booked, reason="changed plans")
        yield "CancelAppointment"

    async def statuses(self) -> AsyncIterator[str]:
        """Confirm, start, complete; and say of a past one that nobody came."""
        booked = await self.book(10)
        for method in ("ConfirmAppointment", "StartAppointment", "CompleteAppointment"):
            await self.call(method, appointment_id=booked)
            yield method
        missed = await self.connection.fetchval(
            "SELECT id FROM appointments WHERE organization_id = $1 AND status = 'scheduled'"
            " AND barber_id = $2 AND starts_at BETWEEN $3 AND $4 ORDER BY starts_at DESC LIMIT 1",
            self.shop.organization_id,
            self.shop.barbers[0],
            datetime(2020, 1, 1, tzinfo=UTC),
            datetime(2020, 4, 1, tzinfo=UTC),
        )
        await self.call("MarkNoShow", appointment_id=missed)
        yield "MarkNoShow"

    async def money(self) -> AsyncIterator[str]:
        """Take money for work done and over the counter, and give it back in part and in full."""
        client = self.shop.clients[20]
        done = await self.connection.fetchval(
            "SELECT id FROM appointments WHERE organization_id = $1 AND status = 'completed'"
            " AND barber_id = $2 AND client_id = $3 ORDER BY starts_at DESC LIMIT 1",
            self.shop.organization_id,
            self.shop.barbers[0],
            client,
        )
        payments = [
            await self.call("ConfirmPayment", amount=self.amount("1234.56"), **fields)
            for fields in (
                {"appointment_id": done},
                {"barber_id": self.shop.barbers[0], "client_id": client},
            )
        ]
        yield "ConfirmPayment"
        for paid, amount in zip(payments, (self.amount("200.01"), None), strict=True):
            await self.call("RefundPayment", payment_id=paid.payment.payment_id, amount=amount)
            yield "RefundPayment"

    async def lists(self) -> AsyncIterator[str]:
        """Add, rename and delete what reports name; let a barber leave; change the shop itself."""
        added = await self.call(
            "CreateService", name="New", duration=Duration(seconds=1800), price=self.amount("5.00")
        )
        yield "CreateService"
        service = types_pb2.Service(service_id=self.shop.services[0], name="Renamed")
        await self.call("UpdateService", service=service, update_mask={"paths": ["name"]})
        yield "UpdateService"
        for gone in (added.service.service_id, self.shop.services[0]):
            await self.call("DeleteService", service_id=gone)
            yield "DeleteService"
        await self.call("CreateClient", name="Newcomer")
        yield "CreateClient"
        regular = self.shop.clients[1]
        client = types_pb2.Client(client_id=regular, name="Another Name")
        await self.call("UpdateClient", client=client, update_mask={"paths": ["name"]})
        yield "UpdateClient"
        await self.call("DeleteClient", client_id=regular)
        yield "DeleteClient"
        made = await self.call("CreateBarber", name="Apprentice")
        yield "CreateBarber"
        for barber, fields in (
            (made.barber.barber_id, {"name": "Journeyman"}),
            (self.shop.barbers[1], {"active": False}),
        ):
            changed = types_pb2.Barber(barber_id=barber, **fields)
            await self.call("UpdateBarber", barber=changed, update_mask={"paths": list(fields)})
            yield "UpdateBarber"
        await self.call("CreateOrganization", name="Next door", time_zone="UTC", currency="EUR")
        yield "CreateOrganization"
        for fields in ({"name": "Renamed"}, {"time_zone": "Asia/Tokyo"}):
            shop = pb.Organization(organization_id=self.shop.organization_id, **fields)
            await self.call(
                "UpdateOrganization", organization=shop, update_mask={"paths": list(fields)}
            )
            yield "UpdateOrganization"

    async def book(self, hour: int) -> int:
        """Book at an hour of the day ahead, and return the id."""
        made = await self.call(
            "CreateAppointment",
            barber_id=self.shop.barbers[0],
            service_id=self.shop.services[0],
            client_id=self.shop.clients[20],
            start_time=self.at(hour),
        )
        booked: int = made.appointment.appointment_id
        return booked

    def at(self, hour: int) -> Timestamp:
        """Tell an hour of the day ahead."""
        instant = Timestamp()
        instant.FromDatetime(self.shop.at(_AHEAD, hour * 60))
        return instant

    def amount(self, text: str) -> Any:
        """Make an amount in the shop's currency."""
        return to_money(Decimal(text), self.currency)
