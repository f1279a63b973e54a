"""On which facts entries depend, what keys they have, and how long they live."""

from datetime import date, timedelta
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict

from cache_service.invalidation.rules import tags_of
from cache_service.queries.appointment_stats import appointment_stats
from cache_service.queries.barber_performance import barber_performance
from cache_service.queries.booked_slots import BookedDay, booked_slots
from cache_service.queries.comparison import ComparisonArguments, comparison
from cache_service.queries.dashboard import DashboardArguments, dashboard
from cache_service.queries.declare import CachedQuery
from cache_service.queries.lifetime_value import lifetime_value
from cache_service.queries.list_appointments import AppointmentPage, list_appointments
from cache_service.queries.list_barbers import BarberPage, list_barbers
from cache_service.queries.list_clients import ClientPage, list_clients
from cache_service.queries.list_services import ServicePage, list_services
from cache_service.queries.patterns import patterns
from cache_service.queries.reports import AsOfArguments, RangeArguments
from cache_service.queries.retention import retention
from cache_service.queries.revenue import RevenueArguments, revenue
from cache_service.queries.schedule import ScheduleArguments, schedule
from cache_service.queries.six_figure import SixFigureArguments, six_figure
from cache_service.queries.user_data import UserArguments, user_data
from chairside.cache.v1.events_pb2 import Event

MAY, JUNE, JULY = date(2018, 5, 1), date(2018, 6, 1), date(2018, 7, 1)
ENTRIES: dict[str, tuple[CachedQuery[Any], Any]] = {
    "schedule": (schedule, ScheduleArguments(1, 7)),
    "busy": (booked_slots, BookedDay(1, 7, date(2018, 5, 31))),
    "client": (user_data, UserArguments(1, 5)),
    "bookings": (list_appointments, AppointmentPage(1, 0, 0, 0, (), None, None, 50, ())),
    "bookings in May": (list_appointments, AppointmentPage(1, 0, 0, 0, (), MAY, JUNE, 50, ())),
    "bookings of 7": (list_appointments, AppointmentPage(1, 7, 0, 0, (), None, None, 50, ())),
    "bookings of 7 in May": (
        list_appointments,
        AppointmentPage(1, 7, 0, 0, (), MAY, JUNE, 50, ()),
    ),
    "bookings of client 5": (list_appointments, AppointmentPage(1, 0, 5, 0, (), MAY, None, 50, ())),
    "clients": (list_clients, ClientPage(1, "", True, 50, 0)),  # noqa: FBT003 - as it is called
    "services": (list_services, ServicePage(1, "", 0, True, 50, 0)),  # noqa: FBT003
    "services of 7": (list_services, ServicePage(1, "", 7, True, 50, 0)),  # noqa: FBT003
    "barbers": (list_barbers, BarberPage(1, 3, True, 50, 0)),  # noqa: FBT003
    "revenue": (revenue, RevenueArguments(1, 0, MAY, JUNE, "day")),
    "revenue of 7": (revenue, RevenueArguments(1, 7, MAY, JUNE, "day")),
    "revenue of June": (revenue, RevenueArguments(1, 0, JUNE, JULY, "day")),
    "stats": (appointment_stats, RangeArguments(1, 0, MAY, JUNE)),
    "stats of 7": (appointment_stats, RangeArguments(1, 7, MAY, JUNE)),
    "stats of June": (appointment_stats, RangeArguments(1, 0, JUNE, JULY)),
    "patterns": (patterns, RangeArguments(1, 0, MAY, JUNE)),
    "patterns of 7": (patterns, RangeArguments(1, 7, MAY, JUNE)),
    "patterns of June": (patterns, RangeArguments(1, 0, JUNE, JULY)),
    "performance": (barber_performance, RangeArguments(1, 0, MAY, JUNE)),
    "performance of 7": (barber_performance, RangeArguments(1, 7, MAY, JUNE)),
    "performance of June": (barber_performance, RangeArguments(1, 0, JUNE, JULY)),
    "May against April": (comparison, ComparisonArguments(1, 0, date(2018, 5, 31), "month")),
    "June against May of 7": (comparison, ComparisonArguments(1, 7, date(2018, 6, 9), "month")),
    "the year against the year before": (comparison, ComparisonArguments(1, 0, JULY, "year")),
    "dashboard": (dashboard, DashboardArguments(1, 0, MAY, JUNE, JUNE, 1e5)),
    "dashboard of 7": (dashboard, DashboardArguments(1, 7, JUNE, JULY, JULY, 1e5)),
    "six": (six_figure, SixFigureArguments(1, 0, JULY, 1e5)),
    "six of 7": (six_figure, SixFigureArguments(1, 7, JULY, 1e5)),
    "six of last year": (six_figure, SixFigureArguments(1, 0, date(2017, 7, 1), 1e5)),
    "retention": (retention, AsOfArguments(1, 0, JUNE)),
    "retention of 7": (retention, AsOfArguments(1, 7, JULY)),
    "retention until then": (retention, AsOfArguments(1, 0, date(2018, 5, 31))),
    "value": (lifetime_value, AsOfArguments(1, 0, date(2018, 6, 2))),
    "value of 7": (lifetime_value, AsOfArguments(1, 7, JULY)),
    "value until then": (lifetime_value, AsOfArguments(1, 0, date(2018, 5, 31))),
}
BOOKED = {
    "bookings",
    "bookings in May",
    "bookings of 7",
    "bookings of 7 in May",
    "bookings of client 5",
}
BOOKED |= {"busy", "client", "stats", "stats of 7", "patterns", "patterns of 7"}
BOOKED |= {"performance", "performance of 7", "dashboard"}
BOOKED |= {"the year against the year before"}
PATTERNS = {"patterns", "patterns of 7", "patterns of June"}
RANGES = {"stats", "stats of 7", "stats of June", *PATTERNS}
RANGES |= {"performance", "performance of 7", "performance of June"}
RANGES |= {"dashboard", "dashboard of 7"}
VISITED = (
    BOOKED
    | {"dashboard of 7"}
    | {"six", "six of 7", "retention", "retention of 7", "value", "value of 7"}
)
VALUES = {"value", "value of 7", "value until then"}


def day(text: str) -> dict[str, int]:
    """Make the JSON form of a day."""
    year, month, number = map(int, text.split("-"))
    return {"year": year, "month": month, "day": number}


def facts(status: str, **changed: object) -> dict[str, object]:
    """Make the facts of an appointment of barber 7 for client 5 on 2018-05-31."""
    return {
        "barber_id": 7,
        "client_id": 5,
        "status": f"APPOINTMENT_STATUS_{status}",
        "date": day("2018-05-31"),
        "blocked_from": day("2018-05-31"),
        "blocked_to": day("2018-05-31"),
        **changed,
    }


def money(**changed: object) -> dict[str, object]:
    """Make the facts of a payment to barber 8 in June for barber 7's appointment in May."""
    return {
        "barber_id": 8,
        "client_id": 5,
        "date": day("2018-06-01"),
        "appointment_id": 9,
        "appointment_barber_id": 7,
        "appointment_date": day("2018-05-31"),
        **changed,
    }


def schedule_change(part: str, **days: str) -> dict[str, object]:
    """Make the change of a part of barber 7's schedule."""
    span = {name: day(text) for name, text in days.items()}
    return {"schedule": {"part": f"SCHEDULE_PART_{part}", "new": {"barber_id": 7, **span}}}


CHANGES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "a booking": ({"appointment": {"new": facts("SCHEDULED")}}, BOOKED),
    "a visit": (
        {"appointment": {"old": facts("SCHEDULED"), "new": facts("COMPLETED")}},
        VISITED,
    ),
    "a confirmation": (
        {
            "appointment": {
                "old": facts("SCHEDULED"),
                "new": facts("CONFIRMED"),
                "availability_unchanged": True,
            }
        },
        BOOKED,
    ),
    "a booking of a day that two months are compared by": (
        {"appointment": {"new": facts("SCHEDULED", date=day("2018-05-02"))}},
        BOOKED | {"May against April", "June against May of 7"},
    ),
    "another barber's booking in another year": (
        {
            "appointment": {
                "new": facts("SCHEDULED", barber_id=8, client_id=6, date=day("2020-01-01"))
            }
        },
        {"bookings"},
    ),
    "a payment": (
        {"payment": {"new": money()}},
        {
            "client",
            "revenue of June",
            "stats",
            "stats of 7",
            "patterns",
            "patterns of 7",
            "performance",
            "performance of 7",
            "performance of June",
            "the year against the year before",
            "six",
            "value",
        },
    ),
    "a sale": (
        {"payment": {"new": {"barber_id": 7, "date": day("2018-05-02")}}},
        {
            "revenue",
            "revenue of 7",
            "dashboard",
            "dashboard of 7",
            "performance",
            "performance of 7",
            "May against April",
            "June against May of 7",
            "the year against the year before",
            "six",
            "six of 7",
        },
    ),
    "a sale years later": (
        {"payment": {"new": {"barber_id": 7, "date": day("2020-05-02")}}},
        set(),
    ),
    "a service": (
        {"service": {"service_id": 3}},
        {"services", "services of 7", *RANGES},
    ),
    "a client": (
        {"client": {"client_id": 5}},
        {"clients", "client", "bookings of client 5", *VALUES},
    ),
    "another client": ({"client": {"client_id": 6}}, {"clients", *VALUES}),
    "weekly hours": (
        schedule_change("WEEKLY_HOURS"),
        {"schedule", *(RANGES - PATTERNS), "six", "six of 7", "six of last year"},
    ),
    "time off in June": (
        schedule_change("TIME_OFF", **{"from": "2018-06-10", "to": "2018-06-11"}),
        {"schedule", "stats of June", "dashboard of 7", "performance of June", "six", "six of 7"},
    ),
    "a special day in 2016": (
        schedule_change("SPECIAL_HOURS", **{"from": "2016-06-10", "to": "2016-06-10"}),
        {"schedule"},
    ),
    "an offer": (
        {"barber": {"barber_id": 8, "service_id": 3}},
        {"barbers"},
    ),
    "another barber": (
        {"barber": {"barber_id": 8}},
        {
            "barbers",
            "stats",
            "stats of June",
            "dashboard",
            "performance",
            "performance of June",
            "six",
            "six of last year",
        },
    ),
    "settings": ({"organization": {}}, set(ENTRIES)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_touches_the_entries_that_depend_on_it(name: str) -> None:
    """Each change touches exactly the answers that may differ by it, by this table."""
    change, expected = CHANGES[name]
    touched = tags_of(ParseDict({"organization_id": 1, **change}, Event()))
    hit = {
        entry
        for entry, (query, arguments) in ENTRIES.items()
        if touched & {"organization", *query.tags(arguments)}
    }
    assert hit == expected


def test_keys_are_readable_and_differ_with_every_argument() -> None:
    """A key says what it is of; no two of these entries share one."""
    keys = {name: query.key(arguments) for name, (query, arguments) in ENTRIES.items()}
    assert len(set(keys.values())) == len(keys)
    assert keys["schedule"] == "schedule:barber:7"
    assert keys["busy"] == "booked_slots:barber:7:date:2018-05-31"
    assert keys["client"] == "user:user_data:client:5"
    assert keys["revenue of 7"] == (
        "analytics:revenue:barber:7:start:2018-05-01:end:2018-06-01:group_by:=day"
    )
    assert keys["six"] == "analytics:six_figure:barber:0:as_of:2018-07-01:target:100000.0"
    assert keys["services"].startswith("list:services:category:=:barber:0:")


def test_entries_live_as_long_as_their_kind() -> None:
    """Times to live only bound memory: an hour for schedules, minutes for the rest."""
    minutes = {name: query.ttl / timedelta(minutes=1) for name, (query, _) in ENTRIES.items()}
    expected = {"schedule": 60, "busy": 5, "client": 5, "clients": 10, "bookings": 10}
    expected |= {"services": 10, "barbers": 10, "revenue": 10, "stats": 30, "six": 15}
    expected |= {
        "retention": 15,
        "value": 15,
        "patterns": 15,
        "performance": 15,
        "May against April": 10,
    }
    assert {name: minutes[name] for name in expected} == expected
