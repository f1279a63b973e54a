"""What a dashboard is made of: revenue by day, statistics, and all reports in short."""

from collections.abc import Sequence
from datetime import date, timedelta

from google.protobuf.duration_pb2 import Duration

from chairside.booking.v1 import booking_service_pb2 as pb
from chairside.cache.v1 import analytics_pb2, cache_service_pb2, types_pb2
from service_kit.values import to_date

__all__ = ["answer", "questions"]

_WINDOW = timedelta(days=30)


def questions(
    request: pb.GetDashboardRequest, day: date
) -> tuple[cache_service_pb2.GetAnalyticsRequest, ...]:
    """Ask for revenue by day, statistics and all in short, of the 30 days before `day`.

    In the order that `answer` takes.
    """
    revenue, stats, short = (_about(request) for _ in range(3))
    for question in (revenue, stats, short):
        question.start_date.CopyFrom(to_date(day - _WINDOW))
        question.end_date.CopyFrom(to_date(day))
    revenue.revenue.group_by = analytics_pb2.GROUP_BY_DAY
    stats.appointment_stats.SetInParent()
    short.as_of_date.CopyFrom(to_date(day))
    short.dashboard.SetInParent()
    if request.HasField("target_annual_income"):
        short.dashboard.target_annual_income = request.target_annual_income
    return revenue, stats, short


def answer(parts: Sequence[cache_service_pb2.GetAnalyticsResponse]) -> pb.GetDashboardResponse:
    """Put the answers side by side: the furthest source, the greatest age, stale if one is."""
    revenue, stats, short = parts
    infos = [part.cache_info for part in parts]
    seconds, nanos = max((info.age.seconds, info.age.nanos) for info in infos)
    return pb.GetDashboardResponse(
        revenue=revenue.revenue,
        appointment_stats=stats.appointment_stats,
        six_figure=short.dashboard.six_figure,
        dashboard=short.dashboard,
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
