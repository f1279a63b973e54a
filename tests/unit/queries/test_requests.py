"""What requests become: normalised arguments, or every wrong field at once."""

from datetime import date
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message

from cache_service.edge.declared import by_rpc, discover
from cache_service.queries.booked_slots import BookedDay
from cache_service.queries.list_appointments import AppointmentPage
from cache_service.queries.paging import next_token
from cache_service.queries.revenue import RevenueArguments
from cache_service.queries.six_figure import SixFigureArguments
from chairside.cache.v1 import cache_service_pb2
from service_kit.errors import InvalidArgument

TODAY = date(2018, 7, 30)
DAY = {"year": 2018, "month": 7, "day": 1}
NEXT = {"year": 2018, "month": 7, "day": 2}
NO_DAY = {"year": 2018, "month": 2, "day": 30}
RANGE = {"start_date": DAY, "end_date": NEXT}
LONG = {"start_date": {**DAY, "year": 2000}, "end_date": {**NEXT, "year": 2011}}
BACK = {"start_date": NEXT, "end_date": DAY}
EMPTY = {"start_date": DAY, "end_date": DAY}
BOTH = ["start_date", "end_date"]
GOOD = {"organization_id": 1}

REQUESTS: dict[str, type[Message]] = {
    name: getattr(cache_service_pb2, f"{name}Request")
    for name in (
        "GetSchedule",
        "GetBookedSlots",
        "GetUserData",
        "ListAppointments",
        "ListClients",
        "ListServices",
        "ListBarbers",
    )
}

BAD: list[tuple[str, dict[str, Any], list[str]]] = [
    ("GetSchedule", {}, ["organization_id", "barber_id"]),
    ("GetSchedule", {"organization_id": -1, "barber_id": -2}, ["organization_id", "barber_id"]),
    ("GetUserData", {}, ["organization_id", "client_id"]),
    ("GetUserData", {**GOOD, "client_id": -2}, ["client_id"]),
    ("GetBookedSlots", {}, ["organization_id", "barber_id"]),
    ("GetBookedSlots", {**GOOD, "start_date": NO_DAY}, ["barber_id", "start_date"]),
    ("GetBookedSlots", {**GOOD, "barber_id": 1, **BACK}, ["end_date"]),
    ("GetBookedSlots", {**GOOD, "barber_id": 1, **EMPTY}, ["end_date"]),
    ("GetBookedSlots", {**GOOD, "barber_id": 1, **LONG}, ["end_date"]),
    ("GetBookedSlots", {**GOOD, "barber_id": 1, "end_date": DAY}, ["end_date"]),
    ("ListAppointments", {}, ["organization_id"]),
    (
        "ListAppointments",
        {"organization_id": 0, "barber_id": -1, "client_id": -1, "service_id": -1, "page_size": -1},
        ["organization_id", "barber_id", "client_id", "service_id", "page_size"],
    ),
    ("ListAppointments", {**GOOD, "statuses": [2, 0, 99]}, ["statuses[1]", "statuses[2]"]),
    ("ListAppointments", {**GOOD, **BACK}, ["end_date"]),
    ("ListAppointments", {**GOOD, "start_date": NO_DAY, "end_date": NO_DAY}, BOTH),
    ("ListAppointments", {**GOOD, "page_size": 501}, ["page_size"]),
    ("ListAppointments", {**GOOD, "page_token": "x"}, ["page_token"]),
    ("ListAppointments", {**GOOD, "page_token": "ü"}, ["page_token"]),
    ("ListClients", {}, ["organization_id"]),
    ("ListClients", {**GOOD, "query": "x" * 101, "page_size": 501}, ["query", "page_size"]),
    ("ListClients", {**GOOD, "query": "a\0b"}, ["query"]),
    ("ListClients", {**GOOD, "page_token": "AAAA"}, ["page_token"]),
    ("ListServices", {"barber_id": -1}, ["organization_id", "barber_id"]),
    ("ListServices", {**GOOD, "category": "x" * 201}, ["category"]),
    (
        "ListBarbers",
        {"service_id": -1, "page_size": -1},
        ["organization_id", "service_id", "page_size"],
    ),
]
BAD_REPORTS: list[tuple[str, dict[str, Any], list[str]]] = [
    ("revenue", {}, ["organization_id", *BOTH]),
    ("revenue", {**GOOD, **BACK}, ["end_date"]),
    ("revenue", {**GOOD, **EMPTY}, ["end_date"]),
    ("revenue", {**GOOD, **LONG}, ["end_date"]),
    ("revenue", {**GOOD, **RANGE, "barber_id": -1}, ["barber_id"]),
    ("revenue", {**GOOD, **RANGE, "as_of_date": DAY}, ["as_of_date"]),
    ("revenue", {**GOOD, **RANGE, "revenue": {"group_by": 9}}, ["revenue.group_by"]),
    ("revenue", {**GOOD, "start_date": NO_DAY, "end_date": NEXT}, ["start_date"]),
    *(
        (report, fields, wrong)
        for report in ("appointment_stats", "patterns", "barber_performance")
        for fields, wrong in (
            ({}, ["organization_id", *BOTH]),
            ({**GOOD, **RANGE, "as_of_date": NO_DAY}, ["as_of_date"]),
            ({**GOOD, "end_date": NEXT}, ["start_date"]),
            ({**GOOD, **BACK, "barber_id": -1}, ["barber_id", "end_date"]),
            ({**GOOD, **LONG}, ["end_date"]),
        )
    ),
    *(
        (report, fields, wrong)
        for report in ("retention", "lifetime_value", "comparison")
        for fields, wrong in (
            ({}, ["organization_id"]),
            ({**GOOD, **RANGE}, BOTH),
            ({**GOOD, "as_of_date": NO_DAY, "barber_id": -1}, ["barber_id", "as_of_date"]),
        )
    ),
    ("dashboard", {}, ["organization_id", *BOTH]),
    ("dashboard", {**GOOD, "as_of_date": DAY}, BOTH),
    ("dashboard", {**GOOD, **LONG, "as_of_date": NO_DAY}, ["end_date", "as_of_date"]),
    ("dashboard", {**GOOD, **BACK, "barber_id": -1}, ["barber_id", "end_date"]),
    *(
        (
            "dashboard",
            {**GOOD, **RANGE, "dashboard": {"target_annual_income": target}},
            ["dashboard.target_annual_income"],
        )
        for target in (0, -1, "NaN", "Infinity", 1_000_000_001)
    ),
    (
        "comparison",
        {**RANGE, "barber_id": -1, "as_of_date": NO_DAY, "comparison": {"against": 9}},
        ["organization_id", "barber_id", *BOTH, "as_of_date", "comparison.against"],
    ),
    (
        "six_figure",
        {**RANGE, "as_of_date": NO_DAY},
        ["organization_id", *BOTH, "as_of_date", "six_figure.target_annual_income"],
    ),
    *(
        (
            "six_figure",
            {**GOOD, "six_figure": {"target_annual_income": target}},
            ["six_figure.target_annual_income"],
        )
        for target in (0, -1, "NaN", "Infinity", "-Infinity", 1_000_000_001, 1e300)
    ),
]


def arguments_of(method: str, fields: dict[str, Any]) -> Any:
    """Make a request of a method or a report, and its arguments."""
    if method in REQUESTS:
        request = ParseDict(fields, REQUESTS[method]())
    else:
        request = ParseDict({method: {}, **fields}, cache_service_pb2.GetAnalyticsRequest())
    rpc = by_rpc(discover())[method].rpc
    assert rpc is not None
    asks = request.organization_id > 0 and rpc.needs_today(request)
    return rpc.arguments(request, TODAY if asks else None)


@pytest.mark.parametrize(
    ("method", "fields", "wrong"), [*BAD, *BAD_REPORTS], ids=lambda value: str(value)[:50]
)
def test_every_wrong_field_is_named_at_once(
    method: str, fields: dict[str, Any], wrong: list[str]
) -> None:
    """A bad request raises one error that names each wrong field and no other."""
    with pytest.raises(InvalidArgument) as raised:
        arguments_of(method, fields)
    assert [violation.field for violation in raised.value.violations] == wrong


def test_unset_days_are_today() -> None:
    """Busy times without days are today's; a report without as_of_date counts from today."""
    assert arguments_of("GetBookedSlots", {**GOOD, "barber_id": 7}) == [BookedDay(1, 7, TODAY)]
    target = {"six_figure": {"target_annual_income": 1000}}
    assert arguments_of("six_figure", {**GOOD, **target}) == [SixFigureArguments(1, 0, TODAY, 1000)]
    given = arguments_of("six_figure", {**GOOD, **target, "as_of_date": DAY})
    assert given == [SixFigureArguments(1, 0, date(2018, 7, 1), 1000)]


def test_a_range_of_days_is_one_entry_each() -> None:
    """Busy times of three days are three entries, so that a change empties one."""
    fields = {**GOOD, "barber_id": 7, "start_date": DAY, "end_date": {**DAY, "day": 4}}
    assert arguments_of("GetBookedSlots", fields) == [
        BookedDay(1, 7, date(2018, 7, day)) for day in (1, 2, 3)
    ]


def test_requests_that_mean_the_same_have_the_same_arguments() -> None:
    """An unset grouping is by day, and statuses count in any order and number."""
    unset = arguments_of("revenue", {**GOOD, **RANGE})
    assert unset == arguments_of("revenue", {**GOOD, **RANGE, "revenue": {"group_by": 1}})
    assert unset == [RevenueArguments(1, 0, date(2018, 7, 1), date(2018, 7, 2), "day")]
    assert arguments_of("ListAppointments", {**GOOD, "statuses": [6, 2, 6]}) == [
        AppointmentPage(1, 0, 0, 0, ("scheduled", "cancelled"), None, None, 50, ())
    ]


FILTERS: list[tuple[str, tuple[int, ...], dict[str, Any]]] = [
    ("ListAppointments", (1_532_000_000_000_000, 9), {"barber_id": 7}),
    ("ListAppointments", (1_532_000_000_000_000, 9), {"statuses": [2]}),
    ("ListAppointments", (1_532_000_000_000_000, 9), {"start_date": DAY}),
    ("ListClients", (9,), {"query": "a"}),
    ("ListClients", (9,), {"include_deleted": True}),
    ("ListServices", (9,), {"category": "Cut"}),
    ("ListServices", (9,), {"barber_id": 7}),
    ("ListBarbers", (9,), {"service_id": 3}),
    ("ListBarbers", (9,), {"include_inactive": True}),
]


@pytest.mark.parametrize(("method", "after", "filters"), FILTERS, ids=str)
def test_a_page_token_is_of_its_filters_alone(
    method: str, after: tuple[int, ...], filters: dict[str, Any]
) -> None:
    """A token goes on with its own filters and any page size, and is refused with others."""
    (first,) = arguments_of(method, {**GOOD, **filters})
    token = next_token(first.filters(), after)
    (second,) = arguments_of(method, {**GOOD, **filters, "page_token": token, "page_size": 7})
    assert second.after in (after, after[0])
    assert second.page_size == 7
    for others in ({**GOOD}, {"organization_id": 2, **filters}):
        with pytest.raises(InvalidArgument) as raised:
            arguments_of(method, {**others, "page_token": token})
        assert [violation.field for violation in raised.value.violations] == ["page_token"]


@pytest.mark.parametrize("damage", ["", "A", "=", "\n", "é"])
def test_a_damaged_token_is_refused(damage: str) -> None:
    """A cut, padded or foreign token is a violation, never another exception."""
    (first,) = arguments_of("ListClients", GOOD)
    token = next_token(first.filters(), (9,))[:-1] + damage
    with pytest.raises(InvalidArgument):
        arguments_of("ListClients", {**GOOD, "page_token": token})


def test_a_token_of_an_impossible_time_is_refused() -> None:
    """A forged position that is no instant is a violation."""
    (first,) = arguments_of("ListAppointments", GOOD)
    for micros in (-(1 << 63), (1 << 63) - 1):
        token = next_token(first.filters(), (micros, 1))
        with pytest.raises(InvalidArgument):
            arguments_of("ListAppointments", {**GOOD, "page_token": token})
