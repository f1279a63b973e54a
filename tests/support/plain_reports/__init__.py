"""All reports in plain Python over whole tables, written from their definitions alone.

Slow and simple on purpose: exact fractions, one row after the other, open time by looking at the
clock. Nothing here is shared with what it checks, but the names of the figures: each report is a
dataclass with the fields of its message, so that `differences` can name the one that is wrong.
"""

from collections.abc import Callable
from typing import Any

from chairside.cache.v1 import analytics_pb2
from chairside.cache.v1.cache_service_pb2 import GetAnalyticsRequest
from service_kit.values import from_date
from tests.support.plain_reports.appointment_stats import appointment_stats
from tests.support.plain_reports.barber_performance import barber_performance
from tests.support.plain_reports.books import Books, read_books
from tests.support.plain_reports.clients import lifetime_value, retention
from tests.support.plain_reports.compare import differences
from tests.support.plain_reports.comparison import comparison
from tests.support.plain_reports.dashboard import dashboard
from tests.support.plain_reports.patterns import patterns
from tests.support.plain_reports.revenue import revenue
from tests.support.plain_reports.six_figure import six_figure

__all__ = ["REPORTS", "Books", "differences", "plain_report", "read_books"]

REPORTS: dict[str, Callable[..., Any]] = {
    "revenue": revenue,
    "appointment_stats": appointment_stats,
    "six_figure": six_figure,
    "retention": retention,
    "lifetime_value": lifetime_value,
    "patterns": patterns,
    "comparison": comparison,
    "barber_performance": barber_performance,
    "dashboard": dashboard,
}
_INCOME = 100_000.0
"""What a dashboard aims at unless it is told."""


def plain_report(books: Books, request: GetAnalyticsRequest) -> Any:
    """Work out the report that a request asks for; its as_of_date must be set where it counts."""
    name = str(request.WhichOneof("report"))
    days = [
        from_date(getattr(request, field))
        for field in ("start_date", "end_date", "as_of_date")
        if request.HasField(field)
    ]
    more: dict[str, Any] = {}
    if name == "revenue":
        more["group"] = _name(analytics_pb2.GroupBy, request.revenue.group_by, unset="day")
    elif name == "comparison":
        more["against"] = _name(analytics_pb2.Against, request.comparison.against, unset="month")
    elif name == "six_figure":
        more["target"] = request.six_figure.target_annual_income
    elif name == "dashboard":
        asked = request.dashboard.HasField("target_annual_income")
        more["target"] = request.dashboard.target_annual_income if asked else _INCOME
    return REPORTS[name](books, request.barber_id, *days, **more)


def _name(kind: Any, value: int, *, unset: str) -> str:
    """Tell an enum's value in lower case, without the prefix that all of its values have."""
    prefix = kind.Name(0).removesuffix("UNSPECIFIED")
    return kind.Name(value).removeprefix(prefix).lower() if value else unset
