"""Services that answer with hits: how they are asked, and proof that all were hits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg
import grpc
from google.type.date_pb2 import Date

from benchmarks import h2load
from benchmarks.errors import BenchmarkError
from benchmarks.servers import EchoServer, MeasuredService, Stand, cpu_seconds
from chairside.cache.v1 import cache_service_pb2, types_pb2
from chairside.cache.v1.cache_service_pb2_grpc import CacheServiceStub

__all__ = [
    "AGE_BYTES",
    "FAR",
    "METHOD",
    "NEAR",
    "HitError",
    "Hits",
    "Request",
    "Response",
    "Side",
    "Turn",
    "check_bytes",
    "find_request",
    "find_requests",
]

METHOD = "/chairside.cache.v1.CacheService/GetAvailability"
_MIN_SLOTS = 12
AGE_BYTES = 16
"""By so much `cache_info.age` may make two answers differ in length."""
NEAR, FAR = "hit in memory", "hit in Redis"

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
    method: str = METHOD

    async def turn(self) -> Turn:
        """Make the calls, so many at once on each connection."""
        before = cpu_seconds(self.server)
        found = await h2load.drive(
            self.server.address,
            self.method,
            self.message,
            calls=self.calls,
            connections=self.connections,
            streams=self.streams,
        )
        return Turn(found, cpu_seconds(self.server) - before)


async def find_request(at: Stand, channel: grpc.aio.Channel) -> Request:
    """Return the request for a barber's day with at least a dozen free slots, now cached."""
    return (await find_requests(at, channel, 1))[0]


async def find_requests(at: Stand, channel: grpc.aio.Channel, count: int) -> list[Request]:
    """Return requests for so many days like that."""
    found = list[Request]()
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
                found.append(request)
            if len(found) == count:
                return found
    message = "the generated shop has not so many days with enough free slots"
    raise HitError(message)


class Hits:
    """A service that answers with one kind of hit, and proof that it did nothing else."""

    def __init__(
        self,
        name: str,
        service: MeasuredService,
        outcome: str,
        source: int,
        method: str = "GetAvailability",
    ) -> None:
        self.name = name
        self.service = service
        self._outcome = outcome
        self._source = source
        self._method = method
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

    def hold(self, made: int, *, entries: int = 1, misses: bool = False) -> None:
        """Check that there were exactly so many calls, all OK and, but for misses, such hits.

        Each call asks for so many entries.
        """
        answered, hits = (
            late - early for late, early in zip(self._counts(), self._before, strict=True)
        )
        if answered != made or (hits != made * entries and not misses):
            message = f"{self.name}: of {made:,} calls {answered:,} were OK, {hits:,} hits"
            raise HitError(message)

    def _counts(self) -> tuple[int, int]:
        """Return the calls answered OK and the entries so answered, as the service counts."""
        answered = hits = 0.0
        for sample in self.service.counts():
            labels = sample.labels
            if sample.name == "grpc_server_handled_total" and labels["grpc_code"] == "OK":
                answered += sample.value * (labels["grpc_method"] == self._method)
            elif sample.name == "chairside_cache_reads_total":
                hits += sample.value * (
                    labels["query"] == "availability" and labels["outcome"] == self._outcome
                )
        return int(answered), int(hits)


def check_bytes(turns: Sequence[Turn], calls: int, size: int, entries: int = 1) -> None:
    """Hold the bytes of every round against one real answer: an error would have none."""
    expected = size + len(h2load.frame(b""))
    for turn in turns:
        if abs(turn.round.data_bytes / calls - expected) > AGE_BYTES * entries:
            message = f"answers had {turn.round.data_bytes / calls:.1f} bytes, not {expected}"
            raise HitError(message)
