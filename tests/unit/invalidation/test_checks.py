"""What is refused of the events that callers send."""

import pytest
from google.protobuf.json_format import ParseDict

from cache_service.invalidation import tags
from cache_service.invalidation.checks import check
from cache_service.invalidation.rules import tags_of
from chairside.cache.v1 import events_pb2

MAY = {"year": 2018, "month": 5, "day": 31}
NO_DAY = {"year": 2018, "month": 2, "day": 30}
APPOINTMENT = {"barber_id": 7, "date": MAY}
PAYMENT = {"barber_id": 7, "date": MAY}
SPAN = {"barber_id": 7, "from": MAY, "to": MAY}

GOOD = {
    "appointment": {"appointment": {"new": APPOINTMENT}},
    "payment": {"payment": {"old": PAYMENT, "new": PAYMENT}},
    "service": {"service": {"service_id": 3}},
    "client": {"client": {"client_id": 3}},
    "barber": {"barber": {"barber_id": 3}},
    "schedule": {"schedule": {"new": SPAN}},
}

BAD = {
    "nothing": ({}, ["e.change"]),
    "no sides": ({"appointment": {}}, ["e.appointment"]),
    "no payment sides": ({"payment": {}}, ["e.payment"]),
    "no schedule sides": ({"schedule": {}}, ["e.schedule"]),
    "no facts": (
        {"appointment": {"new": {}}},
        ["e.appointment.new.barber_id", "e.appointment.new.date"],
    ),
    "both sides": (
        {"payment": {"old": {"barber_id": 7}, "new": {"date": NO_DAY}}},
        ["e.payment.old.date", "e.payment.new.barber_id", "e.payment.new.date"],
    ),
    "negative ids": (
        {"appointment": {"new": {**APPOINTMENT, "client_id": -1, "service_id": -2}}},
        ["e.appointment.new.service_id", "e.appointment.new.client_id"],
    ),
    "unknown status": (
        {"appointment": {"new": {**APPOINTMENT, "status": 99}}},
        ["e.appointment.new.status"],
    ),
    "blocked backwards": (
        {
            "appointment": {
                "new": {
                    **APPOINTMENT,
                    "blocked_from": MAY,
                    "blocked_to": {"year": 2018, "month": 5, "day": 30},
                }
            }
        },
        ["e.appointment.new.blocked_to"],
    ),
    "no such blocked day": (
        {"appointment": {"new": {**APPOINTMENT, "blocked_from": NO_DAY}}},
        ["e.appointment.new.blocked_from"],
    ),
    "paid appointment without facts": (
        {"payment": {"new": {**PAYMENT, "appointment_id": 9}}},
        ["e.payment.new.appointment_barber_id", "e.payment.new.appointment_date"],
    ),
    "unknown part": ({"schedule": {"part": 9, "new": SPAN}}, ["e.schedule.part"]),
    "schedule of nobody": ({"schedule": {"new": {}}}, ["e.schedule.new.barber_id"]),
    "service": ({"service": {}}, ["e.service.service_id"]),
    "client": ({"client": {"client_id": -1}}, ["e.client.client_id"]),
    "barber": (
        {"barber": {"service_id": -1}},
        ["e.barber.barber_id", "e.barber.service_id"],
    ),
}


@pytest.mark.parametrize("change", GOOD.values(), ids=GOOD)
def test_events_with_their_facts_pass_and_touch_only_them(change: dict[str, object]) -> None:
    """A checked event is never taken for a change of everything."""
    event = ParseDict({"organization_id": 1, **change}, events_pb2.Event())
    assert check(event, "e") == []
    assert tags.SCOPE not in tags_of(event)


@pytest.mark.parametrize(("change", "fields"), BAD.values(), ids=BAD)
def test_every_wrong_field_is_named(change: dict[str, object], fields: list[str]) -> None:
    """Each wrong field is named once, the missing organization with them."""
    event = ParseDict(change, events_pb2.Event())
    assert [field for field, _ in check(event, "e")] == ["e.organization_id", *fields]
