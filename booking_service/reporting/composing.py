"""Compose an answer of GetAnalytics into a report ready to be shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from booking_service.reporting import bookings, clients, takings
from booking_service.reporting.blocks import Block, Part, Provenance, Report
from booking_service.reporting.dashboard import dashboard
from booking_service.reporting.wording import span
from chairside.cache.v1 import types_pb2
from chairside.cache.v1.cache_service_pb2 import GetAnalyticsRequest, GetAnalyticsResponse
from service_kit.values import from_date

__all__ = ["compose"]

Builder = Callable[[GetAnalyticsRequest, GetAnalyticsResponse], list[Block] | list[Part]]

_REPORTS: dict[str, tuple[str, Builder]] = {
    "revenue": ("Revenue", lambda q, a: takings.revenue(a.revenue, q.revenue.group_by)),
    "appointment_stats": (
        "Appointments",
        lambda _, a: bookings.appointment_stats(a.appointment_stats),
    ),
    "six_figure": ("The way to the target", lambda _, a: takings.six_figure(a.six_figure)),
    "retention": ("Retention", lambda _, a: clients.retention(a.retention)),
    "lifetime_value": ("Lifetime value", lambda _, a: clients.lifetime_value(a.lifetime_value)),
    "patterns": ("Patterns", lambda _, a: bookings.patterns(a.patterns)),
    "comparison": ("Comparison", lambda _, a: takings.comparison(a.comparison)),
    "barber_performance": (
        "Performance",
        lambda _, a: bookings.barber_performance(a.barber_performance),
    ),
    "dashboard": ("Dashboard", lambda _, a: dashboard(a.dashboard)),
}
_SOURCES = {
    types_pb2.SOURCE_NEAR: "the cache's memory",
    types_pb2.SOURCE_REDIS: "the shared cache",
    types_pb2.SOURCE_DATABASE: "the database",
}
_MINUTE, _HOUR = timedelta(minutes=2), timedelta(hours=2)


def compose(
    request: GetAnalyticsRequest,
    response: GetAnalyticsResponse,
    *,
    made: datetime,
    shop: str | None = None,
) -> Report:
    """Compose the answer of `request`, asked at `made`.

    `shop` is the shop's name; None: it is called by its number.
    """
    kind = str(response.WhichOneof("report"))
    title, build = _REPORTS[kind]
    name = shop or f"Organization {request.organization_id}"
    who = f"barber {request.barber_id}" if request.barber_id else "the whole shop"
    return Report(
        title=title,
        subject=f"{name}, {who}",
        when=tuple(_when(request, getattr(response, kind))),
        parts=tuple(_parts(build(request, response))),
        provenance=_provenance(request, response.cache_info),
        made=made,
    )


def _parts(built: list[Block] | list[Part]) -> Iterator[Part]:
    """Put the blocks of a report without parts into a single one."""
    alone = tuple(block for block in built if not isinstance(block, Part))
    if alone:
        yield Part("", alone)
    yield from (part for part in built if isinstance(part, Part))


def _when(request: GetAnalyticsRequest, report: Message) -> list[str]:
    told = []
    if request.HasField("start_date"):
        told.append(span(request.start_date, request.end_date))
    if "as_of_date" in report.DESCRIPTOR.fields_by_name:
        day = from_date(report.as_of_date)  # type: ignore[attr-defined] # it has the field
        told.append(f"as of {day}")
    return told


def _provenance(request: GetAnalyticsRequest, info: types_pb2.CacheInfo) -> Provenance:
    source = _SOURCES.get(info.source, "an unknown place")
    age = info.age.ToTimedelta()
    stale = allowed = ""
    if info.source == types_pb2.SOURCE_DATABASE:
        source = f"{source}, read just now"
    else:
        source = f"{source}, filled {_ago(age)}"
        if info.stale:
            stale = "Stale: there may have been changes since; it is being refreshed behind."
        else:
            source = f"{source}, unchanged since"
    span_allowed = request.consistency.max_staleness
    if span_allowed != Duration():
        allowed = f"Up to {span_allowed.seconds:,} s old was allowed."
    return Provenance(f"From {source}.", stale, allowed)


def _ago(age: timedelta) -> str:
    seconds = age.total_seconds()
    if seconds < 1:
        return "less than 1 s ago"
    if age < _MINUTE:
        return f"{seconds:.0f} s ago"
    return f"{seconds / 60:.0f} min ago" if age < _HOUR else f"{seconds / 3600:.0f} h ago"
