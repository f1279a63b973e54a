"""Busy times of several days in one answer."""

from datetime import UTC, date, datetime

from cache_service.queries.booked_slots import BookedDay, booked_slots
from chairside.cache.v1 import cache_service_pb2
from chairside.cache.v1.types_pb2 import BusyInterval
from service_kit.values import to_timestamp

MONDAY, TUESDAY = date(2018, 7, 2), date(2018, 7, 3)
NOW = datetime(2018, 7, 1, tzinfo=UTC)


def _busy(appointment: int, start: tuple[int, int], end: tuple[int, int]) -> BusyInterval:
    """Make one of July; a moment is a day and an hour."""
    first, last = (
        to_timestamp(datetime(2018, 7, day, hour, tzinfo=UTC)) for day, hour in (start, end)
    )
    return BusyInterval(appointment_id=appointment, start_time=first, end_time=last)


def _united(monday: list[BusyInterval], tuesday: list[BusyInterval]) -> list[BusyInterval]:
    assert booked_slots.rpc is not None
    assert booked_slots.rpc.respond is not None
    parts = [
        (
            BookedDay(1, 1, day),
            cache_service_pb2.GetBookedSlotsResponse(intervals=busy).SerializeToString(),
        )
        for day, busy in ((MONDAY, monday), (TUESDAY, tuesday))
    ]
    raw, _ = booked_slots.rpc.respond(cache_service_pb2.GetBookedSlotsRequest(), parts, NOW)
    return list(cache_service_pb2.GetBookedSlotsResponse.FromString(raw).intervals)


def test_an_interval_over_midnight_is_shown_once() -> None:
    """Both days know it."""
    late = _busy(7, (2, 23), (3, 1))
    assert _united([late], [late]) == [late]


def test_no_day_hides_what_another_day_shows() -> None:
    """The later day's entry still has an appointment that the earlier day's has moved there."""
    now, before = _busy(7, (2, 10), (2, 11)), _busy(7, (3, 10), (3, 11))
    assert _united([now], [before]) == [now, before]
