"""The figures of the six-figure report, from what was measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from booking_service.domain.money import change_pct, pct, ratio
from cache_service.queries.reports import cents, number
from cache_service.queries.revenue import DayMoney
from chairside.cache.v1 import analytics_pb2
from service_kit.values import to_date

__all__ = ["Measured", "report_of"]

_ON_TRACK = Decimal("0.8")
_MOST_INCREASE = Decimal(30)
_LOW_UTILISATION = Decimal(60)
_HIGH_UTILISATION = Decimal(90)
_LOW_TICKET = Decimal(40)
_FEW_VISITS = Decimal("1.5")


@dataclass(frozen=True, slots=True)
class Measured:
    """What the windows before as_of hold.

    Money, minutes and open days of 30 days, money of the 30 before; active clients and their
    visits of 365 days; clients and returning ones of all time.
    """

    target: Decimal
    month: DayMoney
    month_before: DayMoney
    booked_minutes: int
    open_minutes: int
    open_days: int
    clients: int
    returning: int
    active_clients: int
    recent_visits: int

    @property
    def ticket(self) -> Decimal | None:
        """The mean completed payment; absent if there is none."""
        return self.month.mean_payment

    @property
    def utilisation(self) -> Decimal:
        """Percent of the open minutes booked."""
        return pct(self.booked_minutes, self.open_minutes)

    @property
    def visits_per_client(self) -> Decimal | None:
        """Visits over active clients; absent if there are none."""
        return ratio(self.recent_visits, self.active_clients)


def report_of(measured: Measured, as_of: date, currency: str) -> analytics_pb2.SixFigureReport:
    """Work out the report; amounts are rounded only as they enter it."""
    revenue, ticket = measured.month.revenue, measured.ticket
    monthly_target = measured.target / 12
    gap = monthly_target - revenue
    increase = Decimal(0)
    if gap > 0 and revenue > 0:
        increase = min(pct(gap, revenue), _MOST_INCREASE)
    needed = current = additional = recommended = None
    if ticket is not None:
        needed = monthly_target / ticket
        current = max(Decimal(0), revenue / ticket)
        additional = max(Decimal(0), needed - current)
        recommended = ticket * (1 + increase / 100)
    return analytics_pb2.SixFigureReport(
        as_of_date=to_date(as_of),
        target_annual_income=cents(measured.target, currency),
        monthly_revenue=cents(revenue, currency),
        annual_projection=cents(12 * revenue, currency),
        average_ticket=cents(ticket, currency),
        utilisation=float(measured.utilisation),
        active_clients=measured.active_clients,
        visits_per_client=number(measured.visits_per_client),
        monthly_target=cents(monthly_target, currency),
        daily_target=cents(ratio(monthly_target, measured.open_days), currency),
        monthly_gap=cents(gap, currency),
        clients_needed=number(needed),
        on_track=revenue >= _ON_TRACK * measured.target / 12,
        price_increase=float(increase),
        recommended_ticket=cents(recommended, currency),
        clients_current=number(current),
        clients_additional=number(additional),
        retention_rate=float(pct(measured.returning, measured.clients)),
        previous_revenue=cents(measured.month_before.revenue, currency),
        revenue_change=number(change_pct(revenue, measured.month_before.revenue)),
        actions=_actions(measured),
    )


def _actions(measured: Measured) -> Iterator[analytics_pb2.Action]:
    """Suggest what to do; what the data cannot say suggests nothing."""
    high, medium = analytics_pb2.PRIORITY_HIGH, analytics_pb2.PRIORITY_MEDIUM
    half = measured.target / 24
    revenue, ticket = measured.month.revenue, measured.ticket
    utilisation, visits = measured.utilisation, measured.visits_per_client
    if revenue < half:
        yield _action("pricing", high, revenue, half)
    if utilisation < _LOW_UTILISATION:
        yield _action("marketing", high, utilisation, _LOW_UTILISATION)
    if ticket is not None and ticket < _LOW_TICKET:
        yield _action("upselling", high, ticket, _LOW_TICKET)
    if visits is not None and visits < _FEW_VISITS:
        yield _action("retention", medium, visits, _FEW_VISITS)
    if utilisation > _HIGH_UTILISATION:
        yield _action("efficiency", medium, utilisation, _HIGH_UTILISATION)


def _action(
    kind: str,
    priority: analytics_pb2.Priority.ValueType,
    measured: Decimal,
    threshold: Decimal,
) -> analytics_pb2.Action:
    return analytics_pb2.Action(
        kind=kind, priority=priority, measured=float(measured), threshold=float(threshold)
    )
