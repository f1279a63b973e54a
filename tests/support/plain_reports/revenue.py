"""Money by period."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from tests.support.plain_reports.arithmetic import DAY, cents, days_of, over, total
from tests.support.plain_reports.books import Books

__all__ = ["RevenuePeriod", "RevenueReport", "revenue"]


@dataclass(slots=True)
class RevenuePeriod:
    """Money of some days."""

    period: str
    start_date: date
    end_date: date
    revenue: Decimal | None
    transactions: int
    average: Decimal | None
    refunds: Decimal | None
    refund_count: int


@dataclass(slots=True)
class RevenueReport:
    """Money of a range and of each of its periods."""

    total: RevenuePeriod
    series: list[RevenuePeriod]


def revenue(books: Books, barber_id: int, start: date, end: date, group: str) -> RevenueReport:
    """Work the report out; `group` is day, week, month or year."""
    periods: dict[str, list[date]] = {}
    for day in days_of(start, end):
        label = {
            "day": f"{day:%Y-%m-%d}",
            "week": f"{day - timedelta(days=day.weekday()):%Y-%m-%d}",
            "month": f"{day:%Y-%m}",
            "year": f"{day:%Y}",
        }[group]
        periods.setdefault(label, []).append(day)
    return RevenueReport(
        total=of_days(books, barber_id, "", start, end),
        series=[
            of_days(books, barber_id, label, days[0], days[-1] + DAY)
            for label, days in periods.items()
        ],
    )


def of_days(books: Books, barber_id: int, label: str, start: date, end: date) -> RevenuePeriod:
    """Count the money of the days [start, end)."""
    net = books.revenue(barber_id, start, end)
    transactions = len(books.paid(barber_id, start, end))
    refunds = books.refunded(barber_id, start, end)
    return RevenuePeriod(
        period=label,
        start_date=start,
        end_date=end,
        revenue=cents(net),
        transactions=transactions,
        average=cents(over(net, transactions)),
        refunds=cents(total(m.amount for m in refunds)),
        refund_count=len(refunds),
    )
