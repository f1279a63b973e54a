"""Blocks of the dashboard: what to look at, then every report in short."""

from __future__ import annotations

from booking_service.reporting import bookings, clients, takings
from booking_service.reporting.blocks import Absent, Block, Column, Figure, Figures, Grid, Part
from booking_service.reporting.wording import (
    change,
    count,
    currency_of,
    money,
    percent,
    plain_money,
)
from chairside.cache.v1 import analytics_pb2 as pb

__all__ = ["dashboard"]

_INSIGHTS = {
    "mean_transaction": "The mean transaction is low",
    "completion": "Too few appointments are completed",
    "no_show": "Too many clients do not come",
    "retention": "Too few clients come again",
    "predicted_value": "The mean predicted value of a client is low",
    "service_completion": "Too few appointments of a service are completed",
    "low_utilisation": "Too much open time stays empty",
    "high_utilisation": "Hardly any open time is left",
}
_INSIGHT_AMOUNTS = frozenset({"mean_transaction", "predicted_value"})


def dashboard(report: pb.DashboardReport) -> list[Part]:
    """Show key metrics and insights, then the other reports; their empty tables are left out."""
    return [
        _part("At a glance", [_key_metrics(report.key_metrics), _insights(report)]),
        _part(
            "Money", [takings.revenue_total(report.revenue), *takings.comparison(report.comparison)]
        ),
        _part(
            "Appointments",
            [
                *_filled(bookings.appointment_stats(report.appointment_stats)),
                bookings.busiest(report.patterns),
                *_filled(bookings.barber_performance(report.barber_performance)),
            ],
        ),
        _part("Retention", clients.retention(report.retention)),
        _part("Lifetime value", _filled(clients.lifetime_value(report.lifetime_value))),
        _part("The way to the target", takings.six_figure(report.six_figure)),
    ]


def _part(title: str, blocks: list[Block]) -> Part:
    return Part(title, tuple(blocks))


def _filled(blocks: list[Block]) -> list[Block]:
    """Leave out the tables that a dashboard has no rows for."""
    return [block for block in blocks if not isinstance(block, Grid) or block.rows]


def _key_metrics(metrics: pb.KeyMetrics) -> Figures:
    def since(field: str, unit: str = "%") -> str:
        value = change(metrics, field, "", unit)
        return "" if isinstance(value, Absent) else f"month on month {value}"

    return Figures(
        "Key metrics",
        (
            Figure("Revenue", money(metrics, "revenue"), since("revenue_change")),
            Figure("Transactions", count(metrics.transactions), "completed payments"),
            Figure(
                "Mean transaction",
                money(metrics, "mean_transaction", "no completed payments"),
                "refunds not counted",
            ),
            Figure("Appointments", count(metrics.appointments), since("appointments_change")),
            Figure(
                "Completion rate",
                percent(metrics.completion_rate),
                since("completion_change", " points"),
            ),
            Figure("No-show rate", percent(metrics.no_show_rate)),
            Figure("Clients", count(metrics.clients), since("clients_change")),
            Figure("Utilisation", percent(metrics.utilisation), "of the open time booked"),
        ),
    )


def _insights(report: pb.DashboardReport) -> Grid:
    code = currency_of(report)

    def shown(kind: str, value: float) -> str:
        return plain_money(value, code) if kind in _INSIGHT_AMOUNTS else percent(value)

    rows = tuple(
        (
            ": ".join(filter(None, (_INSIGHTS.get(one.kind, one.kind), one.service_name))),
            shown(one.kind, one.measured),
            shown(one.kind, one.threshold),
        )
        for one in report.insights
    )
    columns = (Column("Insight", numeric=False), Column("Measured"), Column("Bound"))
    return Grid("What to look at", columns, rows, empty="nothing stands out")
