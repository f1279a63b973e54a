"""Random and damaged requests of every method: a proper answer to each."""

import asyncio
import os
from collections import Counter
from collections.abc import Iterator

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor

from chairside.booking.v1 import booking_service_pb2 as booking_pb
from chairside.booking.v1.booking_service_pb2_grpc import BookingServiceStub
from chairside.cache.v1 import cache_service_pb2 as cache_pb
from chairside.cache.v1.cache_service_pb2_grpc import CacheServiceStub
from tests.hardening.fuzzing import requests
from tests.support.contract import METHODS
from tests.support.failures import read_failure
from tests.support.stack import System

REQUESTS = int(os.environ.get("REQUESTS", "5000"))
SEED = int(os.environ.get("SEED", "1"))
_AT_ONCE = 64
_CHANNELS = 2
_TIMEOUT = 30.0
PROPER = {
    *("OK", "INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "ABORTED", "ALREADY_EXISTS"),
    *("OUT_OF_RANGE", "RESOURCE_EXHAUSTED", "UNIMPLEMENTED"),
    "UNAVAILABLE",  # of a Watch, on a machine so busy that the lease runs out
}


async def _code(channel: grpc.aio.Channel, method: MethodDescriptor, raw: bytes) -> str:
    """Make a call and return the code; an error must have its details."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    try:
        if method.client_streaming:
            await channel.stream_stream(path)(iter([raw]), timeout=_TIMEOUT).read()
        elif method.server_streaming:
            call = channel.unary_stream(path)(raw, timeout=_TIMEOUT)
            await call.read()
            call.cancel()
        else:
            await channel.unary_unary(path)(raw, timeout=_TIMEOUT)
    except grpc.aio.AioRpcError as error:
        if error.code().name in PROPER:
            return read_failure(error).code
        return f"{error.code().name} of {method.name}: {error.details()}"
    return "OK"


async def _attack(system: System, work: Iterator[tuple[MethodDescriptor, bytes]]) -> Counter[str]:
    """Make all the calls, many at once over few channels, and count the codes."""
    codes = Counter[str]()
    options = [("grpc.use_local_subchannel_pool", 1)]

    async def caller(booking: grpc.aio.Channel, cache: grpc.aio.Channel) -> None:
        for method, raw in work:
            ours = "booking" in method.containing_service.full_name
            codes[await _code(booking if ours else cache, method, raw)] += 1

    pairs = [
        (
            grpc.aio.insecure_channel(system.booking.address, options),
            grpc.aio.insecure_channel(system.cache.address, options),
        )
        for _ in range(_CHANNELS)
    ]
    await asyncio.gather(*(caller(*pairs[number % _CHANNELS]) for number in range(_AT_ONCE)))
    for pair in pairs:
        for channel in pair:
            await channel.close()

    return codes


async def test_random_requests_get_proper_answers(
    attacked: System, capsys: pytest.CaptureFixture[str]
) -> None:
    """Requests of every method, half of them damaged: no INTERNAL, no UNKNOWN, no dead process."""
    codes = await _attack(attacked, requests(SEED, REQUESTS))
    with capsys.disabled():  # seen with JOBS=0 only
        print(dict(codes))  # noqa: T201 - what a long run is for
    assert set(codes) <= PROPER, codes
    assert sum(codes.values()) == REQUESTS
    # The control: some were understood, and some were not.
    assert min(codes["OK"], codes["INVALID_ARGUMENT"], codes["NOT_FOUND"]) > REQUESTS // 1000
    for process in (attacked.cache, attacked.booking):
        assert process.running
        output = process.output()
        assert '"level": "error"' not in output
        assert "Traceback" not in output
    made = await BookingServiceStub(attacked.booking_channel).CreateOrganization(
        booking_pb.CreateOrganizationRequest(name="New", time_zone="UTC", currency="EUR"),
        timeout=10,
    )
    services = await CacheServiceStub(attacked.cache_channel).ListServices(
        cache_pb.ListServicesRequest(organization_id=made.organization.organization_id), timeout=10
    )
    assert not services.services


def test_all_methods_are_attacked() -> None:
    """Every method of both services is called as often as any other."""
    found = Counter(method.full_name for method, _ in requests(SEED, 10 * len(METHODS)))
    assert len(found) == len(METHODS) > 30
    assert set(found.values()) == {10}
