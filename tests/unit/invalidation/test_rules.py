"""Which tags each kind of change touches."""

from datetime import date

import pytest
from google.protobuf.json_format import ParseDict

from cache_service.invalidation import tags
from cache_service.invalidation.rules import MAX_DAYS, tags_of, tags_of_scope
from chairside.cache.v1 import cache_service_pb2, events_pb2


def event(**change: object) -> events_pb2.Event:
    """Make an event of organization 1 from the JSON form that triggers write."""
    return ParseDict({"organization_id": "1", **change}, events_pb2.Event())


def day(text: str) -> dict[str, int]:
    """Make the JSON form of a day."""
    year, month, number = map(int, text.split("-"))
    return {"year": year, "month": month, "day": number}


def facts(**changed: object) -> dict[str, object]:
    """Make the facts of an appointment of barber 7 on 2018-05-31."""
    return {
        "appointment_id": "9",
        "barber_id": "7",
        "service_id": "3",
        "client_id": "5",
        "status": "APPOINTMENT_STATUS_SCHEDULED",
        "date": day("2018-05-31"),
        "blocked_from": day("2018-05-31"),
        "blocked_to": day("2018-06-01"),
        **changed,
    }


def month(name: str, day_of_month: int) -> set[str]:
    """Name a month, and the blocks of 1, 4 and 16 days in it that hold its day."""
    return {name, *(f"{name}:{length}x{(day_of_month - 1) // length}" for length in (1, 4, 16))}


BOOKED = {
    "bookings",
    "bookings:barber:7",
    *month("bookings:shop:2018-05", 31),
    *month("bookings:barber:7:2018-05", 31),
    "bookings:client:5",
    "busy:7:2018-05-31",
    "busy:7:2018-06-01",
    "day:7:2018-05-31",
    "day:7:2018-06-01",
}


def test_a_booking_touches_its_days_month_and_client() -> None:
    """A booking touches every day that its widened blocked time meets, and no other month."""
    assert tags_of(event(appointment={"new": facts()})) == BOOKED


def test_a_walk_in_touches_no_client() -> None:
    """A booking without a client touches nothing of any client."""
    touched = tags_of(event(appointment={"new": facts(client_id="0")}))
    assert touched == BOOKED - {"bookings:client:5"}


def test_a_change_that_frees_and_blocks_nothing_leaves_free_slots_alone() -> None:
    """A confirmation is seen in busy times, but touches no day's free slots."""
    change = {"old": facts(), "new": facts(status="APPOINTMENT_STATUS_CONFIRMED")}
    touched = tags_of(event(appointment={**change, "availability_unchanged": True}))
    assert touched == {tag for tag in BOOKED if not tag.startswith("day:")}
    assert tags_of(event(appointment=change)) == BOOKED


def blocks(name: str, number: int) -> set[str]:
    """Name the blocks of days that hold a day, by its number from 1900-01-01, which is 1."""
    return {f"{name}:{4**power}x{number // 4**power}" for power in range(8)}


@pytest.mark.parametrize("side", ["old", "new"])
def test_a_visit_on_either_side_touches_visits(side: str) -> None:
    """A status of completed before or after touches visits; others do not."""
    completed = facts(status="APPOINTMENT_STATUS_COMPLETED")
    change = {"old": facts(), "new": facts(), side: completed}
    visits = blocks("visits:shop", 43_250) | blocks("visits:barber:7", 43_250)
    assert tags_of(event(appointment=change)) == BOOKED | visits
    unsaid = facts()
    del unsaid["status"]
    assert visits <= tags_of(event(appointment={"new": unsaid}))


def test_a_move_to_another_barber_and_month_touches_both() -> None:
    """A reschedule touches the old and the new barber, day, month and client."""
    moved = facts(
        barber_id="8",
        client_id="6",
        date=day("2018-07-02"),
        blocked_from=day("2018-07-02"),
        blocked_to=day("2018-07-02"),
    )
    assert tags_of(event(appointment={"old": facts(), "new": moved})) == BOOKED | {
        "bookings:barber:8",
        *month("bookings:shop:2018-07", 2),
        *month("bookings:barber:8:2018-07", 2),
        "bookings:client:6",
        "busy:8:2018-07-02",
        "day:8:2018-07-02",
    }


def test_unset_blocked_days_are_the_day_before_to_the_day_after() -> None:
    """Without blocked days an appointment touches its day and both neighbours."""
    bare = facts(date=day("2018-03-01"))
    del bare["blocked_from"], bare["blocked_to"]
    touched = tags_of(event(appointment={"old": bare}))
    assert {tag for tag in touched if tag.startswith("day:")} == {
        "day:7:2018-02-28",
        "day:7:2018-03-01",
        "day:7:2018-03-02",
    }


def money(**changed: object) -> dict[str, object]:
    """Make the facts of a payment that barber 8 took for an appointment of barber 7."""
    return {
        "barber_id": "8",
        "client_id": "5",
        "date": day("2018-06-01"),
        "appointment_id": "9",
        "appointment_barber_id": "7",
        "appointment_date": day("2018-05-31"),
        "service_id": "3",
        **changed,
    }


def test_a_payment_touches_its_own_day_and_its_appointments() -> None:
    """Money counts on its own day by its barber, and earned on the appointment's by that one's."""
    assert tags_of(event(payment={"new": money()})) == {
        *month("money:shop:2018-06", 1),
        *month("money:barber:8:2018-06", 1),
        *month("earned:shop:2018-05", 31),
        *month("earned:barber:7:2018-05", 31),
        "money:client:5",
        *blocks("spent:shop", 43_251),
        *blocks("spent:barber:8", 43_251),
    }


def test_a_retail_sale_earns_nothing_for_an_appointment() -> None:
    """A sale without appointment and client touches its month alone."""
    sale = {"barber_id": "8", "date": day("2018-06-01")}
    expected = month("money:shop:2018-06", 1) | month("money:barber:8:2018-06", 1)
    assert tags_of(event(payment={"new": sale})) == expected


def test_a_payment_that_moves_touches_both_sides() -> None:
    """An update of a payment touches the old and the new month and day."""
    change = {"old": money(), "new": money(date=day("2018-07-01"))}
    both = month("money:shop:2018-06", 1) | month("money:shop:2018-07", 1)
    assert both <= tags_of(event(payment=change))


def test_weekly_hours_touch_the_hours_and_the_schedule() -> None:
    """Weekly hours touch the barber's and the shop's hours and no single day."""
    change = {"part": "SCHEDULE_PART_WEEKLY_HOURS", "new": {"barber_id": "7"}}
    expected = {"hours:barber:7", "hours:shop", "schedule:7"}
    assert tags_of(event(schedule=change)) == expected
    change["new"] = {"barber_id": "7", "from": day("2018-05-31")}
    assert tags_of(event(schedule=change)) == expected


@pytest.mark.parametrize("part", ["SCHEDULE_PART_TIME_OFF", "SCHEDULE_PART_SPECIAL_HOURS"])
def test_time_off_and_special_days_touch_each_day_inclusive(part: str) -> None:
    """Time off touches its first and its last day, and the openings of both months."""
    span = {"barber_id": "7", "from": day("2018-05-31"), "to": day("2018-06-02")}
    assert tags_of(event(schedule={"part": part, "old": span})) == {
        "schedule:7",
        "day:7:2018-05-31",
        "day:7:2018-06-01",
        "day:7:2018-06-02",
        "openings:shop:2018-05",
        "openings:shop:2018-06",
        "openings:barber:7:2018-05",
        "openings:barber:7:2018-06",
    }


def test_an_unsaid_part_of_a_schedule_is_all_of_it() -> None:
    """An unspecified part touches hours and days."""
    span = {"barber_id": "7", "from": day("2018-05-31"), "to": day("2018-05-31")}
    touched = tags_of(event(schedule={"new": span}))
    assert {"hours:barber:7", "hours:shop", "day:7:2018-05-31", "schedule:7"} <= touched


def test_other_rows_touch_themselves_and_their_kind() -> None:
    """Rows of services, clients and barbers touch their own tag and their list's."""
    assert tags_of(event(service={"service_id": "3"})) == {"service:3", "services"}
    assert tags_of(event(client={"client_id": "5"})) == {"client:5", "clients"}
    assert tags_of(event(barber={"barber_id": "7"})) == {"barber:7", "barbers", "hours:shop"}
    offer = {"barber_id": "7", "service_id": "3"}
    assert tags_of(event(barber=offer)) == {"barber:7", "barbers"}


UNREADABLE = {
    "settings": {"organization": {}},
    "no change": {},
    "no side": {"appointment": {}},
    "no barber": {"appointment": {"new": facts(barber_id="0")}},
    "no date": {"appointment": {"new": facts(date=day("0-0-0"))}},
    "no such day": {"appointment": {"new": facts(date=day("2018-02-30"))}},
    "reversed": {"appointment": {"new": facts(blocked_to=day("2018-05-30"))}},
    "payment without day": {"payment": {"new": {"barber_id": "7"}}},
    "payment without its appointment's day": {
        "payment": {"new": {"barber_id": "7", "date": day("2018-06-01"), "appointment_id": "9"}}
    },
    "time off without end": {
        "schedule": {
            "part": "SCHEDULE_PART_TIME_OFF",
            "new": {"barber_id": "7", "from": day("2018-06-01")},
        }
    },
    "time off of years": {
        "schedule": {
            "part": "SCHEDULE_PART_TIME_OFF",
            "new": {"barber_id": "7", "from": day("2018-06-01"), "to": day("2020-06-01")},
        }
    },
    "the end of the calendar": {
        "appointment": {
            "new": {"barber_id": "7", "date": day("9999-12-31"), "status": 2},
        }
    },
}


@pytest.mark.parametrize("change", UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_touches_everything(change: dict[str, object]) -> None:
    """Settings, unknown kinds and missing facts touch the scope tag and nothing beside it."""
    assert tags_of(event(**change)) == {tags.SCOPE}


def test_days_are_enumerated_up_to_the_bound() -> None:
    """Time off of exactly the greatest length is still named day by day."""
    first = date(2018, 1, 1)
    last = date.fromordinal(first.toordinal() + MAX_DAYS - 1)
    span = {"barber_id": "7", "from": day(str(first)), "to": day(str(last))}
    touched = tags_of(event(schedule={"part": "SCHEDULE_PART_TIME_OFF", "new": span}))
    assert sum(tag.startswith("day:") for tag in touched) == MAX_DAYS


def test_scopes_name_the_narrowest_tags() -> None:
    """An operator's scope is a client, a barber, a barber's day, or everything."""

    def touched(**fields: object) -> frozenset[str]:
        return tags_of_scope(
            ParseDict({"organization_id": "1", **fields}, cache_service_pb2.Scope())
        )

    assert touched() == {tags.SCOPE}
    assert touched(client_id="5") == {"client:5"}
    assert touched(barber_id="7") == {"barber:7"}
    may = day("2018-05-31")
    assert touched(barber_id="7", date=may) == {"day:7:2018-05-31", "busy:7:2018-05-31"}
    assert touched(date=may) == {tags.SCOPE}
    assert touched(client_id="5", barber_id="7") == {"client:5", "barber:7"}
