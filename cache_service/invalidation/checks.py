"""Tell what is wrong with an event that a caller sent, before it touches anything."""

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any

from chairside.cache.v1 import events_pb2, types_pb2
from service_kit.values import from_date

__all__ = ["check"]

Problem = tuple[str, str]
"""A field's path, and what is wrong with it."""


def check(event: events_pb2.Event, field: str) -> list[Problem]:
    """Return what is wrong with an event; `field` is its path, e.g. `events[3]`.

    What passes touches the tags of its own change, not everything for want of a fact.
    """
    problems = [*_positive(f"{field}.organization_id", event.organization_id)]
    kind = event.WhichOneof("change")
    if kind is None:
        problems.append((f"{field}.change", "is required"))
    else:
        change, path = getattr(event, kind), f"{field}.{kind}"
        if kind in _SIDED and not (change.HasField("old") or change.HasField("new")):
            problems.append((path, "needs old or new facts"))
        problems += _CHECKS[kind](change, path)
    return problems


def _appointment(change: events_pb2.AppointmentChange, path: str) -> Iterator[Problem]:
    for facts, at in _sides(change, path):
        yield from _positive(f"{at}.barber_id", facts.barber_id)
        for name in ("appointment_id", "service_id", "client_id"):
            yield from _not_negative(f"{at}.{name}", getattr(facts, name))
        if facts.status not in types_pb2.AppointmentStatus.values():
            yield f"{at}.status", "has an unknown value"
        yield from _day(facts, at, "date")
        yield from _range(facts, at, "blocked_from", "blocked_to")


def _payment(change: events_pb2.PaymentChange, path: str) -> Iterator[Problem]:
    for facts, at in _sides(change, path):
        yield from _positive(f"{at}.barber_id", facts.barber_id)
        for name in ("appointment_id", "client_id", "service_id"):
            yield from _not_negative(f"{at}.{name}", getattr(facts, name))
        yield from _day(facts, at, "date")
        if facts.appointment_id > 0:
            yield from _positive(f"{at}.appointment_barber_id", facts.appointment_barber_id)
            yield from _day(facts, at, "appointment_date")


def _schedule(change: events_pb2.ScheduleChange, path: str) -> Iterator[Problem]:
    if change.part not in events_pb2.SchedulePart.values():
        yield f"{path}.part", "has an unknown value"
    for facts, at in _sides(change, path):
        yield from _positive(f"{at}.barber_id", facts.barber_id)
        yield from _range(facts, at, "from", "to")


def _service(change: events_pb2.ServiceChange, path: str) -> Iterator[Problem]:
    yield from _positive(f"{path}.service_id", change.service_id)


def _client(change: events_pb2.ClientChange, path: str) -> Iterator[Problem]:
    yield from _positive(f"{path}.client_id", change.client_id)


def _barber(change: events_pb2.BarberChange, path: str) -> Iterator[Problem]:
    yield from _positive(f"{path}.barber_id", change.barber_id)
    yield from _not_negative(f"{path}.service_id", change.service_id)


def _organization(_change: events_pb2.OrganizationChange, _path: str) -> Iterator[Problem]:
    return iter(())


_CHECKS: Mapping[str, Callable[[Any, str], Iterator[Problem]]] = {
    "appointment": _appointment,
    "payment": _payment,
    "schedule": _schedule,
    "service": _service,
    "client": _client,
    "barber": _barber,
    "organization": _organization,
}
_SIDED = frozenset({"appointment", "payment", "schedule"})


def _sides(change: Any, path: str) -> list[tuple[Any, str]]:  # noqa: ANN401 - any kind with sides
    """Return the facts that there are, and their paths."""
    return [
        (getattr(change, side), f"{path}.{side}")
        for side in ("old", "new")
        if change.HasField(side)
    ]


def _positive(path: str, number: int) -> Iterator[Problem]:
    if number <= 0:
        yield path, "must be positive" if number else "is required"


def _not_negative(path: str, number: int) -> Iterator[Problem]:
    if number < 0:
        yield path, "must not be negative"


def _day(facts: Any, path: str, name: str) -> Iterator[Problem]:  # noqa: ANN401 - any facts
    if not facts.HasField(name):
        yield f"{path}.{name}", "is required"
    elif _read(facts, name) is None:
        yield f"{path}.{name}", "must be a day of the calendar, with year, month and day"


def _range(facts: Any, path: str, first: str, last: str) -> Iterator[Problem]:  # noqa: ANN401 - any facts
    for name in (first, last):
        if facts.HasField(name):
            yield from _day(facts, path, name)
    since, until = _read(facts, first), _read(facts, last)
    if since is None or until is None:
        return
    if until < since:
        yield f"{path}.{last}", f"must not be before {first}"


def _read(facts: Any, name: str) -> date | None:  # noqa: ANN401 - any facts
    if not facts.HasField(name):
        return None
    try:
        return from_date(getattr(facts, name))
    except (ValueError, OverflowError):
        return None
