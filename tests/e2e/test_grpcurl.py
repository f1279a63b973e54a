"""Both services by grpcurl alone: what reflection tells, every method, and health."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from functools import reduce
from typing import TypeVar

import asyncpg
import grpc
import pytest
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc

from chairside.cache.v1 import cache_service_pb2
from tests.e2e.calls import BOOKING_CALLS, CACHE_CALLS, Call, Known
from tests.e2e.programs import Ran, grpcurl
from tests.support.contract import BOOKING, CACHE
from tests.support.stack import System

T = TypeVar("T")

COMMON = {"grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}
BOTH = pytest.mark.parametrize("service", [BOOKING, CACHE], ids=lambda one: one.name)


def address(town: System, service: ServiceDescriptor) -> str:
    """Return where a service listens."""
    return (town.booking if service is BOOKING else town.cache).address


async def each(items: Iterable[T], ask: Callable[[T], Awaitable[Ran]]) -> None:
    """Ask for all, a few at once; each must succeed and print something."""
    few = asyncio.Semaphore(4)

    async def one(item: T) -> None:
        async with few:
            ran = await ask(item)
        assert ran.code == 0, (item, ran.err)
        assert ran.out.strip(), item

    await asyncio.gather(*map(one, items))


@BOTH
async def test_reflection_lists_services_and_methods(
    town: System, service: ServiceDescriptor
) -> None:
    """`list` names our service, health and reflection; `list SERVICE` every method."""
    listed = await grpcurl(address(town, service), "list")
    assert set(listed.out.split()) == {service.full_name, *COMMON}
    methods = await grpcurl(address(town, service), "list", service.full_name)
    assert set(methods.out.split()) == {
        f"{service.full_name}.{method.name}" for method in service.methods
    }


@BOTH
async def test_reflection_describes_every_request(town: System, service: ServiceDescriptor) -> None:
    """`describe` shows each service with all methods, and each request with all fields."""
    for name in (service.full_name, *COMMON):
        ran = await grpcurl(address(town, service), "describe", name)
        assert ran.code == 0, ran.err
    whole = (await grpcurl(address(town, service), "describe", service.full_name)).out
    assert all(f"rpc {method.name} " in whole for method in service.methods)
    fields = {m.input_type.full_name: m.input_type.fields_by_name for m in service.methods}

    async def describe(name: str) -> Ran:
        ran = await grpcurl(address(town, service), "describe", name)
        assert all(f" {field} = " in ran.out for field in fields[name]), ran.out
        return ran

    await each(fields, describe)


async def test_a_symbol_that_is_not_there_is_not_described(town: System) -> None:
    """The control: describing fails for what is not there."""
    ran = await grpcurl(town.cache.address, "describe", "chairside.cache.v1.GetNothingRequest")
    assert ran.code != 0
    assert "not found" in ran.err.lower()


async def call(town: System, service: ServiceDescriptor, method: str, data: object) -> Ran:
    """Call a method with a request in JSON."""
    return await grpcurl(address(town, service), f"{service.full_name}/{method}", data=data)


async def follow(town: System, service: ServiceDescriptor, calls: Iterable[Call]) -> Known:
    """Make the calls one after another; each must succeed."""
    known: Known = {"organization": 1}
    for method, request, keep in calls:
        if method == "MarkNoShow":
            await into_the_past(town, known["late"])
        ran = await call(town, service, method, request(known))
        assert ran.code == 0, (method, ran.err)
        answer = ran.json()
        mutation = any(
            "cache_applied" in one.output_type.fields_by_name
            for one in service.methods
            if one.name == method
        )
        assert not mutation or answer["cache_applied"] is True, method
        if keep:
            name, _, path = keep.partition("=")
            known[name] = reduce(dict.__getitem__, path.split("."), answer)
    return known


async def into_the_past(town: System, appointment_id: str) -> None:
    """Let an appointment have begun: nobody can book one that has."""
    connection = await asyncpg.connect(town.database.url)
    await connection.execute(
        "UPDATE appointments SET starts_at = starts_at - d, ends_at = ends_at - d,"
        " blocked_from = blocked_from - d, blocked_until = blocked_until - d"
        " FROM (VALUES (interval '7 days')) AS v (d) WHERE id = $1",
        int(appointment_id),
    )
    await connection.close()


async def test_every_method_of_the_booking_service_answers(town: System) -> None:
    """Each is called with success, and one that is new fails here until it has a call."""
    assert {method for method, *_ in BOOKING_CALLS} == set(BOOKING.methods_by_name)
    await follow(town, BOOKING, BOOKING_CALLS)


async def test_every_method_of_the_cache_service_answers(town: System) -> None:
    """Each is called with success, and Watch by a test of its own; every report is asked for."""
    done = {method for method, *_ in CACHE_CALLS}
    assert done | {"Watch"} == set(CACHE.methods_by_name)
    reports = cache_service_pb2.GetAnalyticsRequest.DESCRIPTOR.oneofs_by_name["report"].fields
    asked = [
        set(request({"page": "", "organization": 1}))
        for method, request, _ in CACHE_CALLS
        if method == "GetAnalytics"
    ]
    assert {field.name for field in reports} <= set().union(*asked)
    await follow(town, CACHE, CACHE_CALLS)


async def test_a_watch_goes_on_until_its_caller_ends_it(town: System) -> None:
    """The first heartbeat comes at once and has a name; the time given ends the call."""
    method = f"{CACHE.full_name}/Watch"
    for seconds in (1, 3, 9):  # within which grpcurl also connects, and asks what a Watch is
        ran = await grpcurl(
            address(town, CACHE), method, data={"organization_id": 1}, seconds=seconds
        )
        if "Code: DeadlineExceeded" in ran.err and ran.out:
            break
    assert "Code: DeadlineExceeded" in ran.err
    first, _ = json.JSONDecoder().raw_decode(ran.out)
    assert first["elapsed"].endswith("s")
    assert first["process"]


@BOTH
async def test_health_answers_for_the_process_and_each_service(
    town: System, service: ServiceDescriptor
) -> None:
    """SERVING for "", health and every service of ours here; NOT_FOUND for the other's."""
    check = "grpc.health.v1.Health/Check"
    for name in ("", service.full_name):
        ran = await grpcurl(address(town, service), check, data={"service": name})
        assert ran.json() == {"status": "SERVING"}
    for name in ("chairside", (CACHE if service is BOOKING else BOOKING).full_name):
        ran = await grpcurl(address(town, service), check, data={"service": name})
        assert ran.code != 0
        assert "Code: NotFound" in ran.err


@BOTH
async def test_health_can_be_watched(town: System, service: ServiceDescriptor) -> None:
    """The first message is the state now; of an unknown service SERVICE_UNKNOWN."""
    serving = health_pb2.HealthCheckResponse.SERVING
    unknown = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    async with grpc.aio.insecure_channel(address(town, service)) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for name, status in (("", serving), (service.full_name, serving), ("no", unknown)):
            stream = stub.Watch(health_pb2.HealthCheckRequest(service=name), timeout=10)
            assert (await stream.read()).status == status
            stream.cancel()
