"""A hit against a bare echo: throughput, latency, and what it asks of the database.

The cache service answers GetAvailability of one barber and day, cached, and the echo the
same request with the same bytes. Each has the same core to itself; h2load, Valkey and
Postgres run on the others. Rounds take turns, and the echo runs twice in each.
"""

import statistics
from collections.abc import Mapping, Sequence

import grpc

from benchmarks import h2load
from benchmarks.hits import (
    FAR,
    METHOD,
    NEAR,
    HitError,
    Hits,
    Response,
    Side,
    Turn,
    check_bytes,
    find_request,
)
from benchmarks.plots import Bar, Bars
from benchmarks.report import Bound, Section
from benchmarks.servers import DATABASE, EchoServer, MeasuredService, serve_cache, stand
from benchmarks.turns import ratio, spread, take_turns
from chairside.cache.v1 import types_pb2
from devstack.statement_log import StatementLog

__all__ = ["measure"]

_WARM_CALLS = 2000
_ECHO, _AGAIN = "echo", "echo again"


def _without_info(response: Response) -> bytes:
    copy = Response()
    copy.CopyFrom(response)
    copy.ClearField("cache_info")
    return copy.SerializeToString(deterministic=True)


async def measure(rounds: int, calls: int) -> list[Section]:
    """Run so many rounds of so many calls each. Raises HitError, DriverError."""
    h2load.program()
    async with stand() as at, serve_cache(at) as near, serve_cache(at, memory_bytes=0) as far:
        log = await StatementLog.start(at.postgres, DATABASE)
        async with grpc.aio.insecure_channel(near.address) as channel:
            request = await find_request(at, channel)
        hits = [Hits(NEAR, near, "near", types_pb2.SOURCE_NEAR)]
        hits.append(Hits(FAR, far, "hit", types_pb2.SOURCE_REDIS))
        before = await hits[1].check(request)
        async with EchoServer(before.SerializeToString(), at.directory, at.server_core) as echo:
            message = request.SerializeToString()
            servers: dict[str, EchoServer | MeasuredService]
            servers = {_ECHO: echo, NEAR: near, FAR: far, _AGAIN: echo}
            for server in servers.values():
                await h2load.drive(server.address, METHOD, message, calls=_WARM_CALLS)
            log.take()
            for one in hits:
                one.start()
            sides = {name: Side(server, message, calls) for name, server in servers.items()}
            turns = {name: side.turn for name, side in sides.items()}
            found = await take_turns("hit", rounds, turns)
            statements = sum(map(len, log.take()))
        size = len(before.SerializeToString())
        for one in hits:
            one.hold(rounds * calls)
            if _without_info(before) != _without_info(await one.check(request)):
                text = f"{one.name}: the answer is not what it was"
                raise HitError(text)
        for turns_of_side in found.values():
            check_bytes(turns_of_side, calls, size)
    return [_section(found, size, statements, rounds, calls)]


def _section(
    found: Mapping[str, Sequence[Turn]], size: int, statements: int, rounds: int, calls: int
) -> Section:
    rates = {name: [one.round.rate for one in turns] for name, turns in found.items()}
    latencies = {name: [one.round.latency for one in turns] for name, turns in found.items()}
    cpus = {name: [one.cpu / calls * 1e6 for one in turns] for name, turns in found.items()}
    of_rate = {name: ratio(its, rates[_ECHO]) for name, its in rates.items()}
    of_latency = {name: ratio(its, latencies[_ECHO]) for name, its in latencies.items()}
    rows = [
        (
            name,
            f"{statistics.median(rates[name]):,.0f}",
            f"{of_rate[name]:.2f}",
            spread([one / echo for one, echo in zip(rates[name], rates[_ECHO], strict=True)]),
            f"{statistics.median(latencies[name]) * 1000:.2f} ms",
            f"{of_latency[name]:.2f}",
            f"{statistics.fmean(cpus[name]):.0f}",
            f"{statistics.fmean(cpus[name]) / statistics.fmean(cpus[_ECHO]):.2f}",
        )
        for name in found
    ]
    return Section(
        title="A hit against a bare echo",
        command=f"python -m benchmarks hit --rounds {rounds} --calls {calls}",
        about=(
            "GetAvailability of one barber and day, cached in the process's memory and only in\n"
            "Valkey, against a bare grpc.aio\n"
            f"server that answers the same request with the same {size} bytes. 4 connections\n"
            f"with 8 calls each, {rounds} rounds of {calls:,} calls for each side, the server\n"
            "alone on its core. Every answer was a hit, by the service's own counts and by its\n"
            "bytes. Ratios are the medians of each round's; the middle half of the rounds lay so\n"
            "far from the first. CPU is what the server's process spent in user and kernel mode,\n"
            "in microseconds a call; Valkey's is not in it. `echo again` is the echo against\n"
            "itself: the noise."
        ),
        columns=(
            "",
            "Calls a second",
            "Of the echo",
            "Middle half",
            "Median latency",
            "Of the echo",
            "CPU",
            "Of the echo",
        ),
        rows=rows,
        bounds=(
            Bound.at_least("in Redis, of the throughput", 0.7, of_rate[FAR]),
            Bound.at_least("in memory, of the throughput", 0.9, of_rate[NEAR]),
            Bound.at_most("in memory, of the latency", 1.15, of_latency[NEAR]),
            Bound("statements of hits in Postgres", "0", str(statements), statements == 0),
        ),
        plots=(
            Bars(
                "hit",
                "Calls a second on one core",
                "median of the rounds",
                [
                    Bar(name, statistics.median(its), group=number if name != _AGAIN else 0)
                    for number, (name, its) in enumerate(rates.items())
                ],
            ),
        ),
    )
