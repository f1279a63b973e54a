"""Reports that cannot be: each of the nine refuses them over gRPC, and says what is wrong."""

import math
from typing import Any

import asyncpg
import grpc
import pytest
from google.protobuf.json_format import ParseDict

from chairside.cache.v1.cache_service_pb2 import GetAnalyticsRequest
from tests.integration.cache.running import Cache, refused
from tests.integration.cache.shops import Shop, open_shop
from tests.support.grpc_server import details_of

DAY, NEXT = {"year": 2025, "month": 3, "day": 1}, {"year": 2025, "month": 4, "day": 1}
RANGE = {"start_date": DAY, "end_date": NEXT}
AS_OF = {"as_of_date": DAY}
INVERTED = {"start_date": NEXT, "end_date": DAY}
CENTURY = {"start_date": {**DAY, "year": 1925}, "end_date": DAY}
BOTH = {"start_date", "end_date"}
TARGET = "target_annual_income"

OF_RANGES = ("revenue", "appointment_stats", "patterns", "barber_performance")
OF_DAYS = ("six_figure", "retention", "lifetime_value", "comparison")
REPORTS = (*OF_RANGES, *OF_DAYS, "dashboard")
WITH_RANGE = (*OF_RANGES, "dashboard")
WITH_TARGET = ("six_figure", "dashboard")
FAR = ({"year": 1900, "month": 1, "day": 1}, {"year": 2200, "month": 12, "day": 31})


def _asking(report: str, **fields: Any) -> GetAnalyticsRequest:
    """Make a request with the days that the report takes, but for the fields given."""
    taken = {**(RANGE if report in WITH_RANGE else {}), **({} if report in OF_RANGES else AS_OF)}
    options = {TARGET: 100_000} if report == "six_figure" else {}
    return ParseDict(taken | {report: options} | fields, GetAnalyticsRequest())


async def _wrong(cache: Cache, request: GetAnalyticsRequest) -> set[str]:
    """Return the fields named by an INVALID_ARGUMENT, each with a description."""
    error = await refused(cache.stub.GetAnalytics(request))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    details = details_of(error)
    assert details["ErrorInfo"].reason == "INVALID_ARGUMENT"  # type: ignore[attr-defined]
    found = details["BadRequest"].field_violations  # type: ignore[attr-defined]
    assert all(violation.description for violation in found)
    assert len({violation.field for violation in found}) == len(found)
    return {violation.field for violation in found}


@pytest.mark.parametrize("report", REPORTS)
async def test_a_good_request_is_answered(cache: Cache, shop: Shop, report: str) -> None:
    """What these tests make bad is good before: of the shop and of its barber."""
    for barber_id in (0, shop.barbers[0]):
        request = _asking(report, organization_id=shop.organization_id, barber_id=barber_id)
        answer = await cache.stub.GetAnalytics(request)
        assert answer.WhichOneof("report") == report


@pytest.mark.parametrize("report", WITH_RANGE)
@pytest.mark.parametrize(
    ("days", "wrong"),
    [
        (INVERTED, {"end_date"}),
        ({"start_date": DAY, "end_date": DAY}, {"end_date"}),
        (CENTURY, {"end_date"}),
        ({"start_date": {}, "end_date": {"year": 2025, "month": 2, "day": 30}}, BOTH),
        ({"start_date": {**DAY, "year": 1899}, "end_date": {**DAY, "year": 2201}}, BOTH),
    ],
    ids=["inverted", "empty", "100-years", "no-days", "out-of-time"],
)
async def test_a_range_that_is_none_is_refused(
    cache: Cache, shop: Shop, report: str, days: dict[str, Any], wrong: set[str]
) -> None:
    """Inverted, empty, a century long, or of days that are none: the field at fault is named."""
    request = _asking(report, organization_id=shop.organization_id, **days)
    assert await _wrong(cache, request) == wrong


@pytest.mark.parametrize("report", WITH_RANGE)
async def test_a_range_must_be_given(cache: Cache, shop: Shop, report: str) -> None:
    """Without its days a report over a range is refused, and both are named."""
    request = _asking(report, organization_id=shop.organization_id)
    request.ClearField("start_date")
    request.ClearField("end_date")
    assert await _wrong(cache, request) == BOTH


@pytest.mark.parametrize("report", REPORTS)
async def test_a_field_that_a_report_does_not_take_is_refused(
    cache: Cache, shop: Shop, report: str
) -> None:
    """A range where it counts back from a day, or such a day with a range, is an error."""
    request = _asking(report, organization_id=shop.organization_id, **RANGE, **AS_OF)
    if report == "dashboard":  # It takes both.
        assert (await cache.stub.GetAnalytics(request)).HasField("dashboard")
    else:
        assert await _wrong(cache, request) == ({"as_of_date"} if report in OF_RANGES else BOTH)


@pytest.mark.parametrize("report", WITH_TARGET)
@pytest.mark.parametrize("target", [0.0, -0.0, -1.0, math.nan, math.inf, -math.inf, 1e300])
async def test_a_target_that_is_no_income_is_refused(
    cache: Cache, shop: Shop, report: str, target: float
) -> None:
    """Nothing, less than nothing, not a number, or without bounds: nobody earns that."""
    request = _asking(report, organization_id=shop.organization_id)
    setattr(getattr(request, report), TARGET, target)
    assert await _wrong(cache, request) == {f"{report}.{TARGET}"}


@pytest.mark.parametrize("report", REPORTS)
async def test_all_that_is_wrong_is_named_at_once(cache: Cache, report: str) -> None:
    """Ids and days of a report are wrong together, and no other field is named."""
    nonsense = {"organization_id": -1, "barber_id": -1}
    days = {"as_of_date": {"year": 2025}} if report not in OF_RANGES else {"end_date": {}}
    request = _asking(report, **nonsense, **days)
    assert await _wrong(cache, request) == {*nonsense, *days}


@pytest.mark.parametrize("report", REPORTS)
async def test_whom_there_is_not_is_not_found(
    cache: Cache, shop: Shop, connection: asyncpg.Connection, report: str
) -> None:
    """No such barber, another shop's barber or no such shop: NOT_FOUND, never an empty report.

    And it is not remembered: once there is such a barber, the same request is answered.
    """
    other = await open_shop(connection)
    later = await connection.fetchval("SELECT nextval(pg_get_serial_sequence('barbers', 'id'))")
    none = 10**15
    for organization_id, barber_id, kind in (
        (shop.organization_id, none, "BARBER"),
        (shop.organization_id, later, "BARBER"),
        (shop.organization_id, other.barbers[0], "BARBER"),
        (none, 0, "ORGANIZATION"),
        (none, shop.barbers[0], "ORGANIZATION"),
    ):
        request = _asking(report, organization_id=organization_id, barber_id=barber_id)
        error = await refused(cache.stub.GetAnalytics(request))
        assert error.code() == grpc.StatusCode.NOT_FOUND
        assert details_of(error)["ErrorInfo"].reason == f"{kind}_NOT_FOUND"  # type: ignore[attr-defined]
    await connection.execute(
        "INSERT INTO barbers (id, organization_id, name) VALUES ($1, $2, 'New')",
        later,
        shop.organization_id,
    )
    request = _asking(report, organization_id=shop.organization_id, barber_id=later)
    assert (await cache.stub.GetAnalytics(request)).HasField(report)


@pytest.mark.parametrize("report", [*OF_DAYS, "dashboard"])
@pytest.mark.parametrize("day", FAR, ids=["1900", "2200"])
async def test_the_first_and_the_last_day_there_are_can_be_looked_back_from(
    cache: Cache, shop: Shop, report: str, day: dict[str, int]
) -> None:
    """Windows that begin before the first day are no error: there is just nothing in them."""
    request = _asking(report, organization_id=shop.organization_id, as_of_date=day)
    assert (await cache.stub.GetAnalytics(request)).HasField(report)
