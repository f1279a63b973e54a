"""Revenue by period: completed payments less refunds, each on its own local day."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from sqlalchemy import text

from booking_service.domain.money import ratio
from cache_service.invalidation import tags
from cache_service.queries import reports, reports_sql
from cache_service.queries.declare import LoadContext, Rpc, cache_analytics
from chairside.cache.v1 import analytics_pb2, cache_service_pb2
from service_kit.validation import Violations
from service_kit.values import to_date

__all__ = ["DayMoney", "RevenueArguments", "period_of", "read_days", "revenue", "sum_of"]

_DAY = timedelta(days=1)
_GROUPS = {
    analytics_pb2.GROUP_BY_UNSPECIFIED: "day",
    analytics_pb2.GROUP_BY_DAY: "day",
    analytics_pb2.GROUP_BY_WEEK: "week",
    analytics_pb2.GROUP_BY_MONTH: "month",
    analytics_pb2.GROUP_BY_YEAR: "year",
}
_FIRST_DAYS: Mapping[str, Callable[[date], date]] = {
    "day": lambda day: day,
    "week": lambda day: day - day.weekday() * _DAY,
    "month": lambda day: day.replace(day=1),
    "year": lambda day: day.replace(month=1, day=1),
}
_LABELS = {"day": 10, "week": 10, "month": 7, "year": 4}
"""How much of the ISO form of its first day names a period."""

_SQL = text(
    reports_sql.HEAD
    + ", "
    + reports_sql.money_by_day("asked.first", "asked.last")
    + " AS money"
    + reports_sql.OF_RANGES
)


@dataclass(frozen=True, slots=True)
class RevenueArguments:
    """Whose money (0: the shop's), of the local days [start, end), by which period."""

    organization_id: int
    barber_id: int
    start: date
    end: date
    group_by: str


@dataclass(frozen=True, slots=True)
class DayMoney:
    """The money of a local day, or of several."""

    paid: Decimal = Decimal(0)
    payments: int = 0
    refunded: Decimal = Decimal(0)
    refunds: int = 0

    @property
    def revenue(self) -> Decimal:
        """Completed payments less refunds."""
        return self.paid - self.refunded

    @property
    def mean_payment(self) -> Decimal | None:
        """The mean completed payment; absent if there is none."""
        return ratio(self.paid, self.payments)


def read_days(aggregated: str | None) -> dict[date, DayMoney]:
    """Read the JSON of `reports_sql.money_by_day`."""
    return {
        date.fromisoformat(day): DayMoney(Decimal(paid), payments, Decimal(refunded), refunds)
        for day, paid, payments, refunded, refunds in json.loads(
            aggregated or "[]", parse_float=Decimal
        )
    }


def sum_of(moneys: Iterable[DayMoney]) -> DayMoney:
    """Add up the money of days."""
    total = DayMoney()
    for one in moneys:
        total = DayMoney(
            total.paid + one.paid,
            total.payments + one.payments,
            total.refunded + one.refunded,
            total.refunds + one.refunds,
        )
    return total


def _arguments(
    request: cache_service_pb2.GetAnalyticsRequest, _today: date | None
) -> list[RevenueArguments]:
    found = Violations()
    start, end = reports.report_days(found, request)
    group = found.enum("revenue.group_by", request.revenue.group_by, _GROUPS)
    found.raise_if_any()
    return [
        RevenueArguments(
            request.organization_id,
            request.barber_id,
            start,
            end,
            _GROUPS[analytics_pb2.GroupBy.ValueType(group)],
        )
    ]


def _tags(arguments: RevenueArguments) -> tuple[str, ...]:
    return (
        *reports.subject_tags(arguments.barber_id),
        *tags.money_within(arguments.barber_id, arguments.start, arguments.end),
    )


@cache_analytics("revenue", ttl=timedelta(minutes=10), tags=_tags, rpc=Rpc("revenue", _arguments))
async def revenue(context: LoadContext, arguments: Sequence[RevenueArguments]) -> list[bytes]:
    """Load revenue reports; NotFound: the organization or the barber."""
    rows = await reports.load_ranges(context.connection, _SQL, arguments)
    return [
        _report(one, read_days(row.money), row.currency)
        for one, row in zip(arguments, rows, strict=True)
    ]


def _report(arguments: RevenueArguments, days: Mapping[date, DayMoney], currency: str) -> bytes:
    report = analytics_pb2.RevenueReport(
        total=period_of("", arguments.start, arguments.end, sum_of(days.values()), currency)
    )
    length = _LABELS[arguments.group_by]
    for first, (start, end, moneys) in _periods(arguments, days).items():
        label = first.isoformat()[:length]
        report.series.append(period_of(label, start, end, sum_of(moneys), currency))
    return cache_service_pb2.GetAnalyticsResponse(revenue=report).SerializeToString()


def _periods(
    arguments: RevenueArguments, days: Mapping[date, DayMoney]
) -> dict[date, tuple[date, date, list[DayMoney]]]:
    """Return start, end and money of each period by its uncut first day, in order."""
    first_of = _FIRST_DAYS[arguments.group_by]
    periods: dict[date, tuple[date, date, list[DayMoney]]] = {}
    day = arguments.start
    while day < arguments.end:
        start, _, moneys = periods.get(first_of(day), (day, day, []))
        if day in days:
            moneys.append(days[day])
        periods[first_of(day)] = (start, day + _DAY, moneys)
        day += _DAY
    return periods


def period_of(
    label: str, start: date, end: date, money: DayMoney, currency: str
) -> analytics_pb2.RevenuePeriod:
    """Tell the money of a period by its label, of the local days [start, end)."""
    return analytics_pb2.RevenuePeriod(
        period=label,
        start_date=to_date(start),
        end_date=to_date(end),
        revenue=reports.cents(money.revenue, currency),
        transactions=money.payments,
        average=reports.cents(ratio(money.revenue, money.payments), currency),
        refunds=reports.cents(money.refunded, currency),
        refund_count=money.refunds,
    )
