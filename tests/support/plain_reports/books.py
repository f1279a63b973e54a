"""All rows of one organization, each on its local day."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import asyncpg

from tests.support.plain_reports.arithmetic import total
from tests.support.plain_reports.opening import Opening

__all__ = ["Appointment", "Books", "Money", "Rows", "read_books"]

_MINUTE = timedelta(minutes=1)
_MONEY = "appointment_id, barber_id, client_id, amount"
_COLUMNS = {
    "appointments": "id, barber_id, service_id, client_id, status, starts_at, ends_at",
    "payments": f"{_MONEY}, status, paid_at",
    "refunds": f"{_MONEY}, refunded_at",
}


@dataclass(frozen=True, slots=True)
class Appointment:
    """An appointment; `day` and `hour` are what the shop's clock shows at its start."""

    id: int
    barber: int
    service: int
    client: int | None
    status: str
    day: date
    hour: int
    minutes: int


@dataclass(frozen=True, slots=True)
class Money:
    """A completed payment or a refund, on its own local day."""

    appointment: int | None
    barber: int
    client: int | None
    amount: Decimal
    day: date


Row = TypeVar("Row", Appointment, Money)


@dataclass(frozen=True, slots=True)
class Books:
    """Everything that an organization has written down; what has a day is in order of days.

    `barber_id` is 0 everywhere for the whole shop; days are [start, end).
    """

    currency: str
    barbers: dict[int, str]
    active: frozenset[int]
    services: dict[int, str]
    clients: dict[int, str]
    appointments: list[Appointment]
    payments: list[Money]
    refunds: list[Money]
    opening: Opening

    def booked(self, barber_id: int, start: date, end: date) -> list[Appointment]:
        """List the appointments that start on these days."""
        return _of(self.appointments, barber_id, start, end)

    def minutes(self, barber_id: int, start: date, end: date) -> int:
        """Count the minutes of completed appointments."""
        return sum(a.minutes for a in completed(self.booked(barber_id, start, end)))

    def paid(self, barber_id: int, start: date, end: date) -> list[Money]:
        """List the completed payments that were taken on these days."""
        return _of(self.payments, barber_id, start, end)

    def refunded(self, barber_id: int, start: date, end: date) -> list[Money]:
        """List the refunds that were given on these days."""
        return _of(self.refunds, barber_id, start, end)

    def revenue(self, barber_id: int, start: date, end: date) -> Fraction:
        """Take completed payments less refunds."""
        return total(m.amount for m in self.paid(barber_id, start, end)) - total(
            m.amount for m in self.refunded(barber_id, start, end)
        )

    def payments_for(self, counted: Iterable[Appointment]) -> list[Money]:
        """List the completed payments of appointments, whoever took them and whenever."""
        ids = {a.id for a in counted}
        return [m for m in self.payments if m.appointment in ids]

    def revenue_of(self, counted: Iterable[Appointment]) -> Fraction:
        """Take payments less refunds of appointments, whoever took them and whenever."""
        ids = {a.id for a in counted}
        return total(m.amount for m in self.payments if m.appointment in ids) - total(
            m.amount for m in self.refunds if m.appointment in ids
        )

    def visits(self, barber_id: int, start: date, end: date) -> dict[int, list[date]]:
        """List the local days on which each client came, in order."""
        found: dict[int, set[date]] = {}
        for a in completed(self.booked(barber_id, start, end)):
            if a.client is not None:
                found.setdefault(a.client, set()).add(a.day)
        return {client: sorted(days) for client, days in sorted(found.items())}

    def open_minutes(self, barber_id: int, start: date, end: date) -> int:
        """Count open minutes: of a barber, active or not, or of all active ones."""
        return sum(self.opening.minutes(b, start, end) for b in self._at_work(barber_id))

    def open_days(self, barber_id: int, start: date, end: date) -> int:
        """Count the days with an open minute."""
        return len(
            {day for b in self._at_work(barber_id) for day in self.opening.days(b, start, end)}
        )

    def _at_work(self, barber_id: int) -> Iterable[int]:
        return (barber_id,) if barber_id else self.active


def completed(appointments: Iterable[Appointment]) -> list[Appointment]:
    """Keep the completed ones."""
    return [a for a in appointments if a.status == "completed"]


Rows = Mapping[str, tuple[str, Sequence[object]]]
"""By table: which of its rows, as a condition from $2 on and what it takes."""


async def read_books(
    connection: asyncpg.Connection, organization_id: int, only: Rows = MappingProxyType({})
) -> Books:
    """Read all rows of an organization, or of some tables `only` those chosen."""

    async def rows(table: str) -> list[Any]:
        condition, values = only.get(table, ("true", ()))
        columns = _COLUMNS.get(table, "*")
        found: list[Any] = await connection.fetch(
            f"SELECT {columns} FROM {table}"  # noqa: S608 - named below
            f" WHERE organization_id = $1 AND ({condition})",
            organization_id,
            *values,
        )
        return found

    shop = await connection.fetchrow("SELECT * FROM organizations WHERE id = $1", organization_id)
    zone, barbers = ZoneInfo(shop["time_zone"]), await rows("barbers")
    return Books(
        currency=shop["currency"],
        barbers={b["id"]: b["name"] for b in barbers},
        active=frozenset(b["id"] for b in barbers if b["active"]),
        services={s["id"]: s["name"] for s in await rows("services")},
        clients={c["id"]: c["name"] for c in await rows("clients")},
        appointments=sorted((_appointment(a, zone) for a in await rows("appointments")), key=_day),
        payments=sorted(
            (
                _money(p, p["paid_at"], zone)
                for p in await rows("payments")
                if p["status"] == "completed"
            ),
            key=_day,
        ),
        refunds=sorted(
            (_money(r, r["refunded_at"], zone) for r in await rows("refunds")), key=_day
        ),
        opening=Opening(
            zone,
            weekly=await rows("weekly_hours"),
            special=await rows("special_hours"),
            time_off=await rows("time_off"),
        ),
    )


def _of(rows: list[Row], barber_id: int, start: date, end: date) -> list[Row]:
    first, after = (bisect_left(rows, day, key=_day) for day in (start, end))
    return [row for row in rows[first:after] if barber_id in (0, row.barber)]


def _day(row: Appointment | Money) -> date:
    return row.day


def _appointment(row: Any, zone: ZoneInfo) -> Appointment:
    start = row["starts_at"].astimezone(zone)
    return Appointment(
        id=row["id"],
        barber=row["barber_id"],
        service=row["service_id"],
        client=row["client_id"],
        status=row["status"],
        day=start.date(),
        hour=start.hour,
        minutes=(row["ends_at"] - row["starts_at"]) // _MINUTE,
    )


def _money(row: Any, at: datetime, zone: ZoneInfo) -> Money:
    return Money(
        appointment=row["appointment_id"],
        barber=row["barber_id"],
        client=row["client_id"],
        amount=row["amount"],
        day=at.astimezone(zone).date(),
    )
