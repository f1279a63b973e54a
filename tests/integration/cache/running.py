"""A running cache service, and how the tests talk to it."""

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import grpc
import redis.asyncio
from google.type.date_pb2 import Date

from chairside.cache.v1 import cache_service_pb2 as pb
from chairside.cache.v1 import types_pb2
from chairside.cache.v1.cache_service_pb2_grpc import CacheServiceStub
from devstack.services import ServiceProcess
from service_kit.values import from_timestamp, to_date

__all__ = ["CLOCK", "Cache", "refused", "source", "start_cache", "starts"]

CLOCK = datetime(2025, 3, 5, 15, tzinfo=UTC)
"""When the process believes to start: a Wednesday, ten o'clock in New York."""


@dataclass(slots=True)
class Cache:
    """A process of the cache service, a stub of it, and its Redis."""

    process: ServiceProcess
    stub: Any
    channel: grpc.aio.Channel
    redis: redis.asyncio.Redis

    @property
    def redis_url(self) -> str:
        """The Redis that its database's cache is in: another over the same turns it off."""
        return (self.process.environ or {})["CHAIRSIDE_CACHE_REDIS_URL"]

    def now(self) -> datetime:
        """Return what the process's clock shows, or a few milliseconds more."""
        settings = json.loads(self.process.output().splitlines()[0])
        assert settings["event"] == "settings", "logged just before the clock is made"
        return CLOCK + (datetime.now(UTC) - datetime.fromisoformat(settings["timestamp"]))

    def metrics(self) -> dict[str, float]:
        """Read all metrics, by their names with their labels, as Prometheus does."""
        with urlopen(f"http://127.0.0.1:{self.process.metrics_port}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        samples = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in samples}

    def metric(self, name: str) -> float:
        """Read one metric."""
        return self.metrics()[name]

    async def entries(self, organization_id: int) -> list[bytes]:
        """Return the names of an organization's entries."""
        found = await self.redis.keys(f"chairside:{{{organization_id}}}:*:entry:*")
        return sorted(found)

    async def availability(
        self,
        organization_id: int,
        service_id: int,
        barber_ids: Iterable[int] = (),
        start: date | None = None,
        days: int | None = None,
        **fields: Any,
    ) -> pb.GetAvailabilityResponse:
        """Ask for slots of so many days from `start` on."""
        request = pb.GetAvailabilityRequest(
            organization_id=organization_id,
            service_id=service_id,
            barber_ids=barber_ids,
            start_date=_date(start),
            end_date=_date(start + timedelta(days=days)) if start and days else None,
            **fields,
        )
        answer: pb.GetAvailabilityResponse = await self.stub.GetAvailability(request)
        return answer


@asynccontextmanager
async def start_cache(
    database_url: str,
    redis_url: str,
    logs: Path,
    variables: Mapping[str, str] | None = None,
) -> AsyncIterator[Cache]:
    """Start the service on a free port, its clock at `CLOCK`, and connect to it."""
    environment = {
        "CHAIRSIDE_CACHE_LISTEN": "127.0.0.1:0",
        "CHAIRSIDE_CACHE_METRICS_LISTEN": "127.0.0.1:0",
        "CHAIRSIDE_CACHE_DATABASE_URL": database_url,
        "CHAIRSIDE_CACHE_REDIS_URL": redis_url,
        # One process, whose loads, memory and memberships can be counted.
        "CHAIRSIDE_CACHE_WORKERS": "1",
        # Crowds come over one channel; how many at once are let through is test_limits.py's affair.
        "CHAIRSIDE_CACHE_MAX_STREAMS": "2000",
        # A loaded machine is not what these tests are about; those of outages set their own.
        "CHAIRSIDE_CACHE_REDIS_TIMEOUT": "2",
        "CHAIRSIDE_CACHE_DEFAULT_DEADLINE": "30",
        # Most tests look at what is in Redis; those of memory say how much there is.
        "CHAIRSIDE_CACHE_MEMORY_BYTES": "0",
        # Nobody loads but who is asked; the tests of audits say how many there are.
        "CHAIRSIDE_CACHE_AUDIT_SHARE": "0",
        "CHAIRSIDE_CLOCK_START": CLOCK.isoformat(),
        **(variables or {}),
    }
    async with ServiceProcess("cache_service", environment, logs) as process:
        options = [("grpc.max_receive_message_length", 64 * 1024 * 1024)]
        async with (
            grpc.aio.insecure_channel(process.address, options) as channel,
            redis.asyncio.from_url(redis_url) as client,
        ):
            yield Cache(process, CacheServiceStub(channel), channel, client)


def _date(day: date | None) -> Date | None:
    return None if day is None else to_date(day)


def starts(response: pb.GetAvailabilityResponse) -> dict[int, list[datetime]]:
    """Return the starts of the free slots, by barber."""
    return {
        one.barber_id: [from_timestamp(slot.start_time) for slot in one.slots]
        for one in response.barbers
    }


def source(response: Any) -> str:
    """Return where an answer came from, without the enum's prefix."""
    name: str = types_pb2.Source.Name(response.cache_info.source)
    return name.removeprefix("SOURCE_")


async def refused(call: Any) -> grpc.aio.AioRpcError:
    """Await a call that must fail, and return its error."""
    try:
        answer = await call
    except grpc.aio.AioRpcError as error:
        return error
    message = f"answered: {answer}"
    raise AssertionError(message)
