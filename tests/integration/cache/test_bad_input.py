"""Requests that are wrong: each is refused, names every wrong field, and leaves nothing behind."""

from typing import Any

import asyncpg
import grpc
import pytest
from google.protobuf.json_format import ParseDict

from chairside.cache.v1 import cache_service_pb2 as pb
from tests.integration.cache.running import Cache, refused
from tests.support.grpc_server import details_of

SERVICE = "/chairside.cache.v1.CacheService/"
MAY = {"year": 2025, "month": 5, "day": 1}
NEXT_YEAR = {"year": 2026, "month": 5, "day": 1}
NO_DAY = {"year": 2025, "month": 2, "day": 29}
OLD = {"consistency": {"max_staleness": "-1s"}}
STALE = "consistency.max_staleness"
ORGANIZATION = {"organization_id": 1}
GOOD = {**ORGANIZATION, "service_id": 1}
LISTS = ("ListAppointments", "ListClients", "ListServices", "ListBarbers")

# The method, the request, and exactly the fields that must be named.
CASES: list[tuple[str, dict[str, Any], set[str]]] = [
    ("GetAvailability", {}, {"organization_id", "service_id"}),
    (
        "GetAvailability",
        {"organization_id": -1, "service_id": -2, "barber_ids": [3, 0, -4], **OLD},
        {"organization_id", "service_id", "barber_ids[1]", "barber_ids[2]", STALE},
    ),
    ("GetAvailability", {**GOOD, "barber_ids": list(range(1, 52))}, {"barber_ids"}),
    ("GetAvailability", {**GOOD, "start_date": NO_DAY}, {"start_date"}),
    ("GetAvailability", {**GOOD, "start_date": {"year": 2025}}, {"start_date"}),
    ("GetAvailability", {**GOOD, "start_date": {}}, {"start_date"}),
    ("GetAvailability", {**GOOD, "start_date": {**MAY, "year": 2201}}, {"start_date"}),
    ("GetAvailability", {**GOOD, "start_date": MAY, "end_date": MAY}, {"end_date"}),
    ("GetAvailability", {**GOOD, "start_date": NEXT_YEAR, "end_date": MAY}, {"end_date"}),
    ("GetAvailability", {**GOOD, "start_date": MAY, "end_date": NEXT_YEAR}, {"end_date"}),
    ("GetAvailability", {**GOOD, "end_date": MAY}, {"end_date"}),
    (
        "GetAvailability",
        {**GOOD, "start_date": NO_DAY, "end_date": NO_DAY, "time_zone": "Mars/Base"},
        {"start_date", "end_date", "time_zone"},
    ),
    ("GetAvailability", {**GOOD, "time_zone": "../../etc/passwd"}, {"time_zone"}),
    ("GetAvailability", {**GOOD, "barber_ids": [1], "time_zone": "\0"}, {"time_zone"}),
    ("GetAnalytics", {}, {"organization_id", "report"}),
    ("GetAnalytics", {"barber_id": -1, **OLD}, {"organization_id", "barber_id", "report", STALE}),
    (
        "GetAnalytics",
        {"revenue": {}, "barber_id": -1, **OLD},
        {"organization_id", "barber_id", "start_date", "end_date", STALE},
    ),
    (
        "GetAnalytics",
        {**ORGANIZATION, "revenue": {"group_by": 99}, "start_date": MAY, "end_date": MAY},
        {"end_date", "revenue.group_by"},
    ),
    (
        "GetAnalytics",
        {
            **ORGANIZATION,
            "appointment_stats": {},
            "start_date": MAY,
            "end_date": {"year": 2036, "month": 1, "day": 1},
            "as_of_date": MAY,
        },
        {"end_date", "as_of_date"},
    ),
    (
        "GetAnalytics",
        {**ORGANIZATION, "six_figure": {}, "start_date": MAY, "as_of_date": NO_DAY},
        {"six_figure.target_annual_income", "start_date", "as_of_date"},
    ),
    (
        "GetAnalytics",
        {"six_figure": {"target_annual_income": "NaN"}, **OLD},
        {"organization_id", "six_figure.target_annual_income", STALE},
    ),
    ("GetSchedule", {"barber_id": -1, **OLD}, {"organization_id", "barber_id", STALE}),
    ("GetBookedSlots", {"barber_id": -1, **OLD}, {"organization_id", "barber_id", STALE}),
    (
        "GetBookedSlots",
        {**ORGANIZATION, "start_date": MAY, "end_date": NEXT_YEAR},
        {"barber_id", "end_date"},
    ),
    ("GetUserData", {"client_id": -1, **OLD}, {"organization_id", "client_id", STALE}),
    *(
        (method, {"page_size": -1, "page_token": "?", **OLD}, {
            "organization_id", "page_size", "page_token", STALE,
        })
        for method in LISTS
    ),
    *((method, {**ORGANIZATION, "page_size": 501}, {"page_size"}) for method in LISTS),
    (
        "ListAppointments",
        {
            **ORGANIZATION,
            "barber_id": -1,
            "client_id": -1,
            "service_id": -1,
            "statuses": [0],
            "start_date": NO_DAY,
            "end_date": NO_DAY,
        },
        {"barber_id", "client_id", "service_id", "statuses[0]", "start_date", "end_date"},
    ),
    ("ListClients", {**ORGANIZATION, "query": "x" * 101}, {"query"}),
    ("ListServices", {**ORGANIZATION, "barber_id": -1}, {"barber_id"}),
    ("ListBarbers", {**ORGANIZATION, "service_id": -1}, {"service_id"}),
    ("Invalidate", {}, {"events"}),
    (
        "Invalidate",
        {
            "events": [{}, {"organization_id": -1, "client": {"client_id": -1}}],
            "tags": [{}, {**ORGANIZATION, "name": "x" * 201}, {**ORGANIZATION, "name": "a\nb"}],
            "scope": {"client_id": -1, "barber_id": -1, "date": NO_DAY},
        },
        {
            "events[0].organization_id", "events[0].change", "events[1].organization_id",
            "events[1].client.client_id", "tags[0].organization_id", "tags[0].name",
            "tags[1].name", "tags[2].name", "scope.organization_id", "scope.client_id",
            "scope.barber_id", "scope.date",
        },
    ),
    (
        "Invalidate",
        {"events": [{**ORGANIZATION, "appointment": {"new": {"date": NO_DAY}}}]},
        {"events[0].appointment.new.barber_id", "events[0].appointment.new.date"},
    ),
    ("Invalidate", {"tags": [{**ORGANIZATION, "name": "a"}] * 1001}, {"tags"}),
    ("Invalidate", {"events": [{**ORGANIZATION, "organization": {}}] * 1001}, {"events"}),
    ("Warm", {"barber_ids": [0], "days_ahead": 91}, {
        "organization_id", "barber_ids[0]", "days_ahead",
    }),
    ("Warm", {**ORGANIZATION, "days_ahead": -1}, {"days_ahead"}),
    ("GetStats", {"organization_id": -1}, {"organization_id"}),
]  # fmt: skip


def _request(method: str, fields: dict[str, Any]) -> bytes:
    found = pb.DESCRIPTOR.services_by_name["CacheService"].methods_by_name[method]
    message = getattr(pb, found.input_type.name)()
    if fields.get("six_figure", {}).get("target_annual_income") == "NaN":
        ParseDict({**fields, "six_figure": {}}, message)
        message.six_figure.target_annual_income = float("nan")
    else:
        ParseDict(fields, message)
    raw: bytes = message.SerializeToString()
    return raw


async def _traces(cache: Cache, connection: asyncpg.Connection) -> set[bytes | int]:
    """Return what a request could leave: keys of organization 1 and of none, and events."""
    keys: set[bytes | int] = set()
    for pattern in ("chairside:{1}:*", "chairside:{0}:*", "chairside:{-*"):
        keys |= set(await cache.redis.keys(pattern))
    sequence = await connection.fetchval("SELECT pg_get_serial_sequence('outbox', 'id')")
    return keys | {await connection.fetchval(f"SELECT last_value FROM {sequence}")}  # noqa: S608


@pytest.mark.parametrize(
    ("method", "fields", "wrong"),
    CASES,
    ids=[f"{number}-{method}" for number, (method, _, _) in enumerate(CASES)],
)
async def test_bad_input_names_every_wrong_field(
    cache: Cache,
    connection: asyncpg.Connection,
    method: str,
    fields: dict[str, Any],
    wrong: set[str],
) -> None:
    """It is INVALID_ARGUMENT with each wrong field and no other, and nothing is kept."""
    before = await _traces(cache, connection)
    call = cache.channel.unary_unary(SERVICE + method)
    error = await refused(call(_request(method, fields)))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    details = details_of(error)
    violations = details["BadRequest"].field_violations  # type: ignore[attr-defined]
    assert {violation.field for violation in violations} == wrong
    assert len(violations) == len(wrong)
    assert all(violation.description for violation in violations)
    info = details["ErrorInfo"]
    assert (info.reason, info.domain) == ("INVALID_ARGUMENT", "chairside")  # type: ignore[attr-defined]
    assert await _traces(cache, connection) <= before


METHODS = [
    method.name
    for method in pb.DESCRIPTOR.services_by_name["CacheService"].methods
    if not method.server_streaming
]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("raw", [b"\xff", b"\x0a\xff\x01", bytes(range(256)) * 4, b"\x08"])
async def test_garbage_is_refused_as_such(
    cache: Cache, connection: asyncpg.Connection, method: str, raw: bytes
) -> None:
    """Bytes that are no request are INVALID_ARGUMENT, without our innards in the text."""
    before = await _traces(cache, connection)
    error = await refused(cache.channel.unary_unary(SERVICE + method)(raw))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "pb2" not in (error.details() or "")
    assert details_of(error)["BadRequest"].field_violations  # type: ignore[attr-defined]
    assert await _traces(cache, connection) <= before


async def test_a_request_that_is_too_large_is_refused(cache: Cache) -> None:
    """Five megabytes are not read; the next call is answered as ever."""
    call = cache.channel.unary_unary(SERVICE + "Invalidate")
    error = await refused(call(b"\x12" + b"\xfc\xff\xbf\x02" + bytes(5 * 1024 * 1024)))
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert await cache.process.serving()


@pytest.mark.parametrize("path", ["/no.such.Service/Method", SERVICE + "NoSuchMethod"])
async def test_what_is_not_there_says_so(cache: Cache, path: str) -> None:
    """An unknown method is UNIMPLEMENTED with a reason."""
    error = await refused(cache.channel.unary_unary(path)(b""))
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED
    assert details_of(error)["ErrorInfo"].reason == "UNKNOWN_METHOD"  # type: ignore[attr-defined]
