"""Answers of GetAnalytics made by hand: one of each report, and one of a shop without rows."""

from decimal import Decimal

from google.type.date_pb2 import Date
from google.type.money_pb2 import Money

from chairside.cache.v1 import analytics_pb2 as pb
from chairside.cache.v1 import types_pb2
from chairside.cache.v1.cache_service_pb2 import GetAnalyticsRequest, GetAnalyticsResponse
from service_kit.values import to_money

__all__ = ["EMPTY", "FULL", "NASTY", "asked"]

NASTY = "<script>alert('\"&')</script>[red]\x1b[2J"
"""The name of a service that would do harm if it were not escaped."""
DAY = Date(year=2018, month=5, day=24)
NEXT = Date(year=2018, month=5, day=26)


def cad(amount: str) -> Money:
    """Make an amount of Canadian dollars."""
    return to_money(Decimal(amount), "CAD")


def asked(kind: str) -> GetAnalyticsRequest:
    """Ask for a report of two days or as of one."""
    request = GetAnalyticsRequest(organization_id=3, barber_id=7)
    getattr(request, kind).SetInParent()
    if kind in {"revenue", "appointment_stats", "patterns", "barber_performance", "dashboard"}:
        request.start_date.CopyFrom(DAY)
        request.end_date.CopyFrom(NEXT)
    return request


def _period(name: str, revenue: str, transactions: int, average: str | None) -> pb.RevenuePeriod:
    return pb.RevenuePeriod(
        period=name,
        start_date=DAY,
        end_date=NEXT,
        revenue=cad(revenue),
        transactions=transactions,
        average=cad(average) if average else None,
        refunds=cad("20.50"),
        refund_count=1,
    )


SERVICE = pb.ServiceStats(
    service_id=1,
    name=NASTY,
    count=1234,
    revenue=cad("9876.54"),
    completed=1000,
    cancelled=200,
    no_shows=34,
    completion_rate=81.037,
    cancellation_rate=16.207,
    no_show_rate=2.755,
)
REVENUE = pb.RevenueReport(
    total=_period("", "1234567.89", 4321, "285.71"),
    series=[_period("2018-05-24", "-12.50", 2, "-6.25"), _period("2018-05-25", "99.00", 0, None)],
)
STATS = pb.AppointmentStatsReport(
    total=1234,
    by_status=[
        pb.StatusCount(status=types_pb2.APPOINTMENT_STATUS_COMPLETED, count=1000),
        pb.StatusCount(status=types_pb2.APPOINTMENT_STATUS_NO_SHOW, count=234),
    ],
    completion_rate=81.037,
    by_service=[SERVICE],
    by_hour=[pb.HourCount(hour=9, count=5), pb.HourCount(hour=11, count=10)],
    booked_minutes=90,
    open_minutes=600,
    utilisation=15,
)
SIX_FIGURE = pb.SixFigureReport(
    as_of_date=DAY,
    target_annual_income=cad("100000"),
    monthly_revenue=cad("3000"),
    annual_projection=cad("36000"),
    utilisation=12.5,
    active_clients=40,
    visits_per_client=1.25,
    monthly_target=cad("8333.33"),
    monthly_gap=cad("5333.33"),
    price_increase=30,
    previous_revenue=cad("0"),
    actions=[
        pb.Action(
            kind="pricing", priority=pb.PRIORITY_HIGH, measured=3000, threshold=4166.666666666667
        ),
        pb.Action(kind="retention", priority=pb.PRIORITY_MEDIUM, measured=1.25, threshold=1.5),
        pb.Action(kind="of_tomorrow", priority=pb.PRIORITY_HIGH, measured=1, threshold=2),
    ],
)
RETENTION = pb.RetentionReport(
    as_of_date=DAY,
    clients=10,
    active_clients=5,
    at_risk_clients=3,
    lost_clients=2,
    new_clients=4,
    returning_clients=6,
    retention_rate=60,
    earlier_clients=4,
    repeat_clients=1,
    repeat_rate_90=25,
)
CLIENT = pb.ClientValue(
    client_id=5,
    name=NASTY,
    segment=types_pb2.CLIENT_SEGMENT_VIP,
    spent=cad("700"),
    visits=1,
    average_order=cad("700"),
    predicted=cad("700"),
    first_visit=DAY,
    last_visit=DAY,
)
VALUES = pb.ClientValues(
    segment=types_pb2.CLIENT_SEGMENT_VIP,
    clients=1,
    spent=cad("700"),
    visits=1,
    predicted=cad("700"),
    mean_spent=cad("700"),
    mean_visits=1,
    mean_predicted=cad("700"),
)
NOBODY = pb.ClientValues(segment=types_pb2.CLIENT_SEGMENT_NEW, spent=cad("0"), predicted=cad("0"))
LIFETIME = pb.LifetimeValueReport(
    as_of_date=DAY, total=VALUES, segments=[NOBODY, VALUES], top_clients=[CLIENT], at_risk=NOBODY
)
PATTERNS = pb.PatternsReport(
    by_hour=[
        pb.HourPattern(hour=9, count=5, no_shows=1),
        pb.HourPattern(hour=11, count=10),
    ],
    by_weekday=[pb.WeekdayPattern(weekday=4, count=15, no_shows=1)],
    by_month=[pb.MonthPattern(month=5, count=15)],
    by_service=[pb.ServicePattern(service_id=1, name=NASTY, count=16, no_show_rate=6.25)],
    busiest_hour=11,
    busiest_weekday=4,
    busiest_month=5,
)
COMPARISON = pb.ComparisonReport(
    as_of_date=DAY,
    against=pb.AGAINST_QUARTER,
    current=pb.ComparisonPeriod(start_date=DAY, end_date=NEXT, revenue=cad("50"), appointments=3),
    previous=pb.ComparisonPeriod(start_date=DAY, end_date=NEXT, revenue=cad("0"), appointments=4),
    appointments_change=-25,
    completion_change=3.25,
)
PERFORMANCE = pb.BarberPerformanceReport(
    total=1234,
    revenue=cad("9876.54"),
    booked_hours=1.5,
    revenue_per_booked_hour=cad("6584.36"),
    open_hours=10,
    utilisation=15,
    clients=8,
    by_service=[SERVICE],
    peak_hour=9,
    peak_weekday=0,
)
DASHBOARD = pb.DashboardReport(
    start_date=DAY,
    end_date=NEXT,
    as_of_date=DAY,
    key_metrics=pb.KeyMetrics(
        revenue=cad("1234567.89"), transactions=4321, appointments=1234, appointments_change=-25
    ),
    revenue=REVENUE.total,
    appointment_stats=pb.AppointmentStatsReport(total=1234),
    six_figure=SIX_FIGURE,
    retention=RETENTION,
    lifetime_value=pb.LifetimeValueReport(
        as_of_date=DAY, total=VALUES, segments=[VALUES], at_risk=NOBODY
    ),
    patterns=pb.PatternsReport(busiest_hour=11),
    comparison=COMPARISON,
    barber_performance=PERFORMANCE,
    insights=[
        pb.Insight(kind="mean_transaction", measured=31.456, threshold=50),
        pb.Insight(
            kind="service_completion",
            measured=61.9,
            threshold=70,
            service_id=1,
            service_name=NASTY,
        ),
    ],
)
INFO = types_pb2.CacheInfo(source=types_pb2.SOURCE_DATABASE)
FULL = {
    "revenue": GetAnalyticsResponse(revenue=REVENUE, cache_info=INFO),
    "appointment_stats": GetAnalyticsResponse(appointment_stats=STATS, cache_info=INFO),
    "six_figure": GetAnalyticsResponse(six_figure=SIX_FIGURE, cache_info=INFO),
    "retention": GetAnalyticsResponse(retention=RETENTION, cache_info=INFO),
    "lifetime_value": GetAnalyticsResponse(lifetime_value=LIFETIME, cache_info=INFO),
    "patterns": GetAnalyticsResponse(patterns=PATTERNS, cache_info=INFO),
    "comparison": GetAnalyticsResponse(comparison=COMPARISON, cache_info=INFO),
    "barber_performance": GetAnalyticsResponse(barber_performance=PERFORMANCE, cache_info=INFO),
    "dashboard": GetAnalyticsResponse(dashboard=DASHBOARD, cache_info=INFO),
}
"""Each report with figures in it."""


def _bare(kind: str) -> GetAnalyticsResponse:
    response = GetAnalyticsResponse(cache_info=INFO)
    report = getattr(response, kind)
    report.SetInParent()
    if "as_of_date" in report.DESCRIPTOR.fields_by_name:
        report.as_of_date.CopyFrom(DAY)
    periods = [report.comparison] if kind == "dashboard" else [report]
    for one in periods:
        if kind in {"comparison", "dashboard"}:
            for side in (one.current, one.previous):
                side.start_date.CopyFrom(DAY)
                side.end_date.CopyFrom(DAY)
    return response


EMPTY = {kind: _bare(kind) for kind in FULL}
"""Each report with nothing in it but its days."""
