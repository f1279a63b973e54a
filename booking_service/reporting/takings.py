"""Blocks of the reports on money: revenue, a comparison, the way to an income."""

from __future__ import annotations

from booking_service.reporting.blocks import (
    Absent,
    Bars,
    Block,
    Column,
    Figure,
    Figures,
    Grid,
    Value,
)
from booking_service.reporting.wording import (
    amount,
    change,
    count,
    currency_of,
    money,
    number,
    percent,
    plain_money,
    size,
    span,
)
from chairside.cache.v1 import analytics_pb2 as pb

__all__ = ["comparison", "revenue", "revenue_total", "six_figure"]

_NO_PAYMENTS = "no completed payments"
_NO_TICKET = "no completed payments in the 30 days"
_PERIODS = {pb.GROUP_BY_WEEK: "week", pb.GROUP_BY_MONTH: "month", pb.GROUP_BY_YEAR: "year"}
_AGAINST = {pb.AGAINST_QUARTER: "quarter", pb.AGAINST_YEAR: "year"}
_ACTIONS = {
    "pricing": "Raise prices: the month earns less than half of what the target needs",
    "marketing": "Win more bookings: too much open time stays empty",
    "upselling": "Sell more to each client: the average ticket is low",
    "retention": "Bring clients back: they come too seldom",
    "efficiency": "Make room: hardly any open time is left",
}
_ACTION_AMOUNTS = frozenset({"pricing", "upselling"})
_ACTION_VISITS = "retention"
_PRIORITIES = {pb.PRIORITY_HIGH: "high", pb.PRIORITY_MEDIUM: "medium"}


def revenue_total(total: pb.RevenuePeriod) -> Figures:
    """Show the money of a whole range."""
    refunds = f"{count(total.refund_count)} given back"
    return Figures(
        "Payments and refunds",
        (
            Figure("Revenue", money(total, "revenue"), "payments less refunds"),
            Figure("Transactions", count(total.transactions), "completed payments"),
            Figure("Average", money(total, "average", _NO_PAYMENTS), "revenue a transaction"),
            Figure("Refunds", money(total, "refunds"), refunds),
        ),
    )


def revenue(report: pb.RevenueReport, group_by: pb.GroupBy.ValueType) -> list[Block]:
    """Show money by period."""
    code = currency_of(report)
    rows = tuple(
        (
            one.period,
            amount(one, "revenue"),
            count(one.transactions),
            amount(one, "average", _NO_PAYMENTS),
            amount(one, "refunds"),
            count(one.refund_count),
        )
        for one in report.series
    )
    columns = (
        Column("Period", numeric=False),
        Column(f"Revenue ({code})"),
        Column("Transactions"),
        Column(f"Average ({code})"),
        Column(f"Refunds ({code})"),
        Column("Number of refunds"),
    )
    bars = Bars(1, tuple(size(one, "revenue") for one in report.series))
    title = f"Revenue by {_PERIODS.get(group_by, 'day')}"
    return [revenue_total(report.total), Grid(title, columns, rows, bars)]


def comparison(report: pb.ComparisonReport) -> list[Block]:
    """Show one calendar period beside the one before."""
    now, before = report.current, report.previous
    zero = "nothing to compare with"
    rows: tuple[tuple[Value, ...], ...] = (
        (
            "Revenue",
            money(now, "revenue"),
            money(before, "revenue"),
            change(report, "revenue_change", zero),
        ),
        (
            "Appointments",
            count(now.appointments),
            count(before.appointments),
            change(report, "appointments_change", zero),
        ),
        (
            "Completion rate",
            percent(now.completion_rate),
            percent(before.completion_rate),
            change(report, "completion_change", zero, " points"),
        ),
        (
            "Clients with a visit",
            count(now.clients),
            count(before.clients),
            change(report, "clients_change", zero),
        ),
    )
    columns = (
        Column("Measure", numeric=False),
        *(Column(span(one.start_date, one.end_date)) for one in (now, before)),
        Column("Change"),
    )
    unit = _AGAINST.get(report.against, "month")
    sides = (f"This {unit}", now), (f"The {unit} before", before)
    plot = Grid(
        "Revenue of both",
        (Column("Period", numeric=False), Column(f"Revenue ({currency_of(report)})")),
        tuple((name, amount(side, "revenue")) for name, side in sides),
        Bars(1, tuple(size(side, "revenue") for _, side in sides), series=False),
    )
    return [Grid(f"This {unit} against the {unit} before", columns, rows), plot]


def six_figure(report: pb.SixFigureReport) -> list[Block]:
    """Show what is earned, what the target needs, and what to do."""
    code = currency_of(report)
    trend = change(report, "revenue_change", "no revenue in the 30 days before")
    against = "no 30 days before" if isinstance(trend, Absent) else f"{trend} on the 30 days before"
    track = "on track" if report.on_track else "not on track"
    earned = Figures(
        "The last 30 days",
        (
            Figure("Monthly revenue", money(report, "monthly_revenue"), against),
            Figure("30 days before", money(report, "previous_revenue"), "revenue"),
            Figure(
                "Annual projection",
                money(report, "annual_projection"),
                f"twelve such months: {track}",
                warn=not report.on_track,
            ),
            Figure("Average ticket", money(report, "average_ticket", _NO_TICKET)),
            Figure("Utilisation", percent(report.utilisation), "of the open time booked"),
            Figure("Active clients", count(report.active_clients), "with a visit in 365 days"),
            Figure(
                "Visits a client",
                number(report, "visits_per_client", "no active clients", 2),
                "in 365 days",
            ),
            Figure("Retention rate", percent(report.retention_rate), "came at least twice"),
        ),
    )
    needed = Figures(
        f"For {money(report, 'target_annual_income')} a year",
        (
            Figure("Monthly target", money(report, "monthly_target")),
            Figure("Target per open day", money(report, "daily_target", "no open day in 30")),
            Figure("Monthly gap", money(report, "monthly_gap"), "below 0: surpassed"),
            Figure("Clients needed", number(report, "clients_needed", _NO_TICKET), "a month"),
            Figure("Clients now", number(report, "clients_current", _NO_TICKET), "a month"),
            Figure("More clients", number(report, "clients_additional", _NO_TICKET), "a month"),
            Figure("Price increase", percent(report.price_increase), "recommended, at most 30%"),
            Figure("Recommended ticket", money(report, "recommended_ticket", _NO_TICKET)),
        ),
    )
    sides = ("annual_projection", "target_annual_income")
    plot = Grid(
        "Projection and target",
        (Column("A year", numeric=False), Column(f"Amount ({code})")),
        tuple(
            (name, amount(report, side))
            for name, side in zip(("Projected", "Target"), sides, strict=True)
        ),
        Bars(1, tuple(size(report, side) for side in sides), series=False),
    )
    return [earned, needed, plot, _actions(report, code)]


def _actions(report: pb.SixFigureReport, code: str) -> Grid:
    def shown(kind: str, value: float) -> str:
        if kind in _ACTION_AMOUNTS:
            return plain_money(value, code)
        return f"{value:,.2f} visits" if kind == _ACTION_VISITS else percent(value)

    rows = tuple(
        (
            _ACTIONS.get(one.kind, one.kind),
            _PRIORITIES.get(one.priority, "unknown"),
            shown(one.kind, one.measured),
            shown(one.kind, one.threshold),
        )
        for one in report.actions
    )
    columns = (
        Column("Action", numeric=False),
        Column("Priority", numeric=False),
        Column("Measured"),
        Column("Bound"),
    )
    return Grid("What to do", columns, rows, empty="nothing to suggest")
