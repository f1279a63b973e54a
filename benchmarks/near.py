"""Hits in the client's near cache, against the peer that keeps values in the process as well.

cashews, client side, keeps what it read from Redis in the process and is told by Redis of what
is written. Both are awaited in a loop as a program would, in one process; sides take turns.
"""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import uvloop
from cashews import Cache
from google.protobuf.json_format import MessageToDict
from grpc.aio import insecure_channel

from benchmarks.errors import BenchmarkError
from benchmarks.hits import find_request
from benchmarks.plots import Bar, Bars
from benchmarks.report import Bound, Section
from benchmarks.servers import MeasuredService, Stand, serve_cache, stand
from benchmarks.turns import ratio, spread, take_turns
from cache_service.client import CacheClient
from chairside.cache.v1.cache_service_pb2 import GetAvailabilityRequest, GetAvailabilityResponse

__all__ = ["measure"]

_MICROSECONDS, _CHEAPER = 3.0, 8.0
_STALENESS_SECONDS = 30
_HITS, _GETS = 2000, 300
"""In a row: as many as take about two milliseconds."""
_TTL = 24 * 3600
_PAUSE = 0.01
"""Seconds before each block, so that both sides hear what they are told."""
_TRIES = 500
_OURS, _AGAIN, _PEER = "near cache of the client", "the same again", "cashews, client side"


async def measure(rounds: int) -> list[Section]:
    """Measure so many rounds of a block of hits of each side. Raises BenchmarkError."""
    async with stand() as at, serve_cache(at) as service:
        # In a loop like the services'.
        return await asyncio.to_thread(uvloop.run, _measure(at, service, rounds))


async def _measure(at: Stand, service: MeasuredService, rounds: int) -> list[Section]:
    async with insecure_channel(service.address) as channel:
        request = await find_request(at, channel)
    request.consistency.max_staleness.seconds = _STALENESS_SECONDS
    async with CacheClient(service.address) as client:
        answer = await client.get_availability(request)
        async with _cashews(at, answer) as (peer, key):
            sides: dict[str, Callable[[], Awaitable[float]]] = {
                _OURS: partial(_ours, client, request),
                _PEER: partial(_theirs, peer, key),
                _AGAIN: partial(_ours, client, request),
            }
            await take_turns("to warm all", 1, sides)
            found = await take_turns("near", rounds, sides)
    return [_section(found, rounds)]


@asynccontextmanager
async def _cashews(at: Stand, answer: GetAvailabilityResponse) -> AsyncIterator[tuple[Cache, str]]:
    """Store the answer there, as plain lists and figures; return the cache and the key."""
    cache, key = Cache(), "availability:barber:7:service:3:date:2018-05-24"
    cache.setup(at.valkey.url, client_side=True, suppress=False)
    await cache.init()
    try:
        await cache.set(key, MessageToDict(answer), expire=_TTL)
        yield cache, key
    finally:
        await cache.close()


async def _ours(client: CacheClient, request: GetAvailabilityRequest) -> float:
    """Return the microseconds of a hit in a block of which all were hits."""
    for _ in range(_TRIES):
        await asyncio.sleep(_PAUSE)
        await client.get_availability(request)
        turned = _turned()
        begun = time.perf_counter()
        for _ in range(_HITS):
            await client.get_availability(request)
        seconds = time.perf_counter() - begun
        if not turned:  # nothing else ran meanwhile, so nobody waited for a call
            return seconds / _HITS * 1e6
    message = "the near cache keeps nothing"
    raise BenchmarkError(message)


async def _theirs(cache: Cache, key: str) -> float:
    """Return the microseconds of a get in a block of which all were hits."""
    await asyncio.sleep(_PAUSE)
    if await cache.get(key) is None:
        message = f"{_PEER}: a get found nothing"
        raise BenchmarkError(message)
    turned = _turned()
    begun = time.perf_counter()
    for _ in range(_GETS):
        await cache.get(key)
    seconds = time.perf_counter() - begun
    if turned:
        message = f"{_PEER}: a get waited for Redis"
        raise BenchmarkError(message)
    return seconds / _GETS * 1e6


def _turned() -> list[object]:
    """Return a list that is empty until the event loop has had a turn."""
    turned: list[object] = []
    asyncio.get_running_loop().call_soon(turned.append, None)
    return turned


def _section(found: dict[str, list[float]], rounds: int) -> Section:
    rows = [
        (name, f"{statistics.median(one):.2f}", spread(one), f"{ratio(one, found[_OURS]):.2f}")
        for name, one in found.items()
    ]
    return Section(
        title="Hits in the client's near cache",
        command=f"python -m benchmarks near --rounds {rounds}",
        about=(
            "Microseconds of `await client.get_availability(request)`, one barber's day that may\n"
            f"be {_STALENESS_SECONDS} s old, and of `await cache.get(key)`, whose key is made\n"
            "beforehand and whose value is the same answer as plain lists and figures.\n"
            f"{rounds} rounds of {_HITS:,} and {_GETS} in a row, in turn; none of them left the\n"
            "process. Ours of one hundredth of a second share a message. `Times` are medians of\n"
            "the rounds'; the same again is the noise."
        ),
        columns=("", "Microseconds", "Middle half", "Times"),
        rows=rows,
        bounds=(
            Bound.at_most(
                "microseconds of a near hit", _MICROSECONDS, statistics.median(found[_OURS])
            ),
            Bound.at_least(
                f"times cheaper than {_PEER}", _CHEAPER, ratio(found[_PEER], found[_OURS])
            ),
        ),
        plots=(
            Bars(
                "near",
                "A hit within the process",
                "microseconds",
                [
                    Bar(name, statistics.median(found[name]), int(name == _PEER))
                    for name in (_OURS, _PEER)
                ],
            ),
        ),
    )
