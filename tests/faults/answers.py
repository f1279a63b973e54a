"""The calls that readers make, and what their answers show, entry by entry."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from google.protobuf.message import Message

from chairside.cache.v1 import analytics_pb2, types_pb2
from chairside.cache.v1 import cache_service_pb2 as pb
from service_kit.values import to_date
from tests.faults.history import Money, Query, Visit
from tests.faults.shop import ZONE, Shop

__all__ = ["Call", "calls_of", "cents_of", "touched_by", "visit_of"]

_DAY = timedelta(days=1)
_STATUS = types_pb2.AppointmentStatus

Parse = Callable[[bytes], tuple[str, list[tuple[Query, Any]]]]


@dataclass(frozen=True, slots=True)
class Call:
    """A read: its method, its request, and how to take its answer apart.

    `parse` gives the source (`REDIS`, `DATABASE`) and each entry's query with its answer.
    `touches` are the barbers (1, id), days (1, id, day), clients (2, id) or (3,) for money
    whose changes it shows.
    """

    method: str
    request: bytes
    parse: Parse
    touches: frozenset[Hashable]


def visit_of(appointment: types_pb2.Appointment) -> Visit:
    """Read an appointment's version."""
    return Visit(
        version=int(appointment.etag),
        barber=appointment.barber_id,
        service=appointment.service_id,
        client=appointment.client_id,
        start=appointment.start_time.seconds,
        end=appointment.end_time.seconds,
        status=_STATUS.Name(appointment.status).removeprefix("APPOINTMENT_STATUS_"),
    )


def cents_of(money: Any) -> int:
    """Read money as cents."""
    return int(money.units * 100 + money.nanos // 10_000_000)


def calls_of(shop: Shop) -> list[Call]:
    """List every read of the shop; each is of one or a few entries."""
    calls = [
        _availability(shop, barber, service, day)
        for barber in shop.barbers
        for service in shop.services
        for day in shop.days
    ]
    calls += [_booked(shop, barber) for barber in shop.barbers]
    calls += [_visits(shop, barber) for barber in shop.barbers]
    calls += [_client(shop, client) for client in shop.clients]
    return [*calls, _revenue(shop)]


def _source(info: types_pb2.CacheInfo) -> str:
    return types_pb2.Source.Name(info.source).removeprefix("SOURCE_")


def _call(method: str, request: Message, parse: Parse, touches: Sequence[Hashable]) -> Call:
    return Call(method, request.SerializeToString(), parse, frozenset(touches))


def _availability(shop: Shop, barber: int, service: int, day: date) -> Call:
    query = ("free", barber, service, day.toordinal())
    interned: dict[tuple[int, ...], tuple[int, ...]] = {}

    def parse(raw: bytes) -> tuple[str, list[tuple[Query, Any]]]:
        response = pb.GetAvailabilityResponse.FromString(raw)
        (one,) = response.barbers
        starts = tuple(slot.start_time.seconds for slot in one.slots)
        return _source(response.cache_info), [(query, interned.setdefault(starts, starts))]

    request = pb.GetAvailabilityRequest(
        organization_id=shop.organization_id,
        barber_ids=[barber],
        service_id=service,
        start_date=to_date(day),
    )
    return _call("GetAvailability", request, parse, [(1, barber, day.toordinal())])


def _booked(shop: Shop, barber: int) -> Call:
    days = [day.toordinal() for day in shop.days]

    def parse(raw: bytes) -> tuple[str, list[tuple[Query, Any]]]:
        response = pb.GetBookedSlotsResponse.FromString(raw)
        shown: dict[int, dict[int, tuple[int, int]]] = {day: {} for day in days}
        for busy in response.intervals:
            blocked = busy.start_time.seconds, busy.end_time.seconds
            day = shop.day_of(busy.start_time.seconds)
            shown[day][busy.appointment_id] = blocked
        entries = [(("busy", barber, day), answer) for day, answer in shown.items()]
        return _source(response.cache_info), entries

    request = pb.GetBookedSlotsRequest(
        organization_id=shop.organization_id,
        barber_id=barber,
        start_date=to_date(shop.days[0]),
        end_date=to_date(shop.days[-1] + _DAY),
    )
    return _call("GetBookedSlots", request, parse, [(1, barber, day) for day in days])


def _visits(shop: Shop, barber: int) -> Call:
    def parse(raw: bytes) -> tuple[str, list[tuple[Query, Any]]]:
        response = pb.ListAppointmentsResponse.FromString(raw)
        assert not response.next_page_token
        answer = {one.appointment_id: visit_of(one) for one in response.appointments}
        return _source(response.cache_info), [(("visits", barber), answer)]

    request = pb.ListAppointmentsRequest(
        organization_id=shop.organization_id,
        barber_id=barber,
        statuses=[_STATUS.APPOINTMENT_STATUS_SCHEDULED],
        start_date=to_date(shop.days[0]),
        end_date=to_date(shop.days[-1] + _DAY),
        page_size=500,
    )
    touches = [(1, barber, day.toordinal()) for day in shop.days]
    return _call("ListAppointments", request, parse, touches)


def _client(shop: Shop, client: int) -> Call:
    def parse(raw: bytes) -> tuple[str, list[tuple[Query, Any]]]:
        response = pb.GetUserDataResponse.FromString(raw)
        following = None
        if response.HasField("next_appointment"):
            following = visit_of(response.next_appointment)
        answer = cents_of(response.spent), response.next_appointment.appointment_id, following
        return _source(response.cache_info), [(("client", client), answer)]

    request = pb.GetUserDataRequest(organization_id=shop.organization_id, client_id=client)
    return _call("GetUserData", request, parse, [(2, client)])


def _revenue(shop: Shop) -> Call:
    today = datetime.now(UTC).astimezone(ZONE).date()

    def parse(raw: bytes) -> tuple[str, list[tuple[Query, Any]]]:
        response = pb.GetAnalyticsResponse.FromString(raw)
        total = response.revenue.total
        refunded = cents_of(total.refunds)
        paid = cents_of(total.revenue) + refunded
        answer = paid, total.transactions, refunded, total.refund_count
        return _source(response.cache_info), [(("revenue",), answer)]

    request = pb.GetAnalyticsRequest(
        organization_id=shop.organization_id,
        start_date=to_date(today - _DAY),
        end_date=to_date(today + 2 * _DAY),
        revenue=analytics_pb2.RevenueOptions(),
    )
    return _call("GetAnalytics", request, parse, [(3,)])


def touched_by(visits: Sequence[Visit], money: Money | None) -> frozenset[Hashable]:
    """Return what a mutation touches, as `Call.touches` names it."""
    found: set[Hashable] = set()
    for visit in visits:
        found |= {(1, visit.barber, Shop.day_of(visit.start)), (2, visit.client)}
    if money is not None:
        found |= {(2, money.client), (3,)}
    return frozenset(found)
