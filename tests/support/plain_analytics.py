"""The reports in plain Python over whole tables, written from their definitions alone.

Slow and simple on purpose: open time is counted five minutes by five, money day by day.
Nothing here is shared with what it checks.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg

__all__ = ["Books", "read_books"]

_MINUTE = timedelta(minutes=1)
_STEP = 5
"""Minutes by which open time is counted: every bound of the shops it counts is a multiple."""
_DAY = timedelta(days=1)
Row = Any


def cents(amount: Decimal | None) -> Decimal | None:
    """Round half-even to cents."""
    return None if amount is None else amount.quantize(Decimal("0.01"), rounding=ROUND_HALF_EVEN)


def pct(part: Decimal | int, whole: Decimal | int) -> float:
    """Take 100 part / whole, 0 where whole is 0."""
    return float(100 * Decimal(part) / Decimal(whole)) if whole else 0.0


@dataclass(slots=True)
class Books:
    """All rows of one organization, and how to count them."""

    zone: ZoneInfo
    tables: dict[str, list[Row]]

    def day(self, instant: datetime) -> date:
        """Tell the local day of an instant."""
        return instant.astimezone(self.zone).date()

    def rows(self, table: str, barber_id: int) -> list[Row]:
        """List a table's rows of one barber, or of all for 0."""
        return [r for r in self.tables[table] if barber_id in (0, r["barber_id"])]

    def money(self, barber_id: int, start: date, end: date) -> dict[str, Any]:
        """Count the money of local days [start, end)."""
        paid = [
            p["amount"]
            for p in self.rows("payments", barber_id)
            if p["status"] == "completed" and start <= self.day(p["paid_at"]) < end
        ]
        refunded = [
            r["amount"]
            for r in self.rows("refunds", barber_id)
            if start <= self.day(r["refunded_at"]) < end
        ]
        revenue = sum(paid, Decimal(0)) - sum(refunded, Decimal(0))
        return {
            "revenue": revenue,
            "paid": sum(paid, Decimal(0)),
            "transactions": len(paid),
            "average": cents(revenue / len(paid)) if paid else None,
            "refunds": sum(refunded, Decimal(0)),
            "refund_count": len(refunded),
        }

    def series(
        self, barber_id: int, start: date, end: date, group: str
    ) -> Iterator[tuple[str, date, date, dict[str, Any]]]:
        """Count money by period: label, first day, day after the last, figures."""
        labels: dict[str, list[date]] = {}
        day = start
        while day < end:
            monday = day - timedelta(days=day.weekday())
            label = {
                "day": day.isoformat(),
                "week": monday.isoformat(),
                "month": f"{day:%Y-%m}",
                "year": f"{day:%Y}",
            }[group]
            labels.setdefault(label, []).append(day)
            day += _DAY
        for label, days in labels.items():
            first, after = days[0], days[-1] + _DAY
            yield label, first, after, self.money(barber_id, first, after)

    def appointments(self, barber_id: int, start: date, end: date) -> list[Row]:
        """List the appointments that start on local days [start, end)."""
        return [
            a
            for a in self.rows("appointments", barber_id)
            if start <= self.day(a["starts_at"]) < end
        ]

    def periods(self, barber_id: int, day: date) -> list[tuple[int, int]]:
        """List a barber's opening periods of a local day."""
        for special in self.rows("special_hours", barber_id):
            if special["day"] == day:
                return _pairs(special["periods"])
        weeks = [
            w
            for w in self.rows("weekly_hours", barber_id)
            if w["weekday"] == day.weekday() and w["valid_from"] <= day
        ]
        return _pairs(max(weeks, key=lambda w: w["valid_from"])["periods"]) if weeks else []

    def open_time(self, barber_id: int, start: date, end: date) -> tuple[int, int]:
        """Count open minutes of local days [start, end), and the days with any."""
        barbers = [
            b["id"]
            for b in self.tables["barbers"]
            if (b["active"] if barber_id == 0 else b["id"] == barber_id)
        ]
        minutes, days = 0, set()
        at = datetime(start.year, start.month, start.day, tzinfo=UTC) - _DAY
        until = datetime(end.year, end.month, end.day, tzinfo=UTC) + _DAY
        periods = {
            (barber, start + n * _DAY): self.periods(barber, start + n * _DAY)
            for barber in barbers
            for n in range((end - start).days)
        }
        time_off = {barber: self.rows("time_off", barber) for barber in barbers}
        while at < until:
            local = at.astimezone(self.zone)
            day, minute = local.date(), local.hour * 60 + local.minute
            for barber in barbers:
                opened = any(a <= minute < b for a, b in periods.get((barber, day), ()))
                if opened and not any(
                    t["starts_at"] <= at < t["ends_at"] for t in time_off[barber]
                ):
                    minutes += _STEP
                    days.add(day)
            at += _STEP * _MINUTE
        return minutes, len(days)

    def booked_minutes(self, barber_id: int, start: date, end: date) -> int:
        """Count the minutes of completed appointments."""
        return sum(
            (a["ends_at"] - a["starts_at"]) // _MINUTE
            for a in self.appointments(barber_id, start, end)
            if a["status"] == "completed"
        )

    def visits(self, barber_id: int, start: date, end: date) -> dict[int, set[date]]:
        """List each client's local days with a completed appointment in [start, end)."""
        found: dict[int, set[date]] = {}
        for a in self.appointments(barber_id, start, end):
            if a["status"] == "completed" and a["client_id"]:
                found.setdefault(a["client_id"], set()).add(self.day(a["starts_at"]))
        return found

    def stats(self, barber_id: int, start: date, end: date) -> dict[str, Any]:
        """Work out the statistics of appointments."""
        counted = self.appointments(barber_id, start, end)
        names = {s["id"]: s["name"] for s in self.tables["services"]}
        services = {}
        for service_id in sorted({a["service_id"] for a in counted}):
            own = [a for a in counted if a["service_id"] == service_id]
            ids = {a["id"] for a in own}
            revenue = sum(
                (
                    p["amount"]
                    for p in self.tables["payments"]
                    if p["appointment_id"] in ids and p["status"] == "completed"
                ),
                Decimal(0),
            ) - sum(
                (r["amount"] for r in self.tables["refunds"] if r["appointment_id"] in ids),
                Decimal(0),
            )
            of = Counter(a["status"] for a in own)
            services[service_id] = (names[service_id], len(own), revenue, _rates(of))
        of = Counter(a["status"] for a in counted)
        booked = self.booked_minutes(barber_id, start, end)
        opened, _ = self.open_time(barber_id, start, end)
        return {
            "total": len(counted),
            "statuses": of,
            "rates": _rates(of),
            "services": services,
            "hours": Counter(
                a["starts_at"].astimezone(self.zone).hour
                for a in counted
                if a["status"] != "cancelled"
            ),
            "booked": booked,
            "open": opened,
            "utilisation": pct(booked, opened),
        }

    def six_figure(self, barber_id: int, as_of: date, target: float) -> dict[str, Any]:
        """Work out the way to an income."""
        month = as_of - timedelta(days=30)
        money = self.money(barber_id, month, as_of)
        before = self.money(barber_id, month - timedelta(days=30), month)["revenue"]
        revenue, wanted = money["revenue"], Decimal(repr(target)) / 12
        ticket = money["paid"] / money["transactions"] if money["transactions"] else None
        opened, open_days = self.open_time(barber_id, month, as_of)
        utilisation = pct(self.booked_minutes(barber_id, month, as_of), opened)
        recent = self.visits(barber_id, as_of - timedelta(days=365), as_of)
        ever = self.visits(barber_id, date(1900, 1, 1), as_of)
        visits = sum(map(len, recent.values()))
        gap = wanted - revenue
        increase = min(100 * gap / revenue, Decimal(30)) if gap > 0 and revenue > 0 else Decimal(0)
        needed = None if ticket is None else wanted / ticket
        current = None if ticket is None else max(Decimal(0), revenue / ticket)
        actions = []
        if revenue < wanted / 2:
            actions.append("pricing")
        if utilisation < 60:
            actions.append("marketing")
        if ticket is not None and ticket < 40:
            actions.append("upselling")
        if recent and visits / len(recent) < 1.5:
            actions.append("retention")
        if utilisation > 90:
            actions.append("efficiency")
        return {
            "target_annual_income": cents(Decimal(repr(target))),
            "monthly_revenue": revenue,
            "annual_projection": 12 * revenue,
            "average_ticket": cents(ticket),
            "utilisation": utilisation,
            "active_clients": len(recent),
            "visits_per_client": visits / len(recent) if recent else None,
            "monthly_target": cents(wanted),
            "daily_target": cents(wanted / open_days) if open_days else None,
            "monthly_gap": cents(gap),
            "clients_needed": None if needed is None else float(needed),
            "on_track": revenue >= Decimal("0.8") * wanted,
            "price_increase": float(increase),
            "recommended_ticket": None if ticket is None else cents(ticket * (1 + increase / 100)),
            "clients_current": None if current is None else float(current),
            "clients_additional": None
            if needed is None or current is None
            else max(0.0, float(needed - current)),
            "retention_rate": pct(sum(len(d) > 1 for d in ever.values()), len(ever)),
            "previous_revenue": before,
            "revenue_change": float(100 * (revenue - before) / abs(before)) if before else None,
            "actions": actions,
        }


async def read_books(connection: asyncpg.Connection, organization_id: int) -> Books:
    """Read all rows of an organization."""
    tables = {}
    for table in (
        "appointments",
        "barbers",
        "payments",
        "refunds",
        "services",
        "special_hours",
        "time_off",
        "weekly_hours",
    ):
        tables[table] = await connection.fetch(
            f"SELECT * FROM {table} WHERE organization_id = $1",  # noqa: S608 - named above
            organization_id,
        )
    zone = await connection.fetchval(
        "SELECT time_zone FROM organizations WHERE id = $1", organization_id
    )
    return Books(ZoneInfo(zone), tables)


def _rates(of: Counter[str]) -> tuple[float, float, float]:
    return tuple(pct(of[status], of.total()) for status in ("completed", "cancelled", "no_show"))  # type: ignore[return-value]


def _pairs(periods: Any) -> list[tuple[int, int]]:
    return [(p.lower, p.upper) for p in periods]
