"""The mutations of which it is measured what they pay for the totals, and what they are made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count, cycle

import asyncpg
from sqlalchemy import update

from booking_service.domain.statuses import Status
from booking_service.postgres import tables
from booking_service.use_cases.booking import Booking, book
from booking_service.use_cases.mutations import Work
from booking_service.use_cases.payments import (
    NewPayment,
    NewRefund,
    confirm_payment,
    refund_payment,
)
from booking_service.use_cases.statuses import Step, advance
from booking_service.use_cases.transaction import Transaction

__all__ = ["Works", "prepare"]

_PRICE, _CURRENCY = Decimal("30.00"), "CAD"
_PREPARED = 200_000
"""Appointments to be completed and paid for: more than any run gets to."""
_PREPARE = """
INSERT INTO appointments (organization_id, barber_id, service_id, client_id, status,
    starts_at, ends_at, blocked_from, blocked_until, price)
SELECT $1, a.barber_id, a.service_id, a.client_id, 'scheduled', a.starts_at, a.ends_at,
    a.starts_at, a.ends_at, 30
FROM (
    SELECT b.ids[1 + n % cardinality(b.ids)] AS barber_id, s.id AS service_id,
        c.ids[1 + (n * 7919) % cardinality(c.ids)] AS client_id,
        l.last + n / cardinality(b.ids) * interval '10 minutes' AS starts_at,
        l.last + (n / cardinality(b.ids) + 1) * interval '10 minutes' AS ends_at
    FROM (SELECT array_agg(id ORDER BY id) AS ids FROM barbers WHERE organization_id = $1) b,
        (SELECT array_agg(id ORDER BY id) AS ids FROM clients WHERE organization_id = $1) c,
        (SELECT min(id) AS id FROM services WHERE organization_id = $1) s,
        (SELECT max(blocked_until) AS last FROM appointments WHERE organization_id = $1) l,
        generate_series(0, $2::bigint - 1) n
) a
RETURNING id
"""
_PAY = """
INSERT INTO payments
    (organization_id, appointment_id, barber_id, client_id, amount, status, paid_at)
SELECT organization_id, id, barber_id, client_id, 30, 'completed', now()
FROM appointments WHERE id = ANY($1)
RETURNING id
"""
_OPEN = """
WITH hours AS (UPDATE weekly_hours SET periods = '{[0,1440)}' WHERE organization_id = $1)
UPDATE organizations SET horizon_days = 3660, lead_time_minutes = 0 WHERE id = $1
"""
_OFFERS = """
SELECT o.barber_id, min(o.service_id) AS service_id FROM barber_services o
JOIN barbers b ON b.id = o.barber_id AND b.active
JOIN services s ON s.id = o.service_id AND NOT s.deleted
WHERE o.organization_id = $1 GROUP BY o.barber_id ORDER BY o.barber_id
"""
_PAID = 20_000
"""Payments to be given back in part, one after the other and again, a cent at a time."""
_CLIENT = "SELECT min(id) FROM clients WHERE organization_id = $1 AND NOT deleted"
_LAST = """
SELECT date_trunc('hour', max(blocked_until)) + interval '1 day'
FROM appointments WHERE organization_id = $1
"""
_APART = timedelta(hours=4)
_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Works:
    """Mutations of prepared appointments and payments, and of free time after `last`."""

    organization_id: int
    booked: Sequence[int]
    paid: Sequence[int]
    offers: Sequence[tuple[int, int]]
    client: int
    last: datetime

    def all(self) -> Mapping[str, Iterator[tuple[str, Work]]]:
        """Give endless works by mutation; each appointment is completed once."""
        half = len(self.booked) // 2
        return {
            "completion": (("CompleteAppointment", self._complete(n)) for n in self.booked[:half]),
            "payment": (("ConfirmPayment", self._pay(n)) for n in self.booked),
            "refund": (("RefundPayment", self._refund(n)) for n in cycle(self.paid)),
            "booking": (("CreateAppointment", self._book(n)) for n in count()),
            "correction": (("CompleteAppointment", self._correct(n)) for n in self.booked[half:]),
        }

    def _complete(self, appointment_id: int) -> Work:
        step = Step(self.organization_id, appointment_id, Status.COMPLETED, etag="")

        async def work(tx: Transaction) -> bytes:
            return (await advance(tx, step)).status.encode()

        return work

    def _pay(self, appointment_id: int) -> Work:
        wanted = NewPayment(
            organization_id=self.organization_id,
            appointment_id=appointment_id,
            barber_id=None,
            client_id=None,
            amount=_PRICE,
            currency=_CURRENCY,
            method="card",
            paid_at=None,
        )

        async def work(tx: Transaction) -> bytes:
            return (await confirm_payment(tx, wanted)).status.encode()

        return work

    def _refund(self, payment_id: int) -> Work:
        wanted = NewRefund(self.organization_id, payment_id, _CENT, _CURRENCY, reason="")

        async def work(tx: Transaction) -> bytes:
            refund, _ = await refund_payment(tx, wanted)
            return str(refund.id).encode()

        return work

    def _book(self, number: int) -> Work:
        turn, at = divmod(number, len(self.offers))
        barber, service = self.offers[at]
        start = self.last + (turn + 1) * _APART
        wanted = Booking(
            organization_id=self.organization_id,
            barber_id=barber,
            service_id=service,
            client_id=self.client,
            start=start,
            status=Status.SCHEDULED,
            hold_until=None,
            notes="",
        )

        async def work(tx: Transaction) -> bytes:
            return str((await book(tx, wanted)).id).encode()

        return work

    def _correct(self, appointment_id: int) -> Work:
        complete = self._complete(appointment_id)
        table = tables.appointments
        take_away = update(table).where(table.c.id == appointment_id).values(status="no_show")

        async def work(tx: Transaction) -> bytes:
            answer = await complete(tx)
            await tx.connection.execute(take_away)
            return answer

        return work


async def prepare(owner_url: str, organization_id: int) -> Works:
    """Write what the mutations need: appointments to come, payments, time to book."""
    owner = await asyncpg.connect(owner_url)
    try:
        rows = await owner.fetch(_PREPARE, organization_id, _PREPARED)
        booked = [row["id"] for row in rows]
        paid = [row["id"] for row in await owner.fetch(_PAY, booked[:_PAID])]
        await owner.execute(_OPEN, organization_id)
        offers = [tuple(row) for row in await owner.fetch(_OFFERS, organization_id)]
        client = await owner.fetchval(_CLIENT, organization_id)
        last = await owner.fetchval(_LAST, organization_id)
        await owner.execute("TRUNCATE outbox")
        await owner.execute("VACUUM (ANALYZE) appointments, payments")
    finally:
        await owner.close()
    return Works(organization_id, booked, paid, offers, client, last)
