"""Invalidate with few and with many entries cached: it must not matter.

Two cache services, each with a Valkey of its own, one of 100 entries and one of 100,000,
are told of the same change of a barber's day in turn. Before each round the entries of
those days are stored again, so that every call finds guards to delete.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING

import asyncpg
import grpc
from google.type.date_pb2 import Date

from benchmarks.report import Bound, Section
from benchmarks.servers import Stand, serve_cache, stand
from cache_service.coherence.entry import Entry, encode
from cache_service.coherence.era import Era
from cache_service.coherence.ports import Filled
from cache_service.invalidation.tags import SCOPE
from cache_service.queries.availability import AvailabilityDay, availability
from cache_service.stores.redis.address import Address, Fixed
from cache_service.stores.redis.channels import Channels
from cache_service.stores.redis.connection import MultiplexedConnection
from cache_service.stores.redis.store import RedisStore
from chairside.cache.v1 import cache_service_pb2, events_pb2, types_pb2
from chairside.cache.v1.cache_service_pb2_grpc import CacheServiceStub
from service_kit.postgres import DATABASE_IDENTITY

if TYPE_CHECKING:
    from chairside.cache.v1.cache_service_pb2_grpc import CacheServiceAsyncStub

__all__ = ["measure"]

_FEW, _MANY = 100, 100_000
_DAYS = 100
_SERVICES = 10
_AT_ONCE = 500
_PAYLOAD = bytes(300)
_FIRST = date(2030, 1, 1)
_TTL = 3600.0
_TOLERANCE = 0.2


@dataclass(slots=True)
class _Side:
    """A cache service, its store, and the seconds that its calls took."""

    organization_id: int
    stub: CacheServiceAsyncStub
    store: RedisStore
    era: Era
    seconds: list[float] = field(default_factory=list)

    async def invalidate(self, day: date) -> float:
        """Tell of a booking on that day; return the seconds that it took."""
        facts = events_pb2.AppointmentFacts(
            appointment_id=1,
            barber_id=1,
            service_id=1,
            status=types_pb2.APPOINTMENT_STATUS_SCHEDULED,
            date=_date(day),
            blocked_from=_date(day),
            blocked_to=_date(day),
        )
        event = events_pb2.Event(
            organization_id=self.organization_id,
            appointment=events_pb2.AppointmentChange(new=facts),
        )
        request = cache_service_pb2.InvalidateRequest(events=[event])
        begun = time.perf_counter()
        await self.stub.Invalidate(request, timeout=10)
        return time.perf_counter() - begun

    async def fill(self, entries: Iterator[AvailabilityDay]) -> None:
        """Store these entries, as fills do."""
        while chunk := list(itertools.islice(entries, _AT_ONCE)):
            await asyncio.gather(*map(self._put, chunk))

    async def _put(self, arguments: AvailabilityDay) -> None:
        key = availability.key(arguments)
        tags = (SCOPE, *availability.tags(arguments))
        nonces = tuple(await self.store.claim(self.era, self.organization_id, tags))
        entry = Entry(_PAYLOAD, "1:1:", time.time(), _TTL, 0.0)
        raw = encode(
            self.store.full_key(self.era, self.organization_id, key), b"".join(nonces), entry
        )
        await self.store.put(self.era, self.organization_id, Filled(key, tags, nonces, raw, _TTL))


def _date(day: date) -> Date:
    return Date(year=day.year, month=day.month, day=day.day)


def _entries(organization_id: int, count: int) -> Iterator[AvailabilityDay]:
    """Make different arguments; the first hundred are of barber 1, service 1, on as many days."""
    for number in range(count):
        rest, offset = divmod(number, _DAYS)
        barber, service = divmod(rest, _SERVICES)
        yield AvailabilityDay(
            organization_id, barber + 1, service + 1, _FIRST + timedelta(days=offset)
        )


async def _open(stack: AsyncExitStack, at: Stand, entries: int) -> _Side:
    service = await stack.enter_async_context(serve_cache(at))
    channels = Channels("benchmark")
    connection = MultiplexedConnection(Fixed(Address.from_url(at.valkey.url)), timeout=10.0)
    await connection.open()
    stack.push_async_callback(connection.close)
    database = await asyncpg.connect(at.url)
    epoch, bound = await database.fetchrow("SELECT epoch::text, redis_identity FROM authority")
    name, _ = await database.fetchrow(DATABASE_IDENTITY)
    await database.close()
    server = bound.rpartition(" ")[0]
    store = RedisStore(connection, channels, random.randbytes)
    channel = await stack.enter_async_context(grpc.aio.insecure_channel(service.address))
    side = _Side(at.organization_id, CacheServiceStub(channel), store, Era(name, epoch, server))
    await side.fill(_entries(at.organization_id, entries))
    return side


async def measure(rounds: int) -> list[Section]:
    """Run so many rounds, of 50 calls that count for each side."""
    async with AsyncExitStack() as stack:
        stands = [await stack.enter_async_context(stand()) for _ in range(2)]
        few = await _open(stack, stands[0], _FEW)
        many = await _open(stack, stands[1], _MANY)
        again: list[float] = []
        days = [_FIRST + timedelta(days=offset) for offset in range(_DAYS)]
        halves = list(zip(days[: _DAYS // 2], days[_DAYS // 2 :], strict=True))
        for number in range(-1, rounds):
            for side in (few, many):
                await side.fill(_entries(side.organization_id, _FEW))
            # Each call follows one of the other side, so that neither finds itself warmer.
            figures = [
                (
                    await few.invalidate(one),
                    await many.invalidate(one),
                    await few.invalidate(other),
                    await many.invalidate(other),
                )
                for one, other in halves
            ]
            if number >= 0:  # the first round warms connections and plans
                few.seconds += [seconds for seconds, _, _, _ in figures]
                many.seconds += [seconds for _, seconds, _, _ in figures]
                again += [seconds for _, _, seconds, _ in figures]
    return [_section(few.seconds, many.seconds, again, rounds)]


def _section(
    few: Sequence[float], many: Sequence[float], again: Sequence[float], rounds: int
) -> Section:
    sides = {f"{_FEW}": few, f"{_MANY:,}": many, f"{_FEW} again": again}
    base = statistics.median(few)
    ratios = {name: statistics.median(seconds) / base for name, seconds in sides.items()}
    ratio = ratios[f"{_MANY:,}"]
    return Section(
        title="Invalidate by the number of entries cached",
        command=f"python -m benchmarks invalidate --rounds {rounds}",
        about=(
            "One event of a booking, one call at a time, told to a service with so many entries\n"
            f"in its Valkey; {len(few):,} calls for each, in turn. `{_FEW} again` is the first\n"
            "side once more: the noise."
        ),
        columns=("Entries", "Median", "Of the first"),
        rows=[
            (name, f"{statistics.median(seconds) * 1000:.2f} ms", f"{ratios[name]:.2f}")
            for name, seconds in sides.items()
        ],
        bounds=(
            Bound(
                f"{_MANY:,} entries against {_FEW}",
                f"within {_TOLERANCE:.0%}",
                f"{ratio - 1:+.0%}",
                abs(ratio - 1) <= _TOLERANCE,
            ),
        ),
    )
