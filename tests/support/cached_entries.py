"""Entries of every cached query over a small shop, such as a busy cache would hold.

The one place to add those of a new query: for a report of GetAnalytics its requests, in
`REPORTS`, else a function from a shop to arguments, in `ARGUMENTS`. Choose such as each tag of
the query is at times the only one to tell of a change.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from cache_service.edge.declared import discover
from cache_service.queries.availability import AvailabilityDay
from cache_service.queries.booked_slots import BookedDay
from cache_service.queries.declare import CachedQuery, Rpc
from cache_service.queries.list_appointments import AppointmentPage
from cache_service.queries.list_barbers import BarberPage
from cache_service.queries.list_clients import ClientPage
from cache_service.queries.list_services import ServicePage
from cache_service.queries.roster import RosterArguments
from cache_service.queries.schedule import ScheduleArguments
from cache_service.queries.shop import ShopArguments
from cache_service.queries.user_data import UserArguments
from chairside.cache.v1.cache_service_pb2 import GetAnalyticsRequest
from service_kit.values import to_date
from tests.support.small_shop import SmallShop

__all__ = ["ARGUMENTS", "REPORTS", "Entry", "entries_of"]

Entry = tuple[CachedQuery[Any], Any]
"""A query with one of its arguments."""

MARCH, APRIL = date(2018, 3, 1), date(2018, 4, 1)
RANGES = (
    (MARCH, APRIL),
    (date(2017, 1, 1), date(2017, 5, 1)),
    (date(2018, 3, 10), date(2018, 3, 12)),
    (date(2018, 2, 20), date(2018, 4, 20)),
)
"""A month, months of the year before, days around a change of clocks, parts of three months."""
AS_OF = (APRIL, date(2018, 3, 20), date(2017, 12, 1))
_REPORT_NAMES = {field.name for field in GetAnalyticsRequest.DESCRIPTOR.oneofs[0].fields}
_FIRST_DAY = date(2018, 2, 24)
_DAYS = [_FIRST_DAY + timedelta(days=n) for n in range(0, 50, 2)]


def _barbers(shop: SmallShop) -> list[int]:
    return [shop.base + n for n in (1, 2, 3)]


def _days(shop: SmallShop) -> list[date]:
    around = [shop.clock_change + timedelta(days=n) for n in (-1, 0, 1)]
    return sorted({*_DAYS, *around})


def _availability(shop: SmallShop) -> Iterator[AvailabilityDay]:
    for barber, service in ((1, 1), (1, 2), (2, 1), (3, 1)):
        for day in _days(shop):
            yield AvailabilityDay(
                shop.organization_id, shop.base + barber, shop.base + service, day
            )


def _booked_slots(shop: SmallShop) -> Iterator[BookedDay]:
    for barber in _barbers(shop):
        for day in _days(shop):
            yield BookedDay(shop.organization_id, barber, day)


def _appointments(shop: SmallShop) -> Iterator[AppointmentPage]:
    base = shop.base
    pages: list[tuple[Any, ...]] = [
        (0, 0, 0, (), None, None),
        (0, 0, 0, (), MARCH, APRIL),
        (0, 0, 0, ("completed",), *RANGES[1]),
        (0, 0, base + 1, (), MARCH, None),
        *((barber, 0, 0, (), None, None) for barber in _barbers(shop)[:2]),
        *((barber, 0, 0, (), MARCH, APRIL) for barber in _barbers(shop)[:2]),
        *((0, base + n, 0, (), None, None) for n in range(1, 4)),
        (base + 1, base + 1, 0, ("scheduled", "confirmed"), MARCH, date(2018, 6, 1)),
    ]
    for page in pages:
        yield AppointmentPage(shop.organization_id, *page, 500, ())


def _clients(shop: SmallShop) -> Iterator[ClientPage]:
    for text in ("", "a", "client"):
        for gone in (True, False):
            yield ClientPage(shop.organization_id, text, gone, 3, 0)


def _services(shop: SmallShop) -> Iterator[ServicePage]:
    yield ServicePage(shop.organization_id, "Cut", 0, include_deleted=False, page_size=50, after=0)
    for barber in (0, *_barbers(shop)):
        yield ServicePage(shop.organization_id, "", barber, barber == 0, 50, 0)


def _barber_pages(shop: SmallShop) -> Iterator[BarberPage]:
    yield BarberPage(shop.organization_id, 0, include_inactive=False, page_size=2, after=0)
    for service in (0, shop.base + 1, shop.base + 2):
        yield BarberPage(shop.organization_id, service, service == 0, 50, 0)


def _range(start: date, end: date) -> dict[str, Any]:
    return {"start_date": to_date(start), "end_date": to_date(end)}


def _as_of(day: date) -> dict[str, Any]:
    return {"as_of_date": to_date(day)}


_RANGE_FIELDS = [_range(*days) for days in RANGES]
_AS_OF_FIELDS = [_as_of(day) for day in AS_OF]
_GROUPS = ("GROUP_BY_MONTH", "GROUP_BY_YEAR", "GROUP_BY_DAY", "GROUP_BY_WEEK")
_AGAINST = ("AGAINST_MONTH", "AGAINST_QUARTER", "AGAINST_YEAR")

REPORTS: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "appointment_stats": [days | {"appointment_stats": {}} for days in _RANGE_FIELDS],
    "barber_performance": [days | {"barber_performance": {}} for days in _RANGE_FIELDS],
    "comparison": [
        day | {"comparison": {"against": against}}
        for day, against in zip(_AS_OF_FIELDS, _AGAINST, strict=True)
    ],
    "dashboard": [
        days | day | {"dashboard": {"target_annual_income": 1000.0}}
        for days, day in zip(_RANGE_FIELDS, _AS_OF_FIELDS, strict=False)
    ],
    "lifetime_value": [day | {"lifetime_value": {}} for day in _AS_OF_FIELDS],
    "patterns": [days | {"patterns": {}} for days in _RANGE_FIELDS],
    "retention": [day | {"retention": {}} for day in _AS_OF_FIELDS],
    "revenue": [
        days | {"revenue": {"group_by": group}}
        for days, group in zip(_RANGE_FIELDS, _GROUPS, strict=True)
    ],
    "six_figure": [day | {"six_figure": {"target_annual_income": 1000.0}} for day in _AS_OF_FIELDS],
}
"""By the report's name: requests of GetAnalytics, for the shop and for each barber."""


def _of_report(query: CachedQuery[Any], rpc: Rpc[Any], shop: SmallShop) -> Iterator[Any]:
    if rpc.name not in REPORTS:
        message = f"the report {query.name} has no entries: add requests to REPORTS"
        raise KeyError(message)
    for barber_id in (0, *_barbers(shop)):
        for fields in REPORTS[rpc.name]:
            request = GetAnalyticsRequest(
                organization_id=shop.organization_id, barber_id=barber_id, **fields
            )
            yield from rpc.arguments(request, None)


ARGUMENTS: Mapping[str, Callable[[SmallShop], Iterable[Any]]] = {
    "appointments": _appointments,
    "availability": _availability,
    "barbers": _barber_pages,
    "booked_slots": _booked_slots,
    "clients": _clients,
    "roster": lambda shop: [RosterArguments(shop.organization_id)],
    "schedule": lambda shop: [ScheduleArguments(shop.organization_id, b) for b in _barbers(shop)],
    "services": _services,
    "shop": lambda shop: [ShopArguments(shop.organization_id)],
    "user_data": lambda shop: [
        UserArguments(shop.organization_id, shop.base + n) for n in range(1, 6)
    ],
}
"""By the query's name: the arguments of its entries."""


def entries_of(shop: SmallShop) -> list[Entry]:
    """List entries of every query there is; KeyError if one has none here."""
    return [(query, arguments) for query in discover() for arguments in _entries(query, shop)]


def _entries(query: CachedQuery[Any], shop: SmallShop) -> Iterable[Any]:
    if query.rpc is not None and query.rpc.name in _REPORT_NAMES:
        return _of_report(query, query.rpc, shop)
    if query.name not in ARGUMENTS:
        message = f"the query {query.name} has no entries: add arguments to ARGUMENTS"
        raise KeyError(message)
    return ARGUMENTS[query.name](shop)
