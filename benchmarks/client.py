"""The Python client: calls joined by tick against the same calls one by one.

The service runs as in production on a core of its own, and the client on another. `alone` is
the generated stub, `joined` our client; both are called by the same tasks, each of which asks
for the next of many days as soon as it has an answer. What is asked for is in the service's
memory. Sides take turns, round by round.
"""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice
from typing import Any

import asyncpg
import grpc

from benchmarks.errors import BenchmarkError
from benchmarks.report import Bound, Section
from benchmarks.servers import MeasuredService, Stand, serve_cache, stand
from cache_service.client import CacheClient
from chairside.cache.v1 import cache_service_pb2, types_pb2
from chairside.cache.v1.cache_service_pb2_grpc import CacheServiceStub
from service_kit.values import to_date

__all__ = ["ClientBenchmarkError", "measure"]

Request = cache_service_pb2.GetAvailabilityRequest
Call = Callable[[Request, float], Awaitable[Any]]

_IN_FLIGHT = {32: 10.0, 256: 20.0}
"""Calls at once, and how many times as fast the joined ones must be."""
_TIMEOUT = 10.0
_DIFFERENT = 256


class ClientBenchmarkError(BenchmarkError):
    """Say which call was not what it should have been."""


async def measure(rounds: int, calls: int) -> list[Section]:
    """Measure `rounds` rounds of about `calls` calls of each side."""
    async with stand() as at, serve_cache(at) as service, _both(service) as (client, alone):
        requests = await _requests(at, alone)
        return [await _joined(client, alone, requests, rounds, calls)]


@asynccontextmanager
async def _both(service: MeasuredService) -> AsyncIterator[tuple[CacheClient, Call]]:
    """Connect our client and the generated stub."""
    async with (
        CacheClient(service.address, timeout=_TIMEOUT) as client,
        grpc.aio.insecure_channel(service.address) as channel,
    ):
        stub = CacheServiceStub(channel)

        async def alone(request: Request, timeout: float) -> Any:  # noqa: ANN401, ASYNC109 - as the client's
            return await stub.GetAvailability(request, timeout=timeout)

        yield client, alone


async def _requests(at: Stand, call: Call) -> list[Request]:
    """Return requests for different days of different barbers, all of them cached now."""
    connection = await asyncpg.connect(at.url)
    offers = await connection.fetch(
        "SELECT barber_id, service_id FROM barber_services JOIN barbers b ON b.id = barber_id "
        "WHERE b.organization_id = $1 AND offered AND active ORDER BY 1, 2 LIMIT 20",
        at.organization_id,
    )
    await connection.close()
    today = datetime.now(UTC).date()
    requests = [
        Request(
            organization_id=at.organization_id,
            barber_ids=[offer["barber_id"]],
            service_id=offer["service_id"],
            start_date=to_date(today + timedelta(days=offset)),
        )
        for offset in range(2, 30)
        for offer in offers
    ][:_DIFFERENT]
    for request in requests:
        for _ in range(2):
            answer = await call(request, _TIMEOUT)
        if answer.cache_info.source != types_pb2.SOURCE_NEAR:
            source = types_pb2.Source.Name(answer.cache_info.source)
            message = f"a warmed answer came from {source}"
            raise ClientBenchmarkError(message)
    return requests


async def _rate(call: Call, requests: Sequence[Request], in_flight: int, calls: int) -> float:
    """Return the answers a second of so many callers at once."""
    each = max(1, calls // in_flight)

    async def caller(first: int) -> None:
        for request in islice(cycle(requests), first, first + each):
            await call(request, _TIMEOUT)

    began = time.perf_counter()
    await asyncio.gather(*(caller(number) for number in range(in_flight)))
    return each * in_flight / (time.perf_counter() - began)


async def _joined(
    client: CacheClient, alone: Call, requests: Sequence[Request], rounds: int, calls: int
) -> Section:
    sides: dict[str, tuple[Call, int]] = {
        "alone": (alone, calls),
        "joined": (client.get_availability, calls * 4),
    }
    rows, bounds = [], []
    for in_flight, least in _IN_FLIGHT.items():
        found: dict[str, list[float]] = {name: [] for name in sides}
        for number in range(rounds):
            order = list(sides) if number % 2 else list(sides)[::-1]
            for name in order:
                call, count = sides[name]
                found[name].append(await _rate(call, requests, in_flight, count))
        ratio = statistics.median(
            one / other for one, other in zip(found["joined"], found["alone"], strict=True)
        )
        for name, rates in found.items():
            times = f"{ratio:.1f}" if name == "joined" else "1"
            rows.append((str(in_flight), name, f"{statistics.median(rates):,.0f}", times))
        bounds.append(Bound.at_least(f"joined, {in_flight} in flight", least, ratio))
    return Section(
        "Calls of the Python client",
        "python -m benchmarks client",
        "GetAvailability of one barber's day, of 256 different ones in the service's memory, by "
        "callers that\nask again as soon as they are answered. `alone` is the generated stub. "
        f"{rounds} rounds, medians.",
        ("In flight", "Calls", "Answers/s", "Times"),
        rows,
        bounds,
    )
