"""What clients do and are worth: retention and lifetime value."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cached_property

from tests.support.plain_reports.arithmetic import cents, optional, over, pct, total
from tests.support.plain_reports.books import Books

__all__ = [
    "Client",
    "ClientValue",
    "ClientValues",
    "LifetimeValueReport",
    "RetentionReport",
    "known_clients",
    "lifetime_value",
    "mean_predicted",
    "retention",
    "worth",
]

SEGMENTS = ("new", "returning", "regular", "vip")


@dataclass(slots=True)
class RetentionReport:
    """How clients stay."""

    as_of_date: date
    clients: int
    active_clients: int
    at_risk_clients: int
    lost_clients: int
    new_clients: int
    returning_clients: int
    retention_rate: float
    earlier_clients: int
    repeat_clients: int
    repeat_rate_90: float


@dataclass(slots=True)
class ClientValue:
    """One client's."""

    client_id: int
    name: str
    segment: str
    spent: Decimal | None
    visits: int
    average_order: Decimal | None
    mean_days_between_visits: float | None
    predicted: Decimal | None
    first_visit: date
    last_visit: date


@dataclass(slots=True)
class ClientValues:
    """Some clients' together."""

    segment: str
    clients: int
    spent: Decimal | None
    visits: int
    predicted: Decimal | None
    mean_spent: Decimal | None
    mean_visits: float | None
    mean_predicted: Decimal | None


@dataclass(slots=True)
class LifetimeValueReport:
    """All clients', by segment, and the single clients that matter."""

    as_of_date: date
    total: ClientValues
    segments: list[ClientValues]
    top_clients: list[ClientValue]
    at_risk: ClientValues
    top_at_risk_clients: list[ClientValue]


@dataclass(frozen=True)
class Client:
    """What is known of a client before a day, exact."""

    id: int
    days: list[date]
    spent: Fraction

    @cached_property
    def order(self) -> Fraction:
        """What a visit brought, on average."""
        return self.spent / len(self.days)

    @cached_property
    def pause(self) -> Fraction | None:
        """The mean days between visits."""
        return over((self.days[-1] - self.days[0]).days, len(self.days) - 1)

    @cached_property
    def predicted(self) -> Fraction:
        """What the client may be worth."""
        pause = self.pause
        if pause is None or not 0 < pause <= 90:
            return self.spent
        return self.order * (365 / pause) * 2

    @cached_property
    def segment(self) -> str:
        """How the client counts."""
        visits = len(self.days)
        if self.spent >= 500 and visits >= 5:
            return "vip"
        if self.spent >= 200 and visits >= 3:
            return "regular"
        return "returning" if visits >= 2 else "new"


def retention(books: Books, barber_id: int, as_of: date) -> RetentionReport:
    """Work the report out."""
    clients = books.visits(barber_id, date.min, as_of)
    ago = [(as_of - days[-1]).days for days in clients.values()]
    returning = sum(len(days) >= 2 for days in clients.values())
    middle = as_of - timedelta(days=90)
    earlier = books.visits(barber_id, as_of - timedelta(days=180), middle)
    repeat = earlier.keys() & books.visits(barber_id, middle, as_of).keys()
    return RetentionReport(
        as_of_date=as_of,
        clients=len(clients),
        active_clients=sum(days <= 30 for days in ago),
        at_risk_clients=sum(30 < days <= 60 for days in ago),
        lost_clients=sum(days > 60 for days in ago),
        new_clients=len(clients) - returning,
        returning_clients=returning,
        retention_rate=float(pct(returning, len(clients))),
        earlier_clients=len(earlier),
        repeat_clients=len(repeat),
        repeat_rate_90=float(pct(len(repeat), len(earlier))),
    )


def lifetime_value(books: Books, barber_id: int, as_of: date) -> LifetimeValueReport:
    """Work the report out."""
    return worth(books, known_clients(books, barber_id, as_of), as_of)


def worth(books: Books, clients: list[Client], as_of: date) -> LifetimeValueReport:
    """Work the report out of some clients."""
    lately = as_of - timedelta(days=60)
    at_risk = [c for c in clients if c.segment in {"vip", "regular"} and c.days[-1] < lately]
    return LifetimeValueReport(
        as_of_date=as_of,
        total=_together("unspecified", clients),
        segments=[_together(s, [c for c in clients if c.segment == s]) for s in SEGMENTS],
        top_clients=_top(books, clients),
        at_risk=_together("unspecified", at_risk),
        top_at_risk_clients=_top(books, at_risk),
    )


def mean_predicted(clients: list[Client]) -> Fraction | None:
    """Take the mean of what is predicted of each client."""
    return over(sum((c.predicted for c in clients), Fraction(0)), len(clients))


def known_clients(books: Books, barber_id: int, as_of: date) -> list[Client]:
    """List the clients with a visit before a day, and what they spent before it."""
    spent: dict[int | None, Fraction] = {}
    for money in books.paid(barber_id, date.min, as_of):
        spent[money.client] = spent.get(money.client, Fraction(0)) + total([money.amount])
    for money in books.refunded(barber_id, date.min, as_of):
        spent[money.client] = spent.get(money.client, Fraction(0)) - total([money.amount])
    return [
        Client(client, days, spent.get(client, Fraction(0)))
        for client, days in books.visits(barber_id, date.min, as_of).items()
    ]


def _together(segment: str, clients: list[Client]) -> ClientValues:
    spent = sum((c.spent for c in clients), Fraction(0))
    predicted = sum((c.predicted for c in clients), Fraction(0))
    visits = sum(len(c.days) for c in clients)
    return ClientValues(
        segment=segment,
        clients=len(clients),
        spent=cents(spent),
        visits=visits,
        predicted=cents(predicted),
        mean_spent=cents(over(spent, len(clients))),
        mean_visits=optional(over(visits, len(clients))),
        mean_predicted=cents(over(predicted, len(clients))),
    )


def _top(books: Books, clients: Iterable[Client]) -> list[ClientValue]:
    best = sorted(clients, key=lambda c: (-c.predicted, c.id))[:10]
    return [
        ClientValue(
            client_id=c.id,
            name=books.clients[c.id],
            segment=c.segment,
            spent=cents(c.spent),
            visits=len(c.days),
            average_order=cents(c.order),
            mean_days_between_visits=optional(c.pause),
            predicted=cents(c.predicted),
            first_visit=c.days[0],
            last_visit=c.days[-1],
        )
        for c in best
    ]
