"""A hit against a bare echo: throughput, latency, and what it asks of the database.

The cache service answers GetAvailability of one barber and day, cached, and the echo the
same request with the same bytes. Each has the same core to itself; h2load, Valkey and
Postgres run on the others. Rounds take turns, and the echo runs twice in each.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg
import grpc
from google.type.date_pb2 import Date

from benchmarks import h2load
from benchmarks.errors import BenchmarkError
from benchmarks.plots import Bar, Bars
from benchmarks.report import Bound, Section
from benchmarks.servers import (
    DATABASE,
    EchoServer,
    MeasuredService,
    Stand,
    cpu_seconds,
    serve_cache,
    stand,
)
from benchmarks.turns import ratio, spread, take_turns
from chairside.cache.v1 import cache_service_pb2, types_pb2
from chairside.cache.v1.cache_service_pb2_grpc import CacheServiceStub
from devstack.statement_log import StatementLog

__all__ = [
    "AGE_BYTES",
    "FAR",
    "METHOD",
    "NEAR",
    "HitError",
    "Hits",
    "Side",
    "Turn",
    "check_bytes",
    "find_request",
    "measure",
]

METHOD = "/chairside.cache.v1.CacheService/GetAvailability"
_MIN_SLOTS = 12
AGE_BYTES = 16
"""By so much `cache_info.age` may make two answers differ in length."""
_WARM_CALLS = 2000
NEAR, FAR = "hit in memory", "hit in Redis"
_ECHO, _AGAIN = "echo", "echo again"

Request = cache_service_pb2.GetAvailabilityRequest
Response = cache_service_pb2.GetAvailabilityResponse


class HitError(BenchmarkError):
    """Say which call was not the hit that it should have been."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What a round saw of a side, and the seconds of CPU that its server spent on it."""

    round: h2load.Round
    cpu: float


@dataclass(frozen=True, slots=True)
class Side:
    """A server that is called, the same number of times in each round."""

    server: EchoServer | MeasuredService
    message: bytes
    calls: int
    connections: int = 4
    streams: int = 8

    async def turn(self) -> Turn:
        """Make the calls, so many at once on each connection."""
        before = cpu_seconds(self.server)
        found = await h2load.drive(
            self.server.address,
            METHOD,
            self.message,
            calls=self.calls,
            connections=self.connections,
            streams=self.streams,
        )
        return Turn(found, cpu_seconds(self.server) - before)


async def find_request(at: Stand, channel: grpc.aio.Channel) -> Request:
    """Return the request for a barber's day with at least a dozen free slots, now cached."""
    stub = CacheServiceStub(channel)
    connection = await asyncpg.connect(at.url)
    offers = await connection.fetch(
        "SELECT barber_id, service_id FROM barber_services JOIN barbers b ON b.id = barber_id "
        "WHERE b.organization_id = $1 AND offered AND active ORDER BY 1, 2 LIMIT 20",
        at.organization_id,
    )
    await connection.close()
    today = datetime.now(UTC).date()
    for barber_id, service_id in offers:
        for offset in range(2, 30):
            day = today + timedelta(days=offset)
            request = Request(
                organization_id=at.organization_id,
                barber_ids=[barber_id],
                service_id=service_id,
                start_date=Date(year=day.year, month=day.month, day=day.day),
            )
            response = await stub.GetAvailability(request, timeout=10)
            if len(response.barbers[0].slots) >= _MIN_SLOTS:
                return request
    message = "the generated shop has no day with enough free slots"
    raise HitError(message)


class Hits:
    """A service that answers with one kind of hit, and proof that it did nothing else."""

    def __init__(self, name: str, service: MeasuredService, outcome: str, source: int) -> None:
        self.name = name
        self.service = service
        self._outcome = outcome
        self._source = source
        self._before = (0, 0)

    async def check(self, request: Request) -> Response:
        """Ask as a client does: the second answer must be such a hit."""
        async with grpc.aio.insecure_channel(self.service.address) as channel:
            for _ in range(2):
                response: Response = await CacheServiceStub(channel).GetAvailability(
                    request, timeout=10
                )
        if response.cache_info.source != self._source:
            source = types_pb2.Source.Name(response.cache_info.source)
            message = f"{self.name}: the answer came from {source}"
            raise HitError(message)
        return response

    def start(self) -> None:
        """Count from here."""
        self._before = self._counts()

    def hold(self, made: int, *, misses: bool = False) -> None:
        """Check that there were exactly so many calls, all OK and, but for misses, such hits."""
        answered, hits = (
            late - early for late, early in zip(self._counts(), self._before, strict=True)
        )
        if answered != made or (hits != made and not misses):
            message = f"{self.name}: of {made:,} calls {answered:,} were OK, {hits:,} hits"
            raise HitError(message)

    def _counts(self) -> tuple[int, int]:
        """Return the calls answered OK and the entries so answered, as the service counts."""
        answered = hits = 0.0
        for sample in self.service.counts():
            labels = sample.labels
            if sample.name == "grpc_server_handled_total" and labels["grpc_code"] == "OK":
                answered += sample.value * (labels["grpc_method"] == "GetAvailability")
            elif sample.name == "chairside_cache_reads_total":
                hits += sample.value * (
                    labels["query"] == "availability" and labels["outcome"] == self._outcome
                )
        return int(answered), int(hits)


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


def check_bytes(turns: Sequence[Turn], calls: int, size: int) -> None:
    """Hold the bytes of every round against one real answer: an error would have none."""
    expected = size + len(h2load.frame(b""))
    for turn in turns:
        if abs(turn.round.data_bytes / calls - expected) > AGE_BYTES:
            message = f"answers had {turn.round.data_bytes / calls:.1f} bytes, not {expected}"
            raise HitError(message)


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
