"""What an Invalidate costs a mutation, by the number of processes that acknowledge it."""

from __future__ import annotations

import asyncio
import statistics
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import grpc

from benchmarks.report import Bound, Section
from benchmarks.servers import MeasuredService, serve_cache, stand
from chairside.cache.v1 import cache_service_pb2
from chairside.cache.v1.cache_service_pb2_grpc import CacheServiceStub

if TYPE_CHECKING:
    from chairside.cache.v1.cache_service_pb2_grpc import CacheServiceAsyncStub

__all__ = ["measure"]

_MEMBERS = (1, 2, 4)
_CALLS = 100
_BOUND = 5.0
_REQUEST = cache_service_pb2.InvalidateRequest(
    tags=[
        cache_service_pb2.Tag(organization_id=1, name=f"day:1:2030-01-{day:02}")
        for day in range(1, 9)
    ]
)


async def _call(stub: CacheServiceAsyncStub) -> float:
    begun = time.perf_counter()
    await stub.Invalidate(_REQUEST, timeout=10)
    return (time.perf_counter() - begun) * 1000


async def measure(rounds: int) -> list[Section]:
    """Run so many rounds of 100 calls for each number of processes, in turn."""
    milliseconds: dict[int, list[float]] = {members: [] for members in _MEMBERS}
    async with AsyncExitStack() as stack:
        stubs = {}
        for members in _MEMBERS:
            at = await stack.enter_async_context(stand())
            services: list[MeasuredService] = [serve_cache(at) for _ in range(members)]
            await asyncio.gather(*map(stack.enter_async_context, services))
            channel = grpc.aio.insecure_channel(services[0].address)
            stubs[members] = CacheServiceStub(await stack.enter_async_context(channel))
        for number in range(-1, rounds):
            for members, stub in stubs.items():
                found = [await _call(stub) for _ in range(_CALLS)]
                if number >= 0:  # the first round warms connections and plans
                    milliseconds[members] += found
    medians = {members: statistics.median(found) for members, found in milliseconds.items()}
    return [
        Section(
            title="Invalidate by the number of processes that acknowledge it",
            command=f"python -m benchmarks members --rounds {rounds}",
            about=(
                "Eight tags, one call at a time: the script in Valkey, one look at Postgres, and\n"
                "the acknowledgement of every process, each with its memory on.\n"
                f"{rounds * _CALLS:,} calls for each."
            ),
            columns=("Processes", "Median", "90 % within"),
            rows=[
                (
                    str(members),
                    f"{medians[members]:.2f} ms",
                    f"{statistics.quantiles(found, n=10)[-1]:.2f} ms",
                )
                for members, found in milliseconds.items()
            ],
            bounds=tuple(
                Bound(
                    f"{members} processes, median",
                    f"at most {_BOUND:.0f} ms",
                    f"{medians[members]:.2f} ms",
                    medians[members] <= _BOUND,
                )
                for members in (1, 4)
            ),
        )
    ]
