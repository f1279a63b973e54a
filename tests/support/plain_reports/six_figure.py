"""The way to an income."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

from tests.support.plain_reports.arithmetic import cents, change, optional, over, pct, total
from tests.support.plain_reports.books import Books

__all__ = ["Action", "SixFigureReport", "retention_rate", "six_figure", "utilisation"]

MONTH, YEAR, EVER = timedelta(days=30), timedelta(days=365), date.min


@dataclass(slots=True)
class Action:
    """What to do, with what was measured and the bound that it crossed."""

    kind: str
    priority: str
    measured: float
    threshold: float


@dataclass(slots=True)
class SixFigureReport:
    """What is, what is wanted, and what lies between."""

    as_of_date: date
    target_annual_income: Decimal | None
    monthly_revenue: Decimal | None
    annual_projection: Decimal | None
    average_ticket: Decimal | None
    utilisation: float
    active_clients: int
    visits_per_client: float | None
    monthly_target: Decimal | None
    daily_target: Decimal | None
    monthly_gap: Decimal | None
    clients_needed: float | None
    on_track: bool
    price_increase: float
    recommended_ticket: Decimal | None
    clients_current: float | None
    clients_additional: float | None
    retention_rate: float
    previous_revenue: Decimal | None
    revenue_change: float | None
    actions: list[Action]


def utilisation(books: Books, barber_id: int, start: date, end: date) -> Fraction:
    """Take the percentage of open minutes that is booked."""
    booked = books.minutes(barber_id, start, end)
    return pct(booked, books.open_minutes(barber_id, start, end))


def retention_rate(books: Books, barber_id: int, as_of: date) -> Fraction:
    """Take the percentage of the clients before a day who came twice."""
    ever = books.visits(barber_id, EVER, as_of)
    return pct(sum(len(days) > 1 for days in ever.values()), len(ever))


def six_figure(books: Books, barber_id: int, as_of: date, target: float) -> SixFigureReport:
    """Work the report out for a yearly income."""
    start = as_of - MONTH
    income, wanted = Fraction(repr(target)), Fraction(repr(target)) / 12
    now, before = (books.revenue(barber_id, day, day + MONTH) for day in (start, start - MONTH))
    paid = books.paid(barber_id, start, as_of)
    ticket = over(total(m.amount for m in paid), len(paid))
    recent = books.visits(barber_id, as_of - YEAR, as_of)
    per_client = over(sum(map(len, recent.values())), len(recent))
    gap = wanted - now
    increase = min(100 * gap / now, Fraction(30)) if gap > 0 and now > 0 else Fraction(0)
    needed = over(wanted, ticket) if ticket is not None else None
    current = max(Fraction(0), now / ticket) if ticket else None
    used = utilisation(books, barber_id, start, as_of)
    return SixFigureReport(
        as_of_date=as_of,
        target_annual_income=cents(income),
        monthly_revenue=cents(now),
        annual_projection=cents(12 * now),
        average_ticket=cents(ticket),
        utilisation=float(used),
        active_clients=len(recent),
        visits_per_client=optional(per_client),
        monthly_target=cents(wanted),
        daily_target=cents(over(wanted, books.open_days(barber_id, start, as_of))),
        monthly_gap=cents(gap),
        clients_needed=optional(needed),
        on_track=now >= Fraction(8, 10) * wanted,
        price_increase=float(increase),
        recommended_ticket=None if ticket is None else cents(ticket * (1 + increase / 100)),
        clients_current=optional(current),
        clients_additional=None
        if needed is None or current is None
        else float(max(Fraction(0), needed - current)),
        retention_rate=float(retention_rate(books, barber_id, as_of)),
        previous_revenue=cents(before),
        revenue_change=change(now, before),
        actions=_actions(now, wanted, ticket, per_client, used),
    )


def _actions(
    now: Fraction,
    wanted: Fraction,
    ticket: Fraction | None,
    per_client: Fraction | None,
    used: Fraction,
) -> list[Action]:
    found = []
    if now < wanted / 2:
        found.append(Action("pricing", "high", float(now), float(wanted / 2)))
    if used < 60:
        found.append(Action("marketing", "high", float(used), 60))
    if ticket is not None and ticket < 40:
        found.append(Action("upselling", "high", float(ticket), 40))
    if per_client is not None and per_client < Fraction(3, 2):
        found.append(Action("retention", "medium", float(per_client), 1.5))
    if used > 90:
        found.append(Action("efficiency", "medium", float(used), 90))
    return found
