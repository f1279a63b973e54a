"""What a dashboard is made of: three reports of the cache service, asked for at once."""

from collections.abc import Sequence
from datetime import date, timedelta

from google.protobuf.duration_pb2 import Duration

from chairside.booking.v1 import booking_service_pb2 as pb
from chairside.cache.v1 import analytics_pb2, cache_service_pb2, types_pb2
from service_kit.values import to_date

__all__ = ["answer", "questions"]

_WINDOW = timedelta(days=30)


def questions(
    request: pb.GetDashboardRequest, day: date, target_annual_income: float
) -> tuple[cache_service_pb2.GetAnalyticsRequest, ...]:
    """Ask for revenue by day and statistics of the 30 days before `day`, and the way to the income.

    In the order that `answer` takes.
    """
    revenue, stats, six_figure = (_about(request) for _ in range(3))
    for question in (revenue, stats):
        question.start_date.CopyFrom(to_date(day - _WINDOW))
        question.end_date.CopyFrom(to_date(day))
    revenue.revenue.group_by = analytics_pb2.GROUP_BY_DAY
    stats.appointment_stats.SetInParent()
    six_figure.as_of_date.CopyFrom(to_date(day))
    six_figure.six_figure.target_annual_income = target_annual_income
    return revenue, stats, six_figure


def answer(parts: Sequence[cache_service_pb2.GetAnalyticsResponse]) -> pb.GetDashboardResponse:
    """Put the answers side by side: the furthest source, the greatest age, stale if one is."""
    revenue, stats, six_figure = parts
    infos = [part.cache_info for part in parts]
    seconds, nanos = max((info.age.seconds, info.age.nanos) for info in infos)
    return pb.GetDashboardResponse(
        revenue=revenue.revenue,
        appointment_stats=stats.appointment_stats,
        six_figure=six_figure.six_figure,
        cache_info=types_pb2.CacheInfo(
            source=max(info.source for info in infos),  # numbered from near to far
            age=Duration(seconds=seconds, nanos=nanos),
            stale=any(info.stale for info in infos),
        ),
    )


def _about(request: pb.GetDashboardRequest) -> cache_service_pb2.GetAnalyticsRequest:
    return cache_service_pb2.GetAnalyticsRequest(
        organization_id=request.organization_id,
        barber_id=request.barber_id,
        consistency=request.consistency if request.HasField("consistency") else None,
    )
