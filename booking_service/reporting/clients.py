"""Blocks of the reports on clients: how they stay, what they are worth."""

from __future__ import annotations

from collections.abc import Sequence

from booking_service.reporting.blocks import Bars, Block, Column, Figure, Figures, Grid
from booking_service.reporting.wording import (
    amount,
    count,
    currency_of,
    money,
    number,
    percent,
    share,
)
from chairside.cache.v1 import analytics_pb2 as pb
from chairside.cache.v1 import types_pb2
from service_kit.values import from_date

__all__ = ["lifetime_value", "retention"]

_NO_CLIENTS = "no clients"
_SEGMENTS = {
    types_pb2.CLIENT_SEGMENT_NEW: "New",
    types_pb2.CLIENT_SEGMENT_RETURNING: "Returning",
    types_pb2.CLIENT_SEGMENT_REGULAR: "Regular",
    types_pb2.CLIENT_SEGMENT_VIP: "VIP",
}


def retention(report: pb.RetentionReport) -> list[Block]:
    """Show who still comes, and who comes again."""
    summary = Figures(
        "Clients",
        (
            Figure("Clients", count(report.clients), "with a visit so far"),
            Figure("Retention rate", percent(report.retention_rate), "came at least twice"),
            Figure(
                "Repeat rate, 90 days",
                percent(report.repeat_rate_90),
                f"{count(report.repeat_clients)} of {count(report.earlier_clients)} who came"
                " 91 to 180 days ago",
            ),
        ),
    )
    last = (
        ("Active: at most 30 days ago", report.active_clients),
        ("At risk: 31 to 60 days ago", report.at_risk_clients),
        ("Lost: more than 60 days ago", report.lost_clients),
    )
    visits = (
        ("New: one visit", report.new_clients),
        ("Returning: two or more", report.returning_clients),
    )
    return [
        summary,
        _parts("By last visit", "Last visit", last, report.clients),
        _parts("By visits", "Visits", visits, report.clients),
    ]


def lifetime_value(report: pb.LifetimeValueReport) -> list[Block]:
    """Show what clients spent, what they are expected to, and which of them stay away."""
    code = currency_of(report)
    segments = Grid(
        "By segment",
        (
            Column("Segment", numeric=False),
            Column("Clients"),
            Column(f"Spent ({code})"),
            Column("Visits"),
            Column(f"Predicted ({code})"),
            Column(f"Mean spent ({code})"),
            Column("Mean visits"),
            Column(f"Mean predicted ({code})"),
        ),
        tuple(
            (
                _segment(one.segment),
                count(one.clients),
                amount(one, "spent"),
                count(one.visits),
                amount(one, "predicted"),
                amount(one, "mean_spent", _NO_CLIENTS),
                number(one, "mean_visits", _NO_CLIENTS),
                amount(one, "mean_predicted", _NO_CLIENTS),
            )
            for one in report.segments
        ),
        Bars(1, tuple(one.clients for one in report.segments), series=False),
    )
    return [
        _together("All clients", report.total),
        segments,
        _clients("Greatest predicted value", report.top_clients, code),
        _together("VIP and regular clients away for more than 60 days", report.at_risk),
        _clients("Greatest predicted value among those", report.top_at_risk_clients, code),
    ]


def _together(title: str, values: pb.ClientValues) -> Figures:
    return Figures(
        title,
        (
            Figure("Clients", count(values.clients)),
            Figure(
                "Spent",
                money(values, "spent"),
                _mean(money(values, "mean_spent", _NO_CLIENTS)),
            ),
            Figure(
                "Visits",
                count(values.visits),
                _mean(number(values, "mean_visits", _NO_CLIENTS)),
            ),
            Figure(
                "Predicted value",
                money(values, "predicted"),
                _mean(money(values, "mean_predicted", _NO_CLIENTS)),
            ),
        ),
    )


def _mean(value: object) -> str:
    return f"{value} a client" if isinstance(value, str) else ""


def _clients(title: str, clients: Sequence[pb.ClientValue], code: str) -> Grid:
    columns = (
        Column("Client", numeric=False),
        Column("Segment", numeric=False),
        Column(f"Predicted ({code})"),
        Column(f"Spent ({code})"),
        Column("Visits"),
        Column(f"Average order ({code})"),
        Column("Days between visits"),
        Column("First visit"),
        Column("Last visit"),
    )
    rows = tuple(
        (
            one.name or f"Client {one.client_id}",
            _segment(one.segment),
            amount(one, "predicted"),
            amount(one, "spent"),
            count(one.visits),
            amount(one, "average_order", "no visits"),
            number(one, "mean_days_between_visits", "one visit only"),
            str(from_date(one.first_visit)),
            str(from_date(one.last_visit)),
        )
        for one in clients
    )
    return Grid(title, columns, rows, empty=_NO_CLIENTS)


def _parts(title: str, unit: str, parts: Sequence[tuple[str, int]], whole: int) -> Grid:
    columns = (Column(unit, numeric=False), Column("Clients"), Column("Share"))
    rows = tuple((name, count(part), share(part, whole)) for name, part in parts)
    return Grid(title, columns, rows, Bars(1, tuple(part for _, part in parts), series=False))


def _segment(segment: types_pb2.ClientSegment.ValueType) -> str:
    return _SEGMENTS.get(segment, "unknown")
