"""The booking service's dashboard, through the real cache, is the plain calculation's."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

from chairside.booking.v1 import booking_service_pb2 as pb
from chairside.cache.v1 import analytics_pb2 as analytics
from chairside.cache.v1 import types_pb2
from service_kit.values import from_date, to_date
from tests.integration.analytics.asking import ask
from tests.integration.analytics.opened import MINUTE, Open
from tests.support.plain_reports import Books, differences, plain_report, read_books
from tests.support.waiting import eventually

DAYS = (date(2020, 4, 2), date(2020, 5, 12))
"""The 30 days before the one hold the money that is taken, before the other the bookings."""
INCOMES = (None, 60_000.0)
PARTS = ("revenue", "appointment_stats", "dashboard")
CACHED = (types_pb2.SOURCE_NEAR, types_pb2.SOURCE_REDIS)


def requests(salon: Open) -> list[pb.GetDashboardRequest]:
    """Ask for a barber and the shop, as of one day each, without an income and with one."""
    return [
        pb.GetDashboardRequest(
            organization_id=salon.shop.organization_id,
            barber_id=barber_id,
            as_of_date=to_date(day),
            target_annual_income=income,
        )
        for day, income, barber_id in zip(DAYS, INCOMES, (salon.shop.barbers[0], 0), strict=True)
    ]


async def get(salon: Open, request: pb.GetDashboardRequest, **fields: Any) -> Any:
    """Ask the booking service."""
    asked = pb.GetDashboardRequest(**fields)
    asked.MergeFrom(request)
    return await salon.mutating.stub.GetDashboard(asked, timeout=20)


def wrong(
    books: Books, request: pb.GetDashboardRequest, response: pb.GetDashboardResponse
) -> Iterator[str]:
    """List the figures of its parts that are not what the plain calculation says."""
    day = from_date(request.as_of_date)
    days = (day - timedelta(days=30), day)
    options = analytics.DashboardOptions()
    if request.HasField("target_annual_income"):
        options.target_annual_income = request.target_annual_income
    asked: dict[str, tuple[date | None, dict[str, Any]]] = {
        "revenue": (None, {"revenue": {"group_by": "GROUP_BY_DAY"}}),
        "appointment_stats": (None, {"appointment_stats": {}}),
        "dashboard": (day, {"dashboard": options}),
    }
    who = request.organization_id, request.barber_id
    for part, (as_of, report) in asked.items():
        plain = plain_report(books, ask(*who, days, as_of, **report))
        found = differences(getattr(response, part), plain, books.currency)
        yield from (f"{part}: {each}" for each in found)
    assert response.six_figure == response.dashboard.six_figure


async def test_a_dashboard_is_never_older_than_any_mutation(salon: Open) -> None:
    """After every kind of mutation its three parts are right, and asked again they are cached."""
    asked = requests(salon)
    before = [await get(salon, request) for request in asked]
    changed = dict.fromkeys(PARTS, 0)
    async for method in salon.mutating.all():
        books = await read_books(salon.mutating.connection, salon.shop.organization_id)
        for number, request in enumerate(asked):
            response = await get(salon, request)
            assert list(wrong(books, request, response)) == [], f"after {method}: {request}"
            for part in PARTS:
                changed[part] += getattr(response, part) != getattr(before[number], part)
            before[number] = response

            async def again(request: Any = request, response: Any = response) -> bool:
                found = await get(salon, request)
                source = found.cache_info.source
                found.ClearField("cache_info")
                response.ClearField("cache_info")
                assert found == response
                return source in CACHED

            await eventually(again)
    assert all(changed.values()), changed


async def test_who_allows_a_minute_gets_a_dashboard_that_says_it_is_stale(salon: Open) -> None:
    """After a mutation: by default fresh, with max_staleness the old one, and it says so."""
    request = requests(salon)[0]

    async def pay() -> None:
        barber, amount = salon.shop.barbers[0], salon.mutating.amount("99.99")
        await salon.mutating.call("ConfirmPayment", barber_id=barber, amount=amount)

    first = await get(salon, request)
    assert not (await get(salon, request, consistency=MINUTE)).cache_info.stale
    await pay()
    stale = await get(salon, request, consistency=MINUTE)
    assert stale.cache_info.stale
    assert stale.revenue == first.revenue

    async def refreshed() -> bool:
        found = await get(salon, request, consistency=MINUTE)
        return not found.cache_info.stale and found.revenue != first.revenue

    await eventually(refreshed)
    # The control: who allows nothing gets what is so now.
    second = await get(salon, request)
    await pay()
    third = await get(salon, request)
    assert (third.cache_info.stale, third.revenue != second.revenue) == (False, True)
