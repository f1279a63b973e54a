"""The Python client: calls joined by tick against the same calls one by one, and near hits.

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
from benchmarks.hits import find_request
from benchmarks.report import Bound, Section
from benchmarks.servers import MeasuredService, Stand, serve_cache, stand
from cache_service.client import CacheClient
from chairside.cache.v1 import cache_service_pb2, types_pb2
from chairside.cache.v1.cache_service_pb2_grpc import CacheServiceStub
from service_kit.values import to_date

__all__ = ["ClientBenchmarkError", "measure", "near_hits"]

Request = cache_service_pb2.GetAvailabilityRequest
Call = Callable[[Request, float], Awaitable[Any]]

_IN_FLIGHT = {32: 10.0, 256: 20.0}
"""Calls at once, and how many times as fast the joined ones must be."""
_NEAR_MICROSECONDS = 3.0
_TIMEOUT = 10.0
_DIFFERENT = 256
_STALENESS_SECONDS = 30
_PER_BLOCK = 2000
"""Near hits in a row, which take about as long as a round of a peer's; between blocks the client
hears its stream."""
_TRIES = 500


class ClientBenchmarkError(BenchmarkError):
    """Say which call was not what it should have been."""


async def measure(rounds: int, calls: int) -> list[Section]:
    """Measure `rounds` rounds of about `calls` calls of each side, and as many blocks of hits."""
    async with stand() as at, serve_cache(at) as service, _both(service) as (client, alone):
        requests = await _requests(at, alone)
        section = await _joined(client, alone, requests, rounds, calls)
        async with grpc.aio.insecure_channel(service.address) as channel:
            request = await find_request(at, channel)
        near = await near_hits(client, request, rounds * 10)
    return [section, _near_section(near)]


async def near_hits(client: CacheClient, request: Request, blocks: int) -> list[float]:
    """Return the microseconds of a hit in the client's near cache, the mean of each block.

    The request is asked with a `max_staleness`. A block counts only if all of it were hits.
    """
    asked = Request()
    asked.CopyFrom(request)
    asked.consistency.max_staleness.seconds = _STALENESS_SECONDS
    found: list[float] = []
    while len(found) < blocks:
        await _until_near(client, asked)
        turned: list[object] = []
        asyncio.get_running_loop().call_soon(turned.append, None)
        began = time.perf_counter()
        for _ in range(_PER_BLOCK):
            await client.get_availability(asked)
        seconds = time.perf_counter() - began
        if not turned:  # nothing else ran meanwhile, so nobody waited for a call
            found.append(seconds / _PER_BLOCK * 1e6)
    return found


async def _until_near(client: CacheClient, request: Request) -> None:
    """Ask until an answer is there without waiting, and let the client hear its stream."""
    for _ in range(_TRIES):
        await asyncio.sleep(0.01)
        turned: list[object] = []
        asyncio.get_running_loop().call_soon(turned.append, None)
        await client.get_availability(request)
        if not turned:
            return
    message = "the near cache keeps nothing"
    raise ClientBenchmarkError(message)


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


def _near_section(near: Sequence[float]) -> Section:
    median = statistics.median(near)
    quarters = statistics.quantiles(near, n=4)
    return Section(
        "Hits in the client's near cache",
        "python -m benchmarks client",
        f"`await client.get_availability(request)` of one barber's day, {len(near)} blocks of "
        f"{_PER_BLOCK}\nhits in a row; those of the same hundredth of a second share a message.",
        ("Microseconds a hit", "First quarter", "Third quarter"),
        [(f"{median:.2f}", f"{quarters[0]:.2f}", f"{quarters[2]:.2f}")],
        [Bound.at_most("microseconds of a near hit", _NEAR_MICROSECONDS, median)],
    )
