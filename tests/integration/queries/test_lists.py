"""Pages of lists, against the small shop's rows."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from cache_service.queries.declare import CachedQuery
from cache_service.queries.list_appointments import AppointmentPage, list_appointments
from cache_service.queries.list_barbers import BarberPage, list_barbers
from cache_service.queries.list_clients import ClientPage, list_clients
from cache_service.queries.list_services import ServicePage, list_services
from chairside.cache.v1 import cache_service_pb2 as messages
from service_kit.errors import NotFound
from service_kit.values import from_money
from tests.integration.queries.conftest import SHOPS, Load
from tests.support.small_shop import APPOINTMENTS

FIRST_CLIENTS = ClientPage(1, query="", include_deleted=False, page_size=50, after=0)
FIRST_SERVICES = ServicePage(1, "", 0, include_deleted=False, page_size=50, after=0)
FIRST_BARBERS = BarberPage(1, 0, include_inactive=False, page_size=50, after=0)
ALL = AppointmentPage(1, 0, 0, 0, (), None, None, 500, ())


def by_start(*numbers: int) -> list[int]:
    """Order appointments of shop 1 as its list does."""
    return sorted((1000 + n for n in numbers), key=lambda i: (APPOINTMENTS[i - 1001][4], i))


async def appointment_ids(load: Load, **filters: Any) -> list[int]:
    """List appointments and return their ids."""
    (payload,) = await load(list_appointments, replace(ALL, **filters))
    found = messages.ListAppointmentsResponse.FromString(payload).appointments
    return [one.appointment_id for one in found]


async def test_appointments_come_by_start_and_filter_by_each_field(load: Load) -> None:
    """Each filter keeps its own; days are the shop's local ones, the end exclusive."""
    everything = range(1, len(APPOINTMENTS) + 1)
    assert await appointment_ids(load) == by_start(*everything)
    for field, column in (("barber_id", 0), ("service_id", 1), ("client_id", 2)):
        for value in (1, 2, 3):
            expected = [n for n in everything if APPOINTMENTS[n - 1][column] == value]
            assert await appointment_ids(load, **{field: 1000 + value}) == by_start(*expected)
    assert await appointment_ids(load, statuses=("no_show", "cancelled")) == by_start(
        4, 5, 16, 18, 19
    )
    march = {"start": date(2018, 3, 31), "end": date(2018, 4, 1)}
    assert await appointment_ids(load, **march) == [1008]
    assert await appointment_ids(load, start=date(2018, 4, 1)) == by_start(12, 13, 14)
    assert await appointment_ids(load, end=date(2017, 12, 1)) == by_start(15, 17)
    assert await appointment_ids(load, barber_id=2001) == []


async def pages_of(
    load: Load, query: CachedQuery[Any], request: Any, response: Any, field: str
) -> list[list[int]]:
    """Walk a list page by page through its method's tokens; return each page's ids."""
    assert query.rpc is not None
    id_field = field.removesuffix("s") + "_id"
    pages = []
    while True:
        (arguments,) = query.rpc.arguments(request, None)
        (payload,) = await load(query, arguments)
        page = response.FromString(payload)
        pages.append([getattr(row, id_field) for row in getattr(page, field)])
        if not page.next_page_token:
            return pages
        request.page_token = page.next_page_token


LISTS: Sequence[tuple[CachedQuery[Any], Any, Any, str, int]] = (
    (
        list_appointments,
        messages.ListAppointmentsRequest,
        messages.ListAppointmentsResponse,
        "appointments",
        19,
    ),
    (list_clients, messages.ListClientsRequest, messages.ListClientsResponse, "clients", 4),
    (list_services, messages.ListServicesRequest, messages.ListServicesResponse, "services", 3),
    (list_barbers, messages.ListBarbersRequest, messages.ListBarbersResponse, "barbers", 2),
)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 17, 18])
@pytest.mark.parametrize("which", LISTS, ids=lambda which: str(which[3]))
async def test_pages_hold_every_row_once(load: Load, which: Any, size: int) -> None:
    """Pages of any size put together are the whole list; only the last may be short."""
    query, request, response, field, count = which
    pages = await pages_of(load, query, request(organization_id=1, page_size=size), response, field)
    whole = await pages_of(load, query, request(organization_id=1), response, field)
    assert [one for page in pages for one in page] == whole[0]
    assert len(whole[0]) == count
    assert {len(page) for page in pages[:-1]} <= {size}
    assert len(pages[-1]) > 0


async def client_names(load: Load, **filters: Any) -> list[str]:
    """List clients and return their names."""
    (payload,) = await load(list_clients, replace(FIRST_CLIENTS, **filters))
    return [one.name for one in messages.ListClientsResponse.FromString(payload).clients]


async def test_clients_are_found_by_name_mail_and_phone(load: Load) -> None:
    """Case is ignored, signs of patterns are only themselves, deleted ones are left out."""
    assert await client_names(load) == ["Ada", "Björn", "50%_off", "Zoë"]
    assert await client_names(load, include_deleted=True) == [
        "Ada",
        "Björn",
        "50%_off",
        "Zoë",
        "Gone",
    ]
    assert await client_names(load, query="BJÖ") == ["Björn"]
    assert await client_names(load, query="ADA@EXAMPLE") == ["Ada"]
    assert await client_names(load, query="0104") == ["Zoë"]
    assert await client_names(load, query="%_") == ["50%_off"]
    assert await client_names(load, query="\\") == []


async def test_services_are_filtered_by_category_and_by_who_offers_them(load: Load) -> None:
    """A service that a barber stopped to offer is not the barber's; money has its currency."""

    async def listed(**filters: Any) -> list[int]:
        (payload,) = await load(list_services, replace(FIRST_SERVICES, **filters))
        return [s.service_id for s in messages.ListServicesResponse.FromString(payload).services]

    assert await listed() == [1001, 1002, 1003]
    assert await listed(category="Cut") == [1001, 1002]
    assert await listed(barber_id=1001) == [1001, 1002]
    assert await listed(barber_id=1002) == [1001]
    assert await listed(barber_id=2001) == []
    (payload,) = await load(list_services, FIRST_SERVICES)
    first = messages.ListServicesResponse.FromString(payload).services[0]
    assert (from_money(first.price), first.price.currency_code) == (35, "CAD")
    assert (first.duration.seconds, first.buffer_after.seconds) == (1800, 600)


async def test_barbers_come_with_their_own_offers(load: Load) -> None:
    """Own price and duration are told where they are set; who left is left out."""

    async def listed(**filters: Any) -> dict[int, list[tuple[int, object, object]]]:
        (payload,) = await load(list_barbers, replace(FIRST_BARBERS, **filters))
        return {
            barber.barber_id: [
                (
                    offer.service_id,
                    from_money(offer.price) if offer.HasField("price") else None,
                    offer.duration.seconds // 60 if offer.HasField("duration") else None,
                )
                for offer in barber.services
            ]
            for barber in messages.ListBarbersResponse.FromString(payload).barbers
        }

    first, second = [(1001, None, None), (1002, 99, 50)], [(1001, None, 25)]
    assert await listed() == {1001: first, 1002: second}
    assert list(await listed(include_inactive=True)) == [1001, 1002, 1003]
    assert list(await listed(service_id=1002)) == [1001]
    assert list(await listed(service_id=1003)) == []


@pytest.mark.parametrize(
    ("query", "page"),
    [
        (list_appointments, ALL),
        (list_clients, FIRST_CLIENTS),
        (list_services, FIRST_SERVICES),
        (list_barbers, FIRST_BARBERS),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
async def test_lists_are_of_one_shop(load: Load, query: CachedQuery[Any], page: Any) -> None:
    """An unknown organization raises, an empty one has an empty list, each has its own rows."""
    with pytest.raises(NotFound):
        await load(query, replace(page, organization_id=9))
    (empty,) = await load(query, replace(page, organization_id=3))
    own = [await load(query, replace(page, organization_id=shop.organization_id)) for shop in SHOPS]
    assert own[0] != own[1]
    assert len(empty) < len(own[0][0])
    both = await load(query, page, replace(page, page_size=1))
    assert both == [own[0][0], (await load(query, replace(page, page_size=1)))[0]]
