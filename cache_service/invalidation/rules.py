"""The one table from events to tags: which facts a committed change touches.

It is computed from the old and the new row alone; it knows no time zone and asks nobody.
What it cannot read (a kind of change of a newer version, a day that is none) touches
everything. Raise RULES_VERSION with every change of what an event touches.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from typing import Any

from cache_service.invalidation import tags
from chairside.cache.v1 import cache_service_pb2, events_pb2, types_pb2
from service_kit.values import from_date

__all__ = ["MAX_DAYS", "RULES_VERSION", "tags_of", "tags_of_scope"]

RULES_VERSION = 3
"""Processes with an older one than the authority's neither invalidate nor serve hits."""

MAX_DAYS = 400
"""Changes of more days than this touch everything: cheaper than their tags, and rare."""

_DAY = timedelta(days=1)
_WEEKLY = events_pb2.SCHEDULE_PART_WEEKLY_HOURS
_UNSPECIFIED = events_pb2.SCHEDULE_PART_UNSPECIFIED
# An unspecified status may have been a visit.
_VISITS = (types_pb2.APPOINTMENT_STATUS_COMPLETED, types_pb2.APPOINTMENT_STATUS_UNSPECIFIED)


def tags_of(event: events_pb2.Event) -> frozenset[str]:
    """Return the tags that an event touches, within its organization.

    It is `SCOPE` alone where everything goes.
    """
    kind = event.WhichOneof("change")
    rule = _RULES.get(kind or "")
    if rule is None:
        return _EVERYTHING
    try:
        touched = frozenset(rule(getattr(event, str(kind))))
    except (ValueError, OverflowError):
        return _EVERYTHING
    return _EVERYTHING if tags.SCOPE in touched else touched


def tags_of_scope(scope: cache_service_pb2.Scope) -> frozenset[str]:
    """Return the tags of what an operator named.

    A day of every barber has no tag of its own, and so touches everything.
    """
    if not scope.barber_id and scope.HasField("date"):
        return _EVERYTHING
    touched = set()
    if scope.client_id:
        touched.add(tags.client(scope.client_id))
    if scope.barber_id and scope.HasField("date"):
        day = from_date(scope.date)
        touched |= {tags.day(scope.barber_id, day), tags.busy(scope.barber_id, day)}
    elif scope.barber_id:
        touched.add(tags.barber(scope.barber_id))
    return frozenset(touched) or _EVERYTHING


def _appointment(change: events_pb2.AppointmentChange) -> Iterator[str]:
    for facts in _sides(change):
        barber, day = _barber(facts.barber_id), from_date(facts.date)
        yield tags.BOOKINGS
        yield tags.booking_history(barber)
        yield from tags.bookings(tags.SHOP, day)
        yield from tags.bookings(barber, day)
        if facts.status in _VISITS:
            yield from tags.visits(tags.SHOP, day)
            yield from tags.visits(barber, day)
        if facts.client_id:
            yield tags.client_bookings(facts.client_id)
        first = from_date(facts.blocked_from) if facts.HasField("blocked_from") else day - _DAY
        last = from_date(facts.blocked_to) if facts.HasField("blocked_to") else day + _DAY
        for blocked in _days(first, last):
            yield tags.busy(barber, blocked)
            if not change.availability_unchanged:
                yield tags.day(barber, blocked)


def _payment(change: events_pb2.PaymentChange) -> Iterator[str]:
    for facts in _sides(change):
        barber, day = _barber(facts.barber_id), from_date(facts.date)
        yield from tags.money(tags.SHOP, day)
        yield from tags.money(barber, day)
        if facts.appointment_id:
            earned = from_date(facts.appointment_date)
            yield from tags.earned(tags.SHOP, earned)
            yield from tags.earned(_barber(facts.appointment_barber_id), earned)
        if facts.client_id:
            yield tags.client_money(facts.client_id)
            yield from tags.spent(tags.SHOP, day)
            yield from tags.spent(barber, day)


def _service(change: events_pb2.ServiceChange) -> Iterator[str]:
    yield tags.SERVICES
    yield tags.service(change.service_id)


def _client(change: events_pb2.ClientChange) -> Iterator[str]:
    yield tags.CLIENTS
    yield tags.client(change.client_id)


def _schedule(change: events_pb2.ScheduleChange) -> Iterator[str]:
    for facts in _sides(change):
        barber = _barber(facts.barber_id)
        yield tags.schedule(barber)
        if change.part in (_WEEKLY, _UNSPECIFIED):
            yield tags.hours(tags.SHOP)
            yield tags.hours(barber)
        if change.part == _WEEKLY:
            continue  # from a day on, for good: hours() stands for all those days
        if not (facts.HasField("from") and facts.HasField("to")):
            yield tags.SCOPE
            return
        days = _days(from_date(getattr(facts, "from")), from_date(facts.to))
        for day in days:
            yield tags.day(barber, day)
        yield from tags.openings_within(tags.SHOP, days[0], days[-1] + _DAY)
        yield from tags.openings_within(barber, days[0], days[-1] + _DAY)


def _barber_change(change: events_pb2.BarberChange) -> Iterator[str]:
    yield tags.BARBERS
    yield tags.barber(change.barber_id)
    if not change.service_id:
        # The shop's open minutes are those of its active barbers; an offer changes none.
        yield tags.hours(tags.SHOP)


def _organization(_change: events_pb2.OrganizationChange) -> Iterator[str]:
    yield tags.SCOPE


_EVERYTHING = frozenset({tags.SCOPE})
_RULES: Mapping[str, Callable[[Any], Iterator[str]]] = {
    "appointment": _appointment,
    "payment": _payment,
    "service": _service,
    "client": _client,
    "schedule": _schedule,
    "barber": _barber_change,
    "organization": _organization,
}


def _sides(change: Any) -> list[Any]:  # noqa: ANN401 - any change with an old and a new side
    """Return the old and the new facts that are there; ValueError if neither is."""
    sides = [getattr(change, side) for side in ("old", "new") if change.HasField(side)]
    if not sides:
        message = "neither old nor new facts"
        raise ValueError(message)
    return sides


def _barber(barber_id: int) -> int:
    """Return the id; ValueError if it is none, lest it be taken for the shop's."""
    if barber_id <= 0:
        message = f"no barber has the id {barber_id}"
        raise ValueError(message)
    return barber_id


def _days(first: date, last: date) -> list[date]:
    """Return the days [first, last]; ValueError if they are none or too many."""
    count = (last - first).days + 1
    if not 0 < count <= MAX_DAYS:
        message = f"from {first} to {last} are {count} days"
        raise ValueError(message)
    return [first + timedelta(days=n) for n in range(count)]
