"""What a busy cache of a shop holds on a day: what a booking page, staff and an owner ask for."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from booking_service.importing.copying import ShopIds
from booking_service.importing.records import Batch, Shop
from cache_service.edge.declared import by_rpc, discover
from cache_service.queries.availability import AvailabilityDay, availability
from cache_service.queries.booked_slots import BookedDay, booked_slots
from cache_service.queries.declare import CachedQuery
from cache_service.queries.list_appointments import AppointmentPage, list_appointments
from cache_service.queries.list_barbers import BarberPage, list_barbers
from cache_service.queries.list_clients import ClientPage, list_clients
from cache_service.queries.list_services import ServicePage, list_services
from cache_service.queries.roster import RosterArguments, roster
from cache_service.queries.schedule import ScheduleArguments, schedule
from cache_service.queries.shop import ShopArguments, shop_settings
from cache_service.queries.user_data import UserArguments, user_data
from chairside.cache.v1.cache_service_pb2 import GetAnalyticsRequest
from service_kit.values import to_date

__all__ = ["Entry", "WorkingSet", "working_set"]

Entry = tuple[CachedQuery[Any], Any]

_AHEAD = 14
_SERVICES, _CLIENTS, _MONTHS = 3, 40, 3
_TARGET = 100_000.0
_MONTHLY: Mapping[str, Mapping[str, Any]] = {
    "revenue": {"group_by": "GROUP_BY_DAY"},
    "appointment_stats": {},
    "patterns": {},
    "barber_performance": {},
}
_AS_OF: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "six_figure": [{"target_annual_income": _TARGET}],
    "retention": [{}],
    "lifetime_value": [{}],
    "comparison": [{"against": f"AGAINST_{period}"} for period in ("MONTH", "QUARTER", "YEAR")],
}
_BOTH: Mapping[str, Mapping[str, Any]] = {"dashboard": {"target_annual_income": _TARGET}}


@dataclass(frozen=True, slots=True)
class WorkingSet:
    """Whom it is about: the barbers, the services booked most, what each offers, the clients."""

    organization_id: int
    barbers: Sequence[int]
    offers: Sequence[tuple[int, int]]
    clients: Sequence[int]

    def on(self, today: date) -> list[Entry]:
        """List the entries that are held on a local day."""
        return [*self._days(today), *self._lists(today), *self._reports(today)]

    def _days(self, today: date) -> Iterator[Entry]:
        shop = self.organization_id
        for ahead in range(_AHEAD):
            day = today + timedelta(days=ahead)
            for barber in self.barbers:
                yield booked_slots, BookedDay(shop, barber, day)
            for barber, service in self.offers:
                yield availability, AvailabilityDay(shop, barber, service, day)

    def _lists(self, today: date) -> Iterator[Entry]:
        shop = self.organization_id
        yield shop_settings, ShopArguments(shop)
        yield roster, RosterArguments(shop)
        for barber in self.barbers:
            yield schedule, ScheduleArguments(shop, barber)
        week = (today, today + timedelta(days=7))
        for barber in (0, *self.barbers):
            for days in ((today, today + timedelta(days=1)), week):
                yield list_appointments, AppointmentPage(shop, barber, 0, 0, (), *days, 50, ())
        for client in self.clients:
            page = AppointmentPage(shop, 0, client, 0, (), None, None, 50, ())
            yield list_appointments, page
            yield user_data, UserArguments(shop, client)
        one = {"page_size": 50, "after": 0}
        yield list_clients, ClientPage(shop, "", include_deleted=False, **one)
        yield list_services, ServicePage(shop, "", 0, include_deleted=False, **one)
        yield list_barbers, BarberPage(shop, 0, include_inactive=False, **one)

    def _reports(self, today: date) -> Iterator[Entry]:
        day: dict[str, Any] = {"as_of_date": to_date(today)}
        months: list[dict[str, Any]] = [
            {"start_date": to_date(first), "end_date": to_date(end)} for first, end in _back(today)
        ]
        for name, query in by_rpc(discover()).items():
            if query.rpc is None or not query.prefix.startswith("analytics:"):
                continue
            # Which days a report takes, and its options; KeyError for one that is not here.
            if name in _MONTHLY:
                asked = [fields | {name: _MONTHLY[name]} for fields in months]
            elif name in _AS_OF:
                asked = [day | {name: options} for options in _AS_OF[name]]
            else:
                asked = [months[0] | day | {name: _BOTH[name]}]
            for barber in (0, *self.barbers):
                for fields in asked:
                    request = GetAnalyticsRequest(
                        organization_id=self.organization_id, barber_id=barber, **fields
                    )
                    for arguments in query.rpc.arguments(request, None):
                        yield query, arguments


def _back(today: date) -> list[tuple[date, date]]:
    """List this month and those before it, each as days [first, end)."""
    found = []
    first = today.replace(day=1)
    end = (first + timedelta(days=31)).replace(day=1)
    for _ in range(_MONTHS):
        found.append((first, end))
        first, end = (first - timedelta(days=1)).replace(day=1), first
    return found


def working_set(shop: Shop, ids: ShopIds, batch: Batch) -> WorkingSet:
    """Choose whom the entries are about: who and what the books name most."""
    services = Counter(each.service for each in batch.appointments)
    clients = Counter(each.client for each in batch.appointments if each.client is not None)
    often = {service for service, _ in services.most_common(_SERVICES)}
    return WorkingSet(
        ids.organization,
        ids.barbers,
        [
            (ids.barbers[offer.barber], ids.services[offer.service])
            for offer in shop.offers
            if offer.service in often
        ],
        [ids.clients[client] for client, _ in clients.most_common(_CLIENTS)],
    )
