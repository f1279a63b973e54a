"""Schedules, busy times and clients in short, against the small shop's rows."""

import math
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from cache_service.queries.booked_slots import BookedDay, booked_slots
from cache_service.queries.declare import CachedQuery
from cache_service.queries.schedule import ScheduleArguments, schedule
from cache_service.queries.user_data import UserArguments, user_data
from chairside.cache.v1 import cache_service_pb2, types_pb2
from service_kit.errors import NotFound
from service_kit.values import from_date, from_money, from_periods, from_timestamp
from tests.integration.queries.conftest import NOW, SHOPS, Load

NEW_YORK = SHOPS[0]
HOURS_LATER = [timedelta(), timedelta(hours=1), timedelta(hours=9), timedelta(hours=23)]


def rpc_of(query: CachedQuery[Any]) -> Any:
    """Return how a query answers its method."""
    assert query.rpc is not None
    return query.rpc


async def busy(
    load: Load, barber_id: int, start: date, end: date, now: datetime = NOW
) -> cache_service_pb2.GetBookedSlotsResponse:
    """Read busy times as the method does: one entry for each day."""
    days = [
        BookedDay(barber_id // 1000, barber_id, start + timedelta(days=n))
        for n in range((end - start).days)
    ]
    payloads = await load(booked_slots, *days)
    parts = list(zip(days, payloads, strict=True))
    answer, _ = rpc_of(booked_slots).respond(None, parts, now)
    return cache_service_pb2.GetBookedSlotsResponse.FromString(answer)


async def test_a_booking_over_midnight_is_busy_on_both_days_and_told_once(load: Load) -> None:
    """Its blocked time meets two days; the answer over both has it once, with its buffers."""
    # Barber 2, 2018-03-31 23:30 for 90 minutes.
    for start, end in (
        (date(2018, 3, 31), date(2018, 4, 1)),
        (date(2018, 4, 1), date(2018, 4, 2)),
        (date(2018, 3, 31), date(2018, 4, 2)),
    ):
        found = await busy(load, 1002, start, end)
        assert [one.appointment_id for one in found.intervals] == [1008]
        (one,) = found.intervals
        assert from_timestamp(one.start_time) == NEW_YORK.at("2018-03-31 23:25")
        assert from_timestamp(one.end_time) == NEW_YORK.at("2018-04-01 01:10")
        assert one.status == types_pb2.APPOINTMENT_STATUS_COMPLETED
    assert not (await busy(load, 1002, date(2018, 4, 2), date(2018, 4, 3))).intervals


async def test_cancelled_appointments_are_not_busy(load: Load) -> None:
    """On a day with a no-show and a cancelled one, only the no-show holds its time."""
    found = await busy(load, 1001, date(2018, 3, 2), date(2018, 3, 3))
    assert [one.appointment_id for one in found.intervals] == [1004]
    assert found.time_zone == "America/New_York"


async def test_busy_days_are_the_shops_own(load: Load) -> None:
    """The same local times in another zone are busy on the same local days."""
    first = await busy(load, 1001, date(2018, 3, 1), date(2018, 4, 10))
    second = await busy(load, 2001, date(2018, 3, 1), date(2018, 4, 10))
    expected = [1, 2, 3, 4, 6, 11, 12, 13]  # the first from 28 February over midnight
    assert [one.appointment_id - 1000 for one in first.intervals] == expected
    assert [one.appointment_id - 2000 for one in second.intervals] == expected


def test_a_hold_is_busy_until_it_ends() -> None:
    """Reading drops a pending appointment at the end of its hold; the entry keeps it."""
    end = datetime(2018, 4, 1, 16, 10, tzinfo=UTC)
    held = types_pb2.BusyInterval(appointment_id=1)
    held.hold_until.FromDatetime(end)
    payload = cache_service_pb2.GetBookedSlotsResponse(intervals=[held]).SerializeToString()
    part = (BookedDay(1, 1, date(2018, 4, 1)), payload)
    for now, count in ((end - timedelta(microseconds=1), 1), (end, 0)):
        answer, until = rpc_of(booked_slots).respond(None, [part], now)
        assert until == (end.timestamp() if count else math.inf)
        assert len(cache_service_pb2.GetBookedSlotsResponse.FromString(answer).intervals) == count


async def read_schedule(
    load: Load, barber_id: int, now: datetime, *, loaded: datetime | None = None
) -> cache_service_pb2.GetScheduleResponse:
    """Read a schedule at `now` from an entry that was loaded before."""
    arguments = ScheduleArguments(barber_id // 1000, barber_id)
    (payload,) = await load(schedule, arguments, now=loaded or now)
    answer, _ = rpc_of(schedule).respond(None, [(arguments, payload)], now)
    return cache_service_pb2.GetScheduleResponse.FromString(answer)


async def test_a_schedule_holds_what_is_now_and_to_come(load: Load) -> None:
    """On 1 April the week in force and the next, coming special days and time off remain."""
    first = await read_schedule(load, 1001, NOW)
    assert [from_date(week.valid_from) for week in first.weekly_hours] == [
        date(2018, 3, 19),
        date(2019, 1, 1),
    ]
    assert [day.weekday for day in first.weekly_hours[0].weekdays] == list(range(7))
    assert from_periods(first.weekly_hours[0].weekdays[0].periods) == [(600, 1080)]
    assert from_periods(first.weekly_hours[1].weekdays[0].periods) == [(540, 720), (780, 1020)]
    assert not first.weekly_hours[0].weekdays[6].periods
    assert (list(first.time_off), list(first.special_days)) == ([], [])
    second = await read_schedule(load, 1002, NOW)
    assert [one.reason for one in second.time_off] == ["later"]
    assert [from_date(one.date) for one in second.special_days] == [date(2018, 5, 1)]
    assert from_periods(second.special_days[0].periods) == [(0, 1440)]


async def test_a_special_day_is_shown_until_its_local_day_is_over(load: Load) -> None:
    """31 March ends at local midnight, in New York at four in the morning UTC."""
    midnight = datetime(2018, 4, 1, 4, tzinfo=UTC)
    loaded = midnight - timedelta(hours=1)
    for now, days in ((midnight - timedelta(seconds=1), 1), (midnight, 0)):
        found = await read_schedule(load, 1001, now, loaded=loaded)
        assert len(found.special_days) == days


@pytest.mark.parametrize("later", HOURS_LATER, ids=str)
async def test_an_entry_read_later_says_what_a_fresh_one_says(load: Load, later: timedelta) -> None:
    """The passing of time changes answers at reading, never by a new load."""
    for day in range(-30, 30, 3):
        loaded = NOW + timedelta(days=day)
        for barber_id in (1001, 1002, 2001):
            old = await read_schedule(load, barber_id, loaded + later, loaded=loaded)
            assert old == await read_schedule(load, barber_id, loaded + later)
        for client_id in (1001, 1002, 2004):
            old_client = await read_client(load, client_id, loaded + later, loaded=loaded)
            assert old_client == await read_client(load, client_id, loaded + later)


async def read_client(
    load: Load, client_id: int, now: datetime = NOW, *, loaded: datetime | None = None
) -> cache_service_pb2.GetUserDataResponse:
    """Read a client in short at `now` from an entry that was loaded before."""
    arguments = UserArguments(client_id // 1000, client_id)
    (payload,) = await load(user_data, arguments, now=loaded or now)
    answer, _ = rpc_of(user_data).respond(None, [(arguments, payload)], now)
    return cache_service_pb2.GetUserDataResponse.FromString(answer)


async def test_a_client_has_visits_spend_and_both_appointments(load: Load) -> None:
    """Two visits on two local days, net spend, the last one done and the next one booked."""
    ada = await read_client(load, 1001)
    assert (ada.client.name, ada.client.etag, ada.client.organization_id) == ("Ada", "1", 1)
    assert ada.visits == 2  # 28 February and 1 March, twice
    # 40.01 + 35.00 + 80.04 less 20.02.
    assert str(from_money(ada.spent)) == "135.03"
    assert ada.segment == types_pb2.CLIENT_SEGMENT_RETURNING
    assert ada.last_appointment.appointment_id == 1003
    assert ada.next_appointment.appointment_id == 1012
    assert ada.next_appointment.price.currency_code == "CAD"


async def test_next_becomes_last_when_it_begins(load: Load) -> None:
    """At its start time the next appointment is the last one, and another is next."""
    start = NEW_YORK.at("2018-04-03 09:00")
    before = await read_client(load, 1001, start - timedelta(seconds=1), loaded=NOW)
    after = await read_client(load, 1001, start, loaded=NOW)
    assert (before.last_appointment.appointment_id, before.next_appointment.appointment_id) == (
        1003,
        1012,
    )
    assert (after.last_appointment.appointment_id, after.next_appointment.appointment_id) == (
        1012,
        1014,
    )


async def test_missed_and_cancelled_ones_are_never_last(load: Load) -> None:
    """A client's last appointment is the last that was neither missed nor cancelled."""
    zoe = await read_client(load, 1004)  # missed on 28 March, cancelled on the 29th
    assert zoe.last_appointment.appointment_id == 1011
    assert not zoe.HasField("next_appointment")


@pytest.mark.parametrize(
    ("query", "arguments", "missing"),
    [
        (schedule, ScheduleArguments(9, 1001), "organization"),
        (schedule, ScheduleArguments(2, 1001), "barber"),
        (booked_slots, BookedDay(9, 1001, date(2018, 3, 1)), "organization"),
        (booked_slots, BookedDay(2, 1001, date(2018, 3, 1)), "barber"),
        (user_data, UserArguments(9, 1001), "organization"),
        (user_data, UserArguments(2, 1001), "client"),
        (user_data, UserArguments(1, 1005), "client"),
    ],
)
async def test_what_another_shop_has_is_not_found(
    load: Load, query: CachedQuery[object], arguments: object, missing: str
) -> None:
    """Unknown, another shop's, and deleted ones raise, so that nothing is cached."""
    with pytest.raises(NotFound) as raised:
        await load(query, arguments)
    assert raised.value.resource_type == missing


async def test_many_are_loaded_at_once_in_their_order(load: Load) -> None:
    """A load of several entries gives each its own payload, in the order asked for."""
    for query, arguments in (
        (schedule, [ScheduleArguments(1, 1000 + n) for n in (2, 1, 3, 2)]),
        (user_data, [UserArguments(1, 1000 + n) for n in (4, 1, 2)]),
        (booked_slots, [BookedDay(1, 1000 + n % 2 + 1, date(2018, 3, n)) for n in (31, 1, 16)]),
    ):
        together = await load(query, *arguments)
        assert together == [(await load(query, one))[0] for one in arguments]


@pytest.mark.parametrize("days", range(-30, 30, 3))
async def test_what_is_said_to_hold_holds(load: Load, days: int) -> None:
    """Until the moment that is named, the same entries make the same response."""
    now, finite = NOW + timedelta(days=days), 0
    reads: list[tuple[CachedQuery[Any], object]] = [
        (schedule, ScheduleArguments(1, 1001)),
        (schedule, ScheduleArguments(1, 1002)),
        (user_data, UserArguments(1, 1001)),
        (user_data, UserArguments(1, 1002)),
        (user_data, UserArguments(2, 2004)),
    ]
    for query, arguments in reads:
        (payload,) = await load(query, arguments, now=now)
        parts, respond = [(arguments, payload)], rpc_of(query).respond
        said, until = respond(None, parts, now)
        finite += until != math.inf
        span = min(until - now.timestamp(), 400 * 86400)
        assert span > 0
        for part in (0.0, 0.3, 0.7, 0.999999):
            assert respond(None, parts, now + timedelta(seconds=span * part))[0] == said
    assert finite >= 2  # a schedule's day always ends


async def test_a_client_is_told_anew_when_an_appointment_begins(load: Load) -> None:
    """The next one is the last one from that very moment on, which was named before."""
    arguments = UserArguments(1, 1001)
    (payload,) = await load(user_data, arguments, now=NOW)
    respond = rpc_of(user_data).respond
    before, until = respond(None, [(arguments, payload)], NOW)
    coming = cache_service_pb2.GetUserDataResponse.FromString(before).next_appointment
    assert from_timestamp(coming.start_time).timestamp() == until
    after, _ = respond(None, [(arguments, payload)], from_timestamp(coming.start_time))
    assert cache_service_pb2.GetUserDataResponse.FromString(after).last_appointment == coming
