"""Ask for reports in this process: the request's own way, from validation to response."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncEngine

from cache_service.edge.declared import by_rpc, discover
from cache_service.queries.declare import LoadContext
from chairside.cache.v1 import analytics_pb2 as pb
from chairside.cache.v1.cache_service_pb2 import GetAnalyticsRequest, GetAnalyticsResponse
from service_kit.values import to_date
from tests.support.plain_reports import Books, differences, plain_report

__all__ = ["OF_DAYS", "OF_RANGES", "answers", "ask", "compared", "questions", "report_of"]

OF_RANGES: Mapping[str, Sequence[Message]] = {
    "revenue": [pb.RevenueOptions(group_by=group) for group in pb.GroupBy.values()],
    "appointment_stats": [pb.AppointmentStatsOptions()],
    "patterns": [pb.PatternsOptions()],
    "barber_performance": [pb.BarberPerformanceOptions()],
}
"""The reports over a range, each with all of its options."""

OF_DAYS: Mapping[str, Sequence[Message]] = {
    "six_figure": [
        pb.SixFigureOptions(target_annual_income=income)
        for income in (900.0, 54_321.98, 100_000.0, 300_000.0)
    ],
    "retention": [pb.RetentionOptions()],
    "lifetime_value": [pb.LifetimeValueOptions()],
    "comparison": [pb.ComparisonOptions(against=against) for against in pb.Against.values()],
}
"""The reports that count back from a day."""

_DASHBOARDS = (pb.DashboardOptions(), pb.DashboardOptions(target_annual_income=60_000.0))
_LATER = datetime(2022, 1, 1, tzinfo=UTC)


def ask(
    organization_id: int,
    barber_id: int,
    days: tuple[date, date] | None,
    as_of: date | None,
    **report: Any,
) -> GetAnalyticsRequest:
    """Make a request for a report."""
    return GetAnalyticsRequest(
        organization_id=organization_id,
        barber_id=barber_id,
        start_date=to_date(days[0]) if days else None,
        end_date=to_date(days[1]) if days else None,
        as_of_date=to_date(as_of) if as_of else None,
        **report,
    )


def questions(
    report: str,
    organization_id: int,
    barber_ids: Iterable[int],
    ranges: Sequence[tuple[date, date]],
    days: Sequence[date],
    *,
    briefly: bool = False,
) -> list[GetAnalyticsRequest]:
    """Ask for a report of each barber, with all of its options, over all ranges or days.

    `briefly`: with the first of its options alone. The dashboard takes both, a range and a day, and
    gets each with one of the other, by turns with each of its options.
    """
    if report == "dashboard":
        pairs = range(max(len(ranges), len(days)))
        asked = [
            (ranges[n % len(ranges)], days[n % len(days)], _DASHBOARDS[n % len(_DASHBOARDS)])
            for n in pairs
        ]
    else:
        options = OF_RANGES.get(report) or OF_DAYS[report]
        when: list[Any] = [(each, None) for each in ranges]
        if report in OF_DAYS:
            when = [(None, each) for each in days]
        asked = [(*each, option) for each in when for option in options[: 1 if briefly else None]]
    chosen: list[tuple[Any, Any, dict[str, Any]]] = [
        (range_, as_of, {report: option}) for range_, as_of, option in asked
    ]
    return [
        ask(organization_id, barber_id, range_, as_of, **one)
        for barber_id in barber_ids
        for range_, as_of, one in chosen
    ]


async def answers(
    engine: AsyncEngine, requests: Sequence[GetAnalyticsRequest], *, now: datetime = _LATER
) -> list[GetAnalyticsResponse]:
    """Answer requests of one organization: all that one query answers in one load."""
    queries = by_rpc(discover())
    batches: dict[str, list[int]] = defaultdict(list)
    for number, request in enumerate(requests):
        batches[str(request.WhichOneof("report"))].append(number)
    found: dict[int, GetAnalyticsResponse] = {}
    async with engine.connect() as connection:
        for report, numbers in batches.items():
            query = queries[report]
            rpc = query.rpc
            assert rpc is not None
            asked = [list(rpc.arguments(requests[number], None)) for number in numbers]
            arguments = list(dict.fromkeys(each for one in asked for each in one))
            loaded = await query.load(LoadContext(connection, now), arguments)
            payloads = dict(zip(arguments, loaded, strict=True))
            for number, own in zip(numbers, asked, strict=True):
                parts = [(each, payloads[each]) for each in own]
                body = rpc.respond(requests[number], parts, now)[0] if rpc.respond else parts[0][1]
                found[number] = GetAnalyticsResponse.FromString(body)
    return [found[number] for number in range(len(requests))]


def report_of(response: GetAnalyticsResponse) -> Message:
    """Take the report out of a response."""
    message: Message = getattr(response, str(response.WhichOneof("report")))
    return message


def compared(
    books: Books, requests: Sequence[GetAnalyticsRequest], responses: Sequence[GetAnalyticsResponse]
) -> list[str]:
    """List every field of every answer that is not what the plain calculation says."""
    found = []
    for request, response in zip(requests, responses, strict=True):
        asked = str(request.WhichOneof("report"))
        assert response.WhichOneof("report") == asked
        shown = " ".join(str(request).split())
        found += [
            f"{shown}: {each}"
            for each in differences(
                report_of(response), plain_report(books, request), books.currency
            )
        ]
    return found
