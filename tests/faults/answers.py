"""The calls that readers make, and what their answers show, entry by entry.

Answers are taken apart after the run: while it lasts, the bytes are kept as they came.
"""

from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from google.protobuf.message import Message

from chairside.cache.v1 import analytics_pb2, types_pb2
from chairside.cache.v1 import cache_service_pb2 as pb
from service_kit.values import to_date
from tests.faults.history import Money, Query, Read, Visit, Write
from tests.faults.shop import ZONE, Shop

__all__ = ["Answered", "Call", "calls_of", "cents_of", "decoded", "touched_by", "visit_of"]

_DAY = timedelta(days=1)
_STATUS = types_pb2.AppointmentStatus
_SOURCES = {number: name.removeprefix("SOURCE_") for name, number in types_pb2.Source.items()}

Entries = list[tuple[Query, Any]]
Parse = Callable[[Any], Entries]


@dataclass(frozen=True, slots=True)
class Call:
    """A read: its method, its request, and how to take its answer apart.

    `parse` gives each entry's query with its answer. `touches` are the barbers' days
    (1, id, day), clients (2, id) or (3,) for money whose changes it shows. `weight` is how
    often it is chosen.
    """

    method: str
    request: bytes
    parse: Parse
    touches: frozenset[Hashable]
    weight: int = 1

    def after(self, token: bytes) -> bytes:
        """Return the request for an answer that has seen what the token stands for."""
        kind = getattr(pb, f"{self.method}Request")
        fresh = kind(consistency=types_pb2.Consistency(at_least_as_fresh=token))
        # Messages that follow one another are one message.
        return self.request + bytes(fresh.SerializeToString())

    def within(self, seconds: float) -> bytes:
        """Return the request for an answer that may be so old."""
        kind = getattr(pb, f"{self.method}Request")
        allowed = types_pb2.Consistency(max_staleness={"nanos": round(seconds * 1e9)})
        old = kind(consistency=allowed)
        return self.request + bytes(old.SerializeToString())


class Answered(NamedTuple):
    """A call of process number `process`, with its answer as it came.

    `after` is the mutation whose token it carried, `allowance` the seconds that it may be old.
    """

    call: Call
    process: int
    started: float
    ended: float
    raw: bytes
    after: Write | None = None
    allowance: float = 0.0


def decoded(answered: Iterable[Answered]) -> list[Read]:
    """Take answers apart, into one read for each entry; equal ones are taken apart once."""
    found: list[Read] = []
    known: dict[tuple[int, bytes], Entries] = {}
    for call, process, began, ended, raw, after, allowance in answered:
        response = getattr(pb, f"{call.method}Response").FromString(raw)
        source = _SOURCES[response.cache_info.source]
        flagged = response.cache_info.stale
        started = began - allowance if flagged else began
        response.ClearField("cache_info")  # It tells an age, which is never the same.
        key = id(call), response.SerializeToString()
        if (entries := known.get(key)) is None:
            entries = known[key] = call.parse(response)
        found += [
            Read(query, process, started, ended, answer, source, after, flagged, allowance)
            for query, answer in entries
        ]
    return found


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
    """List the reads of the shop: of one entry each, and of all barbers' or days' together."""
    calls = [
        _availability(shop, [barber], service, [day])
        for barber in shop.barbers
        for service in shop.services
        for day in shop.days
    ]
    most = len(calls)
    calls += [
        _availability(shop, shop.barbers, service, shop.days, weight=most // 2)
        for service in shop.services
    ]
    calls += [_booked(shop, barber, weight=most // 2) for barber in shop.barbers]
    calls += [_visits(shop, barber, weight=most // 6) for barber in shop.barbers]
    calls += [_client(shop, client, weight=most // 12) for client in shop.clients]
    return [*calls, _revenue(shop, weight=most // 6)]


def _call(
    method: str, request: Message, parse: Parse, touches: Iterable[Hashable], weight: int
) -> Call:
    return Call(method, request.SerializeToString(), parse, frozenset(touches), weight)


def _availability(
    shop: Shop, barbers: Sequence[int], service: int, days: Sequence[date], weight: int = 1
) -> Call:
    ordinals = [day.toordinal() for day in days]
    midnights = [shop.starts(day)[0] - 9 * 3600 for day in days]
    interned: dict[tuple[int, ...], tuple[int, ...]] = {}

    def parse(response: Any) -> Entries:
        entries: Entries = []
        assert [one.barber_id for one in response.barbers] == list(barbers)
        for one in response.barbers:
            starts: list[list[int]] = [[] for _ in days]
            for slot in one.slots:
                second = slot.start_time.seconds
                starts[bisect_right(midnights, second) - 1].append(second)
            for day, found in zip(ordinals, map(tuple, starts), strict=True):
                query = ("free", one.barber_id, service, day)
                entries.append((query, interned.setdefault(found, found)))
        return entries

    request = pb.GetAvailabilityRequest(
        organization_id=shop.organization_id,
        barber_ids=barbers,
        service_id=service,
        start_date=to_date(days[0]),
    )
    if len(days) > 1:
        request.end_date.CopyFrom(to_date(days[-1] + _DAY))
    touches = [(1, barber, day) for barber in barbers for day in ordinals]
    return _call("GetAvailability", request, parse, touches, weight)


def _booked(shop: Shop, barber: int, weight: int) -> Call:
    days = [day.toordinal() for day in shop.days]

    def parse(response: Any) -> Entries:
        shown: dict[int, dict[int, tuple[int, int]]] = {day: {} for day in days}
        for busy in response.intervals:
            blocked = busy.start_time.seconds, busy.end_time.seconds
            day = shop.day_of(busy.start_time.seconds)
            shown[day][busy.appointment_id] = blocked
        return [(("busy", barber, day), answer) for day, answer in shown.items()]

    request = pb.GetBookedSlotsRequest(
        organization_id=shop.organization_id,
        barber_id=barber,
        start_date=to_date(shop.days[0]),
        end_date=to_date(shop.days[-1] + _DAY),
    )
    touches = [(1, barber, day) for day in days]
    return _call("GetBookedSlots", request, parse, touches, weight)


def _visits(shop: Shop, barber: int, weight: int) -> Call:
    def parse(response: Any) -> Entries:
        assert not response.next_page_token
        answer = {one.appointment_id: visit_of(one) for one in response.appointments}
        return [(("visits", barber), answer)]

    request = pb.ListAppointmentsRequest(
        organization_id=shop.organization_id,
        barber_id=barber,
        statuses=[_STATUS.APPOINTMENT_STATUS_SCHEDULED],
        start_date=to_date(shop.days[0]),
        end_date=to_date(shop.days[-1] + _DAY),
        page_size=500,
    )
    touches = [(1, barber, day.toordinal()) for day in shop.days]
    return _call("ListAppointments", request, parse, touches, weight)


def _client(shop: Shop, client: int, weight: int) -> Call:
    def parse(response: Any) -> Entries:
        following = None
        if response.HasField("next_appointment"):
            following = visit_of(response.next_appointment)
        answer = cents_of(response.spent), response.next_appointment.appointment_id, following
        return [(("client", client), answer)]

    request = pb.GetUserDataRequest(organization_id=shop.organization_id, client_id=client)
    return _call("GetUserData", request, parse, [(2, client)], weight)


def _revenue(shop: Shop, weight: int) -> Call:
    today = datetime.now(UTC).astimezone(ZONE).date()

    def parse(response: Any) -> Entries:
        total = response.revenue.total
        refunded = cents_of(total.refunds)
        paid = cents_of(total.revenue) + refunded
        answer = paid, total.transactions, refunded, total.refund_count
        return [(("revenue",), answer)]

    request = pb.GetAnalyticsRequest(
        organization_id=shop.organization_id,
        start_date=to_date(today - _DAY),
        end_date=to_date(today + 2 * _DAY),
        revenue=analytics_pb2.RevenueOptions(),
    )
    return _call("GetAnalytics", request, parse, [(3,)], weight)


def touched_by(visits: Iterable[Visit], money: Money | None) -> frozenset[Hashable]:
    """Return what a mutation touches, as `Call.touches` names it."""
    found: set[Hashable] = set()
    for visit in visits:
        found |= {(1, visit.barber, Shop.day_of(visit.start)), (2, visit.client)}
    if money is not None:
        found |= {(2, money.client), (3,)}
    return frozenset(found)
