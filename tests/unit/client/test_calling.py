"""A call is repeated where that is safe, as the service invites, and within its deadline."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest

from cache_service.client.calling import Calls, pause
from cache_service.client.errors import failed
from chairside.cache.v1 import cache_service_pb2 as pb
from service_kit.errors import NotFound, ResourceExhausted, ServiceError, Unavailable
from tests.support.grpc_server import serve_here
from tests.unit.client.fake_cache import FakeCache, ask, slots_of


@dataclass
class Served:
    """A fake that fails so often, and calls whose pauses take no time but are noted."""

    fake: FakeCache
    calls: Calls
    pauses: list[float]
    errors: list[ServiceError] = field(default_factory=list)

    async def ask(self, seconds: float = 5.0, method: str = "GetAvailability") -> bytes:
        """Call."""
        return await self.calls.call(method, ask().SerializeToString(), seconds)


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    """Serve a fake."""
    fake, pauses = FakeCache(), list[float]()

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async with serve_here(fake) as server:
        served = Served(fake, Calls(server.channel, sleep=sleep, jitter=lambda: 0.4), pauses)

        async def answer(_request: Any) -> Any:
            if served.errors:
                raise served.errors.pop(0)
            return slots_of(1)

        fake.answer = answer
        yield served


async def test_unavailable_is_repeated_when_the_service_says(served: Served) -> None:
    """Not before, and a little later, so that not all come back at once."""
    served.errors = [Unavailable("DRAINING", "going", retry_after=0.5)]
    answer = pb.GetAvailabilityResponse.FromString(await served.ask())
    assert answer == slots_of(1)
    assert served.pauses == [pytest.approx(0.55)]


@pytest.mark.parametrize("method", ["GetAvailability", "Invalidate"])
async def test_three_attempts_are_all(served: Served, method: str) -> None:
    """A service in trouble is not asked for ever; the error is its own."""
    served.errors = [Unavailable("NO_DATABASE", "away", retry_after=0.1) for _ in range(5)]
    with pytest.raises(grpc.aio.AioRpcError, match="away"):
        await served.ask(method=method)
    assert served.fake.methods == [method] * 3


async def test_a_repeat_that_would_be_too_late_is_not_waited_for(served: Served) -> None:
    """The error comes at once and not at the deadline."""
    served.errors = [Unavailable("DRAINING", "going", retry_after=6.0)]
    with pytest.raises(grpc.aio.AioRpcError, match="going"):
        await served.ask(5.0)
    assert served.pauses == []


def test_a_call_that_met_the_end_of_a_process_is_repeated() -> None:
    """It ends with a bare CANCELLED; what the service means is not asked again."""
    pauses = {code: pause(failed(code, ""), 2, 0.0) for code in grpc.StatusCode}
    assert {code.name: seconds for code, seconds in pauses.items() if seconds is not None} == {
        "UNAVAILABLE": 0.1,
        "CANCELLED": 0.1,
    }


async def test_a_refusal_of_excess_is_repeated_only_as_invited(served: Served) -> None:
    """RESOURCE_EXHAUSTED with RetryInfo is an invitation."""
    served.errors = [ResourceExhausted("TOO_MANY_CALLS", "full", retry_after=0.2)]
    await served.ask()
    assert served.pauses == [pytest.approx(0.22)]
    uninvited = ResourceExhausted("FULL", "full")
    uninvited.retry_after = None
    served.errors = [uninvited]
    with pytest.raises(grpc.aio.AioRpcError, match="full"):
        await served.ask()


async def test_no_other_error_is_repeated(served: Served) -> None:
    """What is not known does not become known."""
    served.errors = [NotFound("barber", 1)]
    with pytest.raises(grpc.aio.AioRpcError, match="not known"):
        await served.ask()
    assert served.fake.methods == ["GetAvailability"]


async def test_a_service_that_cannot_be_reached_is_tried_again_soon() -> None:
    """The error is gRPC's own, without an invitation: pauses are short and double."""
    pauses = list[float]()

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async with grpc.aio.insecure_channel("127.0.0.1:1") as channel:
        calls = Calls(channel, sleep=sleep, jitter=lambda: 0.0)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await calls.call("GetAvailability", b"", 5.0)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert pauses == [0.05, 0.1]
