"""Latency at fixed rates: what callers see who come when they come.

The echo, hits in memory and hits in Redis are asked at the same rates, until each breaks;
at a thousand calls a second with twenty invalidations a second as well, once of other days
and once of the very day that is asked for.
"""

from __future__ import annotations

import statistics
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    nullcontext,
)
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from itertools import count

import grpc

from benchmarks.errors import BenchmarkError
from benchmarks.hits import AGE_BYTES, FAR, METHOD, NEAR, Hits, find_request
from benchmarks.invalidate import booking, invalidating
from benchmarks.open_loop import Found, Job, percentile
from benchmarks.plots import Line, Plot
from benchmarks.programs import run
from benchmarks.report import Bound, Section
from benchmarks.servers import EchoServer, serve_cache, stand
from benchmarks.turns import ratio, take_turns
from chairside.cache.v1 import cache_service_pb2, types_pb2
from chairside.cache.v1.cache_service_pb2_grpc import CacheServiceStub

__all__ = ["measure"]

_RATES = (100, 500, 1000, 1500, 2000, 2500, 3000, 4000)
_RATE = 1000
_INVALIDATIONS = 20
_CONNECTIONS = 4
_BROKEN = 100.0
"""Milliseconds of p99 above which a side is asked at no higher rate."""
_TIMES = 1.5
_ECHO, _AGAIN = "echo", "echo again"
_OTHERS, _OWN = "hit in memory, other days invalidated", "hit in memory, its day invalidated"

Turn = Callable[[float], Awaitable[Found]]
"""A round of a side, at a rate."""


@dataclass(frozen=True, slots=True)
class _Driver:
    """Calls one method with one message, from a process of its own."""

    message: bytes
    size: int
    seconds: float
    seeds: Iterator[int]

    async def drive(self, address: str, rate: float) -> Found:
        """Call at that rate. Raises BenchmarkError if the driver fails."""
        job = Job(
            address,
            METHOD,
            self.message.hex(),
            self.size,
            AGE_BYTES,
            rate,
            self.seconds,
            _CONNECTIONS,
            next(self.seeds),
        )
        return Found(**await run("benchmarks.open_loop", job))


@dataclass(frozen=True, slots=True)
class _Cached:
    """A service that answers with hits, and proof that it does nothing else."""

    hits: Hits
    request: cache_service_pb2.GetAvailabilityRequest
    driver: _Driver
    invalidating: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
    misses: bool = False

    async def turn(self, rate: float) -> Found:
        """Call at that rate, meanwhile invalidating what is to be."""
        await self.hits.check(self.request)
        self.hits.start()
        async with self.invalidating():
            found = await self.driver.drive(self.hits.service.address, rate)
        if not found.failed:
            self.hits.hold(len(found.milliseconds), misses=self.misses)
        return found


async def measure(rounds: int, seconds: float) -> list[Section]:
    """Run so many rounds of so many seconds for each side. Raises BenchmarkError."""
    async with AsyncExitStack() as stack:
        at = await stack.enter_async_context(stand())
        near = await stack.enter_async_context(serve_cache(at))
        far = await stack.enter_async_context(serve_cache(at, memory_bytes=0))
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(near.address))
        request = await find_request(at, channel)
        stub = CacheServiceStub(channel)
        hits = Hits(NEAR, near, "near", types_pb2.SOURCE_NEAR)
        far_hits = Hits(FAR, far, "hit", types_pb2.SOURCE_REDIS)
        answer = (await hits.check(request)).SerializeToString()
        await far_hits.check(request)
        driver = _Driver(request.SerializeToString(), len(answer), seconds, count(1))
        barber, service, day = request.barber_ids[0], request.service_id, request.start_date
        asked = date(day.year, day.month, day.day)
        own = [booking(at.organization_id, barber, service, asked)]
        others = [
            booking(at.organization_id, barber, service, asked + timedelta(days=ahead))
            for ahead in range(100, 200)
        ]
        echo = await stack.enter_async_context(EchoServer(answer, at.directory, at.server_core))
        bare = partial(driver.drive, echo.address)
        sides: dict[str, Turn] = {
            _ECHO: bare,
            NEAR: _Cached(hits, request, driver).turn,
            FAR: _Cached(far_hits, request, driver).turn,
        }
        by_rate = await _rates(sides, max(1, rounds // 2))
        during = partial(invalidating, stub, _INVALIDATIONS)
        sides = {
            _ECHO: bare,
            NEAR: sides[NEAR],
            _OTHERS: _Cached(hits, request, driver, partial(during, others)).turn,
            _OWN: _Cached(hits, request, driver, partial(during, own), misses=True).turn,
            _AGAIN: bare,
        }
        turns = {name: partial(turn, _RATE) for name, turn in sides.items()}
        invalidated = await take_turns("with invalidations", rounds, turns)
    for name, found in invalidated.items():
        if failed := sum(one.failed for one in found):
            message = f"{name}: {failed} calls at {_RATE}/s were not answered as they should be"
            raise BenchmarkError(message)
    command = f"python -m benchmarks latency --rounds {rounds} --seconds {seconds:g}"
    return [_by_rate(by_rate, len(answer), seconds, command), _invalidated(invalidated, command)]


async def _rates(sides: Mapping[str, Turn], rounds: int) -> dict[int, dict[str, list[Found]]]:
    """Ask every side at every rate, until it breaks."""
    found = {}
    whole = dict(sides)
    for rate in _RATES:
        turns = {name: partial(turn, rate) for name, turn in whole.items()}
        found[rate] = await take_turns(f"{rate} calls a second", rounds, turns)
        for name, its in found[rate].items():
            if any(one.failed for one in its) or _middle(its, 99) > _BROKEN:
                del whole[name]
        if not whole:
            break
    return found


def _middle(found: Sequence[Found], percent: float) -> float:
    """Return the median over the rounds of a percentile of each."""
    return statistics.median(percentile(one.milliseconds, percent) for one in found)


def _cells(found: Sequence[Found]) -> tuple[str, ...]:
    pooled = [time for one in found for time in one.milliseconds]
    late = percentile([time for one in found for time in one.late], 99)
    return (
        f"{_middle(found, 50):.2f} ms",
        f"{_middle(found, 99):.2f} ms",
        f"{percentile(pooled, 99.9):.2f} ms",
        f"{sum(one.failed for one in found):,} of {sum(len(one.late) for one in found):,}",
        f"{late:.2f} ms",
        f"{statistics.median(one.busy for one in found):.0%}",
    )


_COLUMNS = ("p50", "p99", "p99.9", "Failed", "Sent late, p99", "Driver busy")


def _by_rate(
    found: Mapping[int, Mapping[str, Sequence[Found]]], size: int, seconds: float, command: str
) -> Section:
    kept = [(rate, name, its) for rate, by_name in found.items() for name, its in by_name.items()]
    lines = [
        Line(
            f"{label}, p{percent}",
            [
                (rate, _middle(its, percent))
                for rate, name, its in kept
                if name == side and not any(one.failed for one in its)
            ],
        )
        for side, label in ((_ECHO, "echo"), (NEAR, "in memory"), (FAR, "in Redis"))
        for percent in (50, 99)
    ]
    return Section(
        title="Latency at fixed rates",
        command=command,
        about=(
            "Calls that come when they come (Poisson), each timed from the instant at which it\n"
            "was due: what a server keeps waiting counts. One service on one core answers the\n"
            f"same {size} bytes as the echo; the driver shares the other with Valkey. Rounds of\n"
            f"{seconds:g} s take turns; p50 and p99 are the medians of the rounds', p99.9 is that\n"
            "of all calls. A side that fails, or whose p99 passes 100 ms, is asked at no higher\n"
            "rate. The last two columns say that the driver is not what is measured: how late it\n"
            "sent a call, which counts against the server, and the share of its core."
        ),
        columns=("Calls a second", "", *_COLUMNS),
        rows=[(f"{rate:,}", name, *_cells(its)) for rate, name, its in kept],
        bounds=(),
        plots=(
            Plot(
                "latency",
                "Latency at fixed rates",
                "calls a second",
                "milliseconds",
                [line for line in lines if line.points],
                log_y=True,
            ),
        ),
    )


def _invalidated(found: Mapping[str, Sequence[Found]], command: str) -> Section:
    p99 = {name: [percentile(one.milliseconds, 99) for one in its] for name, its in found.items()}
    return Section(
        title=f"Latency at {_RATE:,} calls a second with {_INVALIDATIONS} invalidations a second",
        command=command,
        about=(
            "As before. The same service takes the invalidations: of bookings on other days, so\n"
            "that every answer is a hit, and of bookings on the very day that all ask for, so\n"
            "that each one empties the only answer: whoever comes then waits for one load.\n"
            "Ratios are medians of the rounds'. `echo again` is the noise."
        ),
        columns=("", *_COLUMNS, "p99 of the echo's"),
        rows=[
            (name, *_cells(its), f"{ratio(p99[name], p99[_ECHO]):.2f}")
            for name, its in found.items()
        ],
        bounds=(
            Bound.at_most(
                "times the echo's p99, other days invalidated",
                _TIMES,
                ratio(p99[_OTHERS], p99[_ECHO]),
            ),
        ),
    )
