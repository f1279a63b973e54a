"""A hit against a bare echo: throughput, latency, and what it asks of the database.

The cache service answers GetAvailability of one barber and day, cached, and the echo the
same request with the same bytes. Each has the same core to itself; h2load, Valkey and
Postgres run on the others. Rounds take turns, and the echo runs twice in each.
"""

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import attrgetter

import asyncpg
import grpc
from google.type.date_pb2 import Date

from benchmarks import h2load
from benchmarks.report import Bound, Section
from benchmarks.servers import DATABASE, EchoServer, MeasuredService, Stand, serve_cache, stand
from chairside.cache.v1 import cache_service_pb2, types_pb2
from chairside.cache.v1.cache_service_pb2_grpc import CacheServiceStub
from devstack.statement_log import StatementLog

__all__ = ["HitError", "find_request", "measure"]

METHOD = "/chairside.cache.v1.CacheService/GetAvailability"
_MIN_SLOTS = 12
_AGE_BYTES = 16
"""By so much `cache_info.age` may make two answers differ in length."""
_WARM_CALLS = 2000
_NEAR, _FAR = "hit in memory", "hit in Redis"
_rate, _latency = attrgetter("rate"), attrgetter("latency")

Request = cache_service_pb2.GetAvailabilityRequest
Response = cache_service_pb2.GetAvailabilityResponse


class HitError(Exception):
    """Say which call was not the hit that it should have been."""


@dataclass(slots=True)
class _Side:
    address: str
    rounds: list[h2load.Round] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return statistics.median(one.rate for one in self.rounds)

    @property
    def latency(self) -> float:
        return statistics.median(one.latency for one in self.rounds)


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


class _Hits:
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

    def hold(self, made: int) -> None:
        """Check that there were exactly so many calls, all OK and all such hits."""
        answered, hits = (
            late - early for late, early in zip(self._counts(), self._before, strict=True)
        )
        if (answered, hits) != (made, made):
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
        hits = [_Hits(_NEAR, near, "near", types_pb2.SOURCE_NEAR)]
        hits.append(_Hits(_FAR, far, "hit", types_pb2.SOURCE_REDIS))
        before = await hits[1].check(request)
        async with EchoServer(before.SerializeToString(), at.directory, at.server_core) as echo:
            sides = {"echo": _Side(echo.address)}
            sides |= {one.name: _Side(one.service.address) for one in hits}
            sides["echo again"] = _Side(echo.address)
            message = request.SerializeToString()
            for side in sides.values():
                await h2load.drive(side.address, METHOD, message, calls=_WARM_CALLS)
            log.take()
            for one in hits:
                one.start()
            await _take_turns(sides, message, rounds, calls)
            statements = sum(map(len, log.take()))
        size = len(before.SerializeToString())
        for one in hits:
            one.hold(rounds * calls)
            if _without_info(before) != _without_info(await one.check(request)):
                text = f"{one.name}: the answer is not what it was"
                raise HitError(text)
            _check_bytes(sides[one.name], calls, size)
    return [_section(sides, size, statements, rounds, calls)]


async def _take_turns(sides: dict[str, _Side], message: bytes, rounds: int, calls: int) -> None:
    order = list(sides.values())
    for number in range(rounds):
        # A different one comes first each time, for the machine tires.
        for side in order[number % len(order) :] + order[: number % len(order)]:
            side.rounds.append(await h2load.drive(side.address, METHOD, message, calls=calls))


def _check_bytes(side: _Side, calls: int, size: int) -> None:
    """Hold the bytes of every round against one real answer: an error would have none."""
    expected = size + len(h2load.frame(b""))
    for one in side.rounds:
        if abs(one.data_bytes / calls - expected) > _AGE_BYTES:
            message = f"answers had {one.data_bytes / calls:.1f} bytes, not {expected}"
            raise HitError(message)


def _ratio(sides: dict[str, _Side], name: str, figure: Callable[[h2load.Round], float]) -> float:
    """Return the median over the rounds of a side's figure over the echo's."""
    pairs = zip(sides[name].rounds, sides["echo"].rounds, strict=True)
    return statistics.median(figure(one) / figure(echo) for one, echo in pairs)


def _section(
    sides: dict[str, _Side], size: int, statements: int, rounds: int, calls: int
) -> Section:
    rows = [
        (
            name,
            f"{side.rate:,.0f}",
            f"{_ratio(sides, name, _rate):.2f}",
            f"{side.latency * 1000:.2f} ms",
            f"{_ratio(sides, name, _latency):.2f}",
        )
        for name, side in sides.items()
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
            "bytes. `echo again` is the echo against itself: the noise."
        ),
        columns=("", "Calls a second", "Of the echo", "Median latency", "Of the echo"),
        rows=rows,
        bounds=(
            Bound.at_least("in Redis, of the throughput", 0.55, _ratio(sides, _FAR, _rate)),
            Bound.at_most("in Redis, of the latency", 2.1, _ratio(sides, _FAR, _latency)),
            Bound.at_least("in memory, of the throughput", 0.7, _ratio(sides, _NEAR, _rate)),
            Bound.at_most("in memory, of the latency", 1.5, _ratio(sides, _NEAR, _latency)),
            Bound("statements of hits in Postgres", "0", str(statements), statements == 0),
        ),
    )
