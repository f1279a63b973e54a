"""A salon's books as a history: bookings, changes of status, payments and refunds in order."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import NamedTuple

import asyncpg

from booking_service.importing.copying import ShopIds, take_ids
from booking_service.importing.records import Appointment, Batch, Payment, Refund

__all__ = ["Mutation", "history_of"]

_SEED = 1
_LEADS = (0.1, 0.5, 1, 2, 3, 5, 7, 7, 14, 14, 21, 28)
_NOTICES = (0.1, 0.5, 1, 1, 2, 3, 5)
"""Days before the start at which is booked, and called off: the books do not say."""

_BOOK = """
INSERT INTO appointments (id, organization_id, barber_id, service_id, client_id, starts_at,
    ends_at, blocked_from, blocked_until, price, status, cancellation_reason)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
"""
_MOVE = """
UPDATE appointments SET status = $2, cancellation_reason = $3, version = version + 1
WHERE id = $1
"""
_PAY = """
INSERT INTO payments (organization_id, appointment_id, barber_id, client_id, amount, paid_at,
    status, method) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
_REFUND = """
INSERT INTO refunds (organization_id, appointment_id, barber_id, client_id, amount, refunded_at,
    reason) VALUES ($1, $2, $3, $4, $5, $6, $7)
"""


class Mutation(NamedTuple):
    """One transaction of the salon's: when, of what kind, and its only statement."""

    at: datetime
    kind: str
    statement: str
    arguments: tuple[object, ...]


async def history_of(connection: asyncpg.Connection, ids: ShopIds, batch: Batch) -> list[Mutation]:
    """Tell what happened, one mutation at a time, in order of time.

    When something was booked or called off the books do not say: some days before its start,
    chosen by chance with a fixed seed. One that was called off while another held its time
    could not have been booked first, and comes in as cancelled. What was no show or completed
    becomes so at its end. Money moves on its own day, and not before its visit is over.
    """
    numbers = await take_ids(connection, "appointments", len(batch.appointments))
    random = Random(_SEED)  # noqa: S311 - it makes up times, not secrets
    moneys: list[Payment | Refund] = [*batch.payments, *batch.refunds]
    last = max((_moment(row) for row in moneys), default=batch.appointments[-1].ends_at)
    found: list[Mutation] = []
    alone = _alone(batch.appointments)
    for number, each, held in zip(numbers, batch.appointments, alone, strict=True):
        found += _of_appointment(number, each, ids, random, last, held=held)
    for row in moneys:
        at = _moment(row)
        if row.appointment is not None:
            at = max(at, batch.appointments[row.appointment].ends_at)
        found.append(_of_money(row, ids, numbers, at))
    return sorted(found, key=lambda one: one.at)


def _of_appointment(
    number: int,
    each: Appointment,
    ids: ShopIds,
    random: Random,
    last: datetime,
    *,
    held: bool,
) -> Iterator[Mutation]:
    lead = timedelta(days=random.choice(_LEADS))
    booked_at = each.created_at or min(each.starts_at - lead, last - random.random() * lead)
    called_off = each.status == "cancelled"
    status = "cancelled" if called_off and not held else "scheduled"
    reason = each.cancellation_reason if status == "cancelled" else ""
    who = (ids.barbers[each.barber], ids.services[each.service])
    client = None if each.client is None else ids.clients[each.client]
    row = (number, ids.organization, *who, client, *each[4:9], status, reason)
    yield Mutation(booked_at, "booking", _BOOK, row)
    if called_off and held:
        notice = timedelta(days=random.choice(_NOTICES))
        at = max(booked_at + timedelta(minutes=1), each.starts_at - notice)
        move = (number, "cancelled", each.cancellation_reason)
        yield Mutation(at, "cancellation", _MOVE, move)
    elif each.status in {"completed", "no_show"}:
        yield Mutation(each.ends_at, each.status, _MOVE, (number, each.status, ""))


def _alone(appointments: Sequence[Appointment]) -> list[bool]:
    """Tell of each appointment whether no other of its barber meets its time."""
    by_barber: dict[int, list[tuple[datetime, datetime]]] = {}
    for each in appointments:
        by_barber.setdefault(each.barber, []).append((each.blocked_from, each.blocked_until))
    for spans in by_barber.values():
        spans.sort()
    longest = max(each.blocked_until - each.blocked_from for each in appointments)
    found = []
    for each in appointments:
        spans = by_barber[each.barber]
        first = bisect_left(spans, (each.blocked_from - longest, each.blocked_from - longest))
        last = bisect_left(spans, (each.blocked_until, each.blocked_until))
        met = sum(until > each.blocked_from for _, until in spans[first:last])
        found.append(met == 1)
    return found


def _moment(row: Payment | Refund) -> datetime:
    return row.paid_at if isinstance(row, Payment) else row.refunded_at


def _of_money(
    row: Payment | Refund, ids: ShopIds, numbers: Sequence[int], at: datetime
) -> Mutation:
    facts = (
        ids.organization,
        None if row.appointment is None else numbers[row.appointment],
        ids.barbers[row.barber],
        None if row.client is None else ids.clients[row.client],
        row.amount,
        _moment(row),
    )
    if isinstance(row, Payment):
        return Mutation(at, "payment", _PAY, (*facts, row.status, row.method))
    return Mutation(at, "refund", _REFUND, (*facts, row.reason))
