"""Blocks of the reports on appointments: statistics, patterns, performance."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

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
    count,
    currency_of,
    hour,
    money,
    month,
    percent,
    share,
    size,
    weekday,
)
from chairside.cache.v1 import analytics_pb2 as pb
from chairside.cache.v1.types_pb2 import AppointmentStatus

__all__ = ["appointment_stats", "barber_performance", "busiest", "patterns"]

_NONE = "no appointments in the range"
_NO_HOURS = "no completed appointments"
_WEEK = range(7)
_MINUTES = 60


def appointment_stats(report: pb.AppointmentStatsReport) -> list[Block]:
    """Show counts, rates and utilisation."""
    booked, opened = report.booked_minutes / _MINUTES, report.open_minutes / _MINUTES
    summary = Figures(
        "Appointments",
        (
            Figure("Appointments", count(report.total), "cancelled ones included"),
            Figure("Completion rate", percent(report.completion_rate)),
            Figure("Cancellation rate", percent(report.cancellation_rate)),
            Figure("No-show rate", percent(report.no_show_rate)),
            Figure(
                "Utilisation",
                percent(report.utilisation),
                f"{booked:,.1f} of {opened:,.1f} open hours booked",
            ),
        ),
    )
    statuses = Grid(
        "By status",
        (Column("Status", numeric=False), Column("Appointments"), Column("Share")),
        tuple(
            (_status(one.status), count(one.count), share(one.count, report.total))
            for one in report.by_status
        ),
        Bars(1, tuple(one.count for one in report.by_status), series=False),
    )
    hours = {one.hour: (one.count,) for one in report.by_hour}
    return [
        summary,
        statuses,
        _counts("By hour of the start", ("Hour", "Appointments"), hours, _between(hours), hour),
        _services(report.by_service),
    ]


def patterns(report: pb.PatternsReport) -> list[Block]:
    """Show when and what is booked."""
    both = "Appointments", "No-shows"
    hours = {one.hour: (one.count, one.no_shows) for one in report.by_hour}
    weekdays = {one.weekday: (one.count, one.no_shows) for one in report.by_weekday}
    months = {one.month: (one.count,) for one in report.by_month}
    services = Grid(
        "By service",
        (
            Column("Service", numeric=False),
            Column("Appointments"),
            Column("No-shows"),
            Column("Completion"),
            Column("No-show rate"),
            Column(f"Mean payment ({currency_of(report)})"),
        ),
        tuple(
            (
                one.name,
                count(one.count),
                count(one.no_shows),
                percent(one.completion_rate),
                percent(one.no_show_rate),
                amount(one, "mean_payment", "no completed payments"),
            )
            for one in report.by_service
        ),
    )
    return [
        busiest(report),
        _counts("By hour of the start", ("Hour", *both), hours, _between(hours), hour),
        _counts("By weekday", ("Weekday", *both), weekdays, _WEEK if weekdays else (), weekday),
        _counts("By month of the year", ("Month", both[0]), months, _between(months), month),
        services,
    ]


def busiest(report: pb.PatternsReport) -> Figures:
    """Show the hour, the weekday and the month with most appointments."""
    return Figures(
        "Busiest",
        (
            Figure("Hour", _peak(report, "busiest_hour", hour)),
            Figure("Weekday", _peak(report, "busiest_weekday", weekday)),
            Figure("Month", _peak(report, "busiest_month", month)),
        ),
    )


def barber_performance(report: pb.BarberPerformanceReport) -> list[Block]:
    """Show how a barber or the shop does."""
    summary = Figures(
        "Performance",
        (
            Figure("Revenue", money(report, "revenue"), "payments less refunds"),
            Figure("Booked hours", f"{report.booked_hours:,.1f}", "completed appointments"),
            Figure("Revenue an hour", money(report, "revenue_per_booked_hour", _NO_HOURS)),
            Figure(
                "Utilisation",
                percent(report.utilisation),
                f"of {report.open_hours:,.1f} open hours",
            ),
            Figure("Appointments", count(report.total), "cancelled ones included"),
            Figure("Completion rate", percent(report.completion_rate)),
            Figure("Cancellation rate", percent(report.cancellation_rate)),
            Figure("No-show rate", percent(report.no_show_rate)),
            Figure("Clients", count(report.clients), "with a visit"),
            Figure("Repeat clients", count(report.repeat_clients), "two visits or more"),
            Figure("Peak hour", _peak(report, "peak_hour", hour)),
            Figure("Peak weekday", _peak(report, "peak_weekday", weekday)),
        ),
    )
    earned = Bars(2, tuple(size(one, "revenue") for one in report.by_service), series=False)
    return [summary, _services(report.by_service, earned)]


def _services(services: Sequence[pb.ServiceStats], bars: Bars | None = None) -> Grid:
    code = next((currency_of(one) for one in services), "")
    columns = (
        Column("Service", numeric=False),
        Column("Appointments"),
        Column(f"Revenue ({code})"),
        Column("Completed"),
        Column("Cancelled"),
        Column("No-shows"),
        Column("Completion"),
        Column("Cancellation"),
        Column("No-show rate"),
    )
    rows = tuple(
        (
            one.name,
            count(one.count),
            amount(one, "revenue"),
            count(one.completed),
            count(one.cancelled),
            count(one.no_shows),
            percent(one.completion_rate),
            percent(one.cancellation_rate),
            percent(one.no_show_rate),
        )
        for one in services
    )
    return Grid("By service", columns, rows, bars)


def _counts(
    title: str,
    names: Sequence[str],
    counts: Mapping[int, tuple[int, ...]],
    keys: Sequence[int],
    name_of: Callable[[int], str],
) -> Grid:
    """Show counts by `keys`: those that the answer leaves out have none, and a plot no gap.

    `names` are the columns', that of the keys first.
    """
    none = (0,) * (len(names) - 1)
    found = [(key, counts.get(key, none)) for key in keys]
    rows = tuple((name_of(key), *(count(one) for one in each)) for key, each in found)
    columns = (Column(names[0], numeric=False), *(Column(name) for name in names[1:]))
    return Grid(title, columns, rows, Bars(1, tuple(float(each[0]) for _, each in found)))


def _between(counts: Mapping[int, object]) -> range:
    return range(min(counts), max(counts) + 1) if counts else range(0)


def _peak(
    report: pb.PatternsReport | pb.BarberPerformanceReport,
    field: str,
    name_of: Callable[[int], str],
) -> Value:
    has = report.HasField(field)  # type: ignore[arg-type] # one of the report's peaks
    return name_of(getattr(report, field)) if has else Absent(_NONE)


def _status(status: AppointmentStatus.ValueType) -> str:
    name = AppointmentStatus.Name(status) if status in AppointmentStatus.values() else str(status)
    return name.removeprefix("APPOINTMENT_STATUS_").replace("_", " ").capitalize()
