"""What a hit costs by what there is besides it: entries, callers and invalidations.

Cost is the CPU that the service's process spends on a call, and what that leaves of its
throughput. One service on one core; sides take turns within one run.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import grpc

from benchmarks.hits import FAR, NEAR, Hits, Request, Side, Turn, check_bytes, find_request
from benchmarks.invalidate import booking, invalidating
from benchmarks.plots import Line, Plot
from benchmarks.report import Section
from benchmarks.servers import EchoServer, MeasuredService, Stand, serve_cache, stand
from benchmarks.shelf import open_shelf
from benchmarks.turns import ratio, take_turns
from chairside.cache.v1 import types_pb2
from chairside.cache.v1.cache_service_pb2_grpc import CacheServiceStub

if TYPE_CHECKING:
    from chairside.cache.v1.cache_service_pb2_grpc import CacheServiceAsyncStub

__all__ = ["measure"]

_ENTRIES = (1, 10_000, 1_000_000)
_CALLERS = {1: (1, 1), 8: (2, 4), 32: (4, 8), 128: (8, 16), 512: (16, 32)}
"""Connections, and calls at once on each."""
_INVALIDATIONS = (0, 10, 100)
_CALLERS_SHARE = 4
"""By so much fewer are the rounds of each number of callers: there are more sides."""
_ECHO = "echo"

Found = Mapping[str, Sequence[Turn]]


@dataclass(frozen=True, slots=True)
class _Invalidated:
    """A side of which other days are invalidated meanwhile, so many times a second."""

    side: Side
    stub: CacheServiceAsyncStub
    at: Stand
    rate: int

    async def turn(self) -> Turn:
        if not self.rate:
            return await self.side.turn()
        first = date(2031, 1, 1)
        days = [first + timedelta(days=offset) for offset in range(100)]
        events = [booking(self.at.organization_id, 1, 1, day) for day in days]
        async with invalidating(self.stub, self.rate, events):
            return await self.side.turn()


async def measure(rounds: int, calls: int) -> list[Section]:
    """Run so many rounds of so many calls for each side. Raises BenchmarkError."""
    command = f"python -m benchmarks cost --rounds {rounds} --calls {calls}"
    async with AsyncExitStack() as stack:
        by_entries = await _entries(rounds, calls)
        at = await stack.enter_async_context(stand())
        near = await stack.enter_async_context(serve_cache(at))
        far = await stack.enter_async_context(serve_cache(at, memory_bytes=0))
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(near.address))
        request = await find_request(at, channel)
        hits = [_hits(near, NEAR), _hits(far, FAR)]
        answers = [(await one.check(request)).SerializeToString() for one in hits]
        echo = await stack.enter_async_context(EchoServer(answers[0], at.directory, at.server_core))
        servers: dict[str, EchoServer | MeasuredService] = {_ECHO: echo, NEAR: near, FAR: far}
        message = request.SerializeToString()
        for one in hits:
            one.start()
        few = max(1, rounds // _CALLERS_SHARE)
        by_callers = await _callers(servers, message, few, calls)
        stub = CacheServiceStub(channel)
        sides = {
            f"{name}, {rate}": _Invalidated(Side(servers[name], message, calls), stub, at, rate)
            for name in (NEAR, FAR)
            for rate in _INVALIDATIONS
        }
        turns = {name: side.turn for name, side in sides.items()}
        by_invalidations = await take_turns("with invalidations", rounds, turns)
        for one in hits:
            one.hold(calls * ((few + 1) * len(_CALLERS) + rounds * len(_INVALIDATIONS)))
        for found in (by_callers, by_invalidations):
            for its in found.values():
                check_bytes(its, calls, len(answers[0]))
    return [
        _of_entries(by_entries, calls, command),
        _of_callers(by_callers, calls, command),
        _of_invalidations(by_invalidations, calls, command),
    ]


def _hits(service: MeasuredService, name: str) -> Hits:
    if name == NEAR:
        return Hits(NEAR, service, "near", types_pb2.SOURCE_NEAR)
    return Hits(FAR, service, "hit", types_pb2.SOURCE_REDIS)


async def _entries(rounds: int, calls: int) -> Found:
    """Ask services with so many entries in a Valkey of their own."""
    async with AsyncExitStack() as stack:
        turns, asked = {}, list[tuple[Hits, Request, int]]()
        for entries in _ENTRIES:
            at = await stack.enter_async_context(stand())
            service = await stack.enter_async_context(serve_cache(at, memory_bytes=0))
            async with grpc.aio.insecure_channel(service.address) as channel:
                request = await find_request(at, channel)
            hits = _hits(service, FAR)
            size = len((await hits.check(request)).SerializeToString())
            if entries > 1:
                print(f"storing {entries:,} entries", flush=True)
                async with open_shelf(at) as shelf:
                    await shelf.crowd(entries)
            side = Side(service, request.SerializeToString(), calls)
            turns[f"{entries:,}"] = side.turn
            if len(asked) == 0:
                turns[f"{entries:,} again"] = side.turn
            asked.append((hits, request, size))
            await side.turn()  # to warm it
            hits.start()
        found = await take_turns("by entries", rounds, turns)
        for number, (hits, _request, size) in enumerate(asked):
            hits.hold(rounds * calls * (1 if number else 2))
            check_bytes(found[f"{_ENTRIES[number]:,}"], calls, size)
    return found


async def _callers(
    servers: Mapping[str, EchoServer | MeasuredService], message: bytes, rounds: int, calls: int
) -> Found:
    turns = {
        f"{name}, {callers}": Side(server, message, calls, connections, streams).turn
        for callers, (connections, streams) in _CALLERS.items()
        for name, server in servers.items()
    }
    await take_turns("to warm all", 1, turns)
    return await take_turns("by callers", rounds, turns)


def _rate(turns: Sequence[Turn]) -> float:
    return statistics.median(turn.round.rate for turn in turns)


def _latency(turns: Sequence[Turn]) -> float:
    return statistics.median(turn.round.latency for turn in turns) * 1000


def _cpu(turns: Sequence[Turn], calls: int) -> float:
    return statistics.fmean(turn.cpu for turn in turns) / calls * 1e6


def _ratio(one: Sequence[Turn], other: Sequence[Turn]) -> float:
    return ratio([turn.round.rate for turn in one], [turn.round.rate for turn in other])


def _of_entries(found: Found, calls: int, command: str) -> Section:
    first = f"{_ENTRIES[0]:,}"
    return Section(
        title="A hit in Redis by the number of entries",
        command=command,
        about=(
            "Services without memory, each with so many entries in a Valkey of its own, asked for\n"
            "one of them by 32 callers. CPU is the service's, in microseconds a call; Valkey's\n"
            "is not in it, but its delay is in the calls a second."
        ),
        columns=("Entries", "Calls a second", "Of the first", "CPU"),
        rows=[
            (
                name,
                f"{_rate(its):,.0f}",
                f"{_ratio(its, found[first]):.2f}",
                f"{_cpu(its, calls):.0f}",
            )
            for name, its in found.items()
        ],
        bounds=(),
        plots=(
            Plot(
                "entries",
                "Hits in Redis by the number of entries",
                "entries",
                "calls a second",
                [Line(FAR, [(entries, _rate(found[f"{entries:,}"])) for entries in _ENTRIES])],
                log_x=True,
            ),
        ),
    )


def _of_callers(found: Found, calls: int, command: str) -> Section:
    sides = (_ECHO, NEAR, FAR)
    return Section(
        title="A hit by the number of callers",
        command=command,
        about=(
            "So many calls under way at once, on 1 to 16 connections. Latency is what so many\n"
            "callers make of one core: each waits for those before it. CPU in microseconds a call."
        ),
        columns=("Callers", "", "Calls a second", "Of the echo", "Median latency", "CPU"),
        rows=[
            (
                f"{callers}",
                side,
                f"{_rate(its):,.0f}",
                f"{_ratio(its, found[f'{_ECHO}, {callers}']):.2f}",
                f"{_latency(its):.2f} ms",
                f"{_cpu(its, calls):.0f}",
            )
            for callers in _CALLERS
            for side in sides
            for its in [found[f"{side}, {callers}"]]
        ],
        bounds=(),
        plots=(
            Plot(
                "callers",
                "Throughput by the number of callers",
                "callers",
                "calls a second",
                [
                    Line(
                        side,
                        [(callers, _rate(found[f"{side}, {callers}"])) for callers in _CALLERS],
                    )
                    for side in sides
                ],
                log_x=True,
            ),
        ),
    )


def _of_invalidations(found: Found, calls: int, command: str) -> Section:
    return Section(
        title="A hit by the invalidations a second",
        command=command,
        about=(
            "32 callers at full speed, and meanwhile so many bookings a second on other days, all\n"
            "told to the service in memory: the one in Redis only acknowledges them. CPU, which\n"
            "theirs is part of, in microseconds a call."
        ),
        columns=("Invalidations a second", "", "Calls a second", "Of none", "CPU"),
        rows=[
            (
                f"{rate}",
                side,
                f"{_rate(its):,.0f}",
                f"{_ratio(its, found[f'{side}, 0']):.2f}",
                f"{_cpu(its, calls):.0f}",
            )
            for rate in _INVALIDATIONS
            for side in (NEAR, FAR)
            for its in [found[f"{side}, {rate}"]]
        ],
        bounds=(),
        plots=(
            Plot(
                "invalidations",
                "Throughput by the invalidations a second",
                "invalidations a second",
                "calls a second",
                [
                    Line(side, [(rate, _rate(found[f"{side}, {rate}"])) for rate in _INVALIDATIONS])
                    for side in (NEAR, FAR)
                ],
            ),
        ),
    )
