"""Invalidate by the number of entries cached: it must not matter, and to KEYS it does.

Three cache services, each with a Valkey of its own, of 100 entries, 10,000 and a million,
are told of the same change of a barber's day in turn. Before each round the entries of
those days are stored again, so that every call finds guards to delete. On the same Valkeys
the same day's entries are deleted as they are where a cache is invalidated by patterns.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

import grpc
from google.type.date_pb2 import Date
from redis.asyncio import Redis

from benchmarks.errors import BenchmarkError
from benchmarks.plots import Line, Plot
from benchmarks.report import Bound, Section
from benchmarks.servers import serve_cache, stand
from benchmarks.shelf import FIRST_DAY, Shelf, open_shelf
from benchmarks.turns import ratio, take_turns
from chairside.cache.v1 import cache_service_pb2, events_pb2, types_pb2
from chairside.cache.v1.cache_service_pb2_grpc import CacheServiceStub

if TYPE_CHECKING:
    from chairside.cache.v1.cache_service_pb2_grpc import CacheServiceAsyncStub

__all__ = ["InvalidateError", "booking", "invalidating", "measure"]

_ENTRIES = (100, 10_000, 1_000_000)
_FEW, _MANY = _ENTRIES[0], _ENTRIES[-1]
_FILLED = 100
"""Entries that are stored in earnest, one of each day."""
_CALLS = 50
_SCAN_COUNT = 1000
_TOLERANCE = 0.2
_CHEAPER = 100.0

Turn = Callable[[], Awaitable[float]]


class InvalidateError(BenchmarkError):
    """Say which pattern did not find what was there."""


@dataclass(frozen=True, slots=True)
class _Side:
    """A cache service, its entries, and a client of its Valkey such as others use."""

    stub: CacheServiceAsyncStub
    shelf: Shelf
    redis: Redis

    async def invalidations(self) -> float:
        """Tell of a booking on each of some days; return the median in milliseconds."""
        await self.shelf.fill(_FILLED)
        return statistics.median([await self._invalidate(day) for day in _days(_CALLS)])

    async def _invalidate(self, day: date) -> float:
        event = booking(self.shelf.organization_id, 1, 1, day)
        request = cache_service_pb2.InvalidateRequest(events=[event])
        begun = time.perf_counter()
        await self.stub.Invalidate(request, timeout=10)
        return (time.perf_counter() - begun) * 1000

    async def patterns(self, find: Callable[[Redis, str], Awaitable[list[bytes | str]]]) -> float:
        """Delete a barber's day as patterns do; return the milliseconds that it took."""
        await self.shelf.fill(_FILLED)
        day = FIRST_DAY.isoformat()
        pattern = f"chairside:*:entry:availability:barber:1:*:date:{day}*"
        begun = time.perf_counter()
        keys = await find(self.redis, pattern)
        deleted = await self.redis.delete(*keys) if keys else 0
        milliseconds = (time.perf_counter() - begun) * 1000
        if deleted != 1:
            message = f"{pattern} found {deleted} entries, not 1"
            raise InvalidateError(message)
        return milliseconds


def booking(organization_id: int, barber_id: int, service_id: int, day: date) -> events_pb2.Event:
    """Make the event of a booking on that day."""
    facts = events_pb2.AppointmentFacts(
        appointment_id=1,
        barber_id=barber_id,
        service_id=service_id,
        status=types_pb2.APPOINTMENT_STATUS_SCHEDULED,
        date=_date(day),
        blocked_from=_date(day),
        blocked_to=_date(day),
    )
    return events_pb2.Event(
        organization_id=organization_id, appointment=events_pb2.AppointmentChange(new=facts)
    )


@asynccontextmanager
async def invalidating(
    stub: CacheServiceAsyncStub, rate: float, events: Sequence[events_pb2.Event]
) -> AsyncIterator[None]:
    """Invalidate an event after another, so many a second, while the context lasts."""

    async def invalidate() -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for number in count():
            await asyncio.sleep(begun + number / rate - loop.time())
            event = events[number % len(events)]
            await stub.Invalidate(cache_service_pb2.InvalidateRequest(events=[event]), timeout=10)

    task = asyncio.create_task(invalidate())
    try:
        yield
        if task.done():
            await task
    finally:
        task.cancel()


async def _by_keys(redis: Redis, pattern: str) -> list[bytes | str]:
    return list(await redis.keys(pattern))


async def _by_scan(redis: Redis, pattern: str) -> list[bytes | str]:
    return [key async for key in redis.scan_iter(match=pattern, count=_SCAN_COUNT)]


def _days(count: int) -> list[date]:
    return [FIRST_DAY + timedelta(days=offset) for offset in range(count)]


def _date(day: date) -> Date:
    return Date(year=day.year, month=day.month, day=day.day)


async def _open(stack: AsyncExitStack, entries: int) -> _Side:
    at = await stack.enter_async_context(stand())
    service = await stack.enter_async_context(serve_cache(at))
    shelf = await stack.enter_async_context(open_shelf(at))
    channel = await stack.enter_async_context(grpc.aio.insecure_channel(service.address))
    redis: Redis = Redis.from_url(at.valkey.url, socket_timeout=60)
    stack.push_async_callback(redis.aclose)
    if entries > _FILLED:
        print(f"storing {entries:,} entries", flush=True)
        await shelf.crowd(entries - _FILLED)
    await shelf.fill(_FILLED)
    return _Side(CacheServiceStub(channel), shelf, redis)


async def measure(rounds: int) -> list[Section]:
    """Run so many rounds, of 50 calls and one of each kind of pattern for each side."""
    async with AsyncExitStack() as stack:
        sides = {entries: await _open(stack, entries) for entries in _ENTRIES}
        ours: dict[str, Turn] = {
            f"{number:,}": side.invalidations for number, side in sides.items()
        }
        ours[f"{_FEW} again"] = sides[_FEW].invalidations
        await asyncio.gather(*(side.invalidations() for side in sides.values()))  # to warm them
        found = await take_turns("Invalidate", rounds, ours)
        patterns: dict[str, Turn] = {}
        for number, side in sides.items():
            patterns[f"KEYS {number:,}"] = partial(side.patterns, _by_keys)
            patterns[f"SCAN {number:,}"] = partial(side.patterns, _by_scan)
        found |= await take_turns("patterns", rounds, patterns)
    return [_section(found, rounds)]


def _section(found: dict[str, list[float]], rounds: int) -> Section:
    middle = {name: statistics.median(times) for name, times in found.items()}
    few, many = f"{_FEW}", f"{_MANY:,}"
    change = ratio(found[many], found[few]) - 1
    return Section(
        title="Invalidate by the number of entries cached",
        command=f"python -m benchmarks invalidate --rounds {rounds}",
        about=(
            "One event of a booking, one call at a time, told to a service with so many entries\n"
            f"in its Valkey: the whole RPC, with the look at Postgres; {rounds} rounds of\n"
            f"{_CALLS} calls for each, in turn, and in each round the deletion of the same day's\n"
            "entries, on the same Valkey, by KEYS with a pattern and DEL, and by SCAN MATCH\n"
            f"(COUNT {_SCAN_COUNT}) and DEL, without any RPC. KEYS keeps everybody else waiting\n"
            f"so long. `{_FEW} again` is the first side once more: the noise."
        ),
        columns=("Entries", "Invalidate", "Of the first", "KEYS and DEL", "SCAN and DEL"),
        rows=[
            (
                name,
                f"{middle[name]:.2f} ms",
                f"{ratio(found[name], found[few]):.2f}",
                *(
                    f"{middle[f'{kind} {name}']:,.2f} ms" if f"{kind} {name}" in middle else ""
                    for kind in ("KEYS", "SCAN")
                ),
            )
            for name in found
            if not name.startswith(("KEYS", "SCAN"))
        ],
        bounds=(
            Bound(
                f"{many} entries against {few}",
                f"within {_TOLERANCE:.0%}",
                f"{change:+.0%}",
                abs(change) <= _TOLERANCE,
            ),
            Bound.at_least(
                f"times cheaper than KEYS at {many}",
                _CHEAPER,
                middle[f"KEYS {many}"] / middle[many],
            ),
        ),
        plots=(_plot(middle),),
    )


def _plot(middle: dict[str, float]) -> Plot:
    kinds = {"Invalidate": "", "KEYS and DEL": "KEYS ", "SCAN and DEL": "SCAN "}
    lines: Sequence[Line] = [
        Line(label, [(number, middle[f"{prefix}{number:,}"]) for number in _ENTRIES])
        for label, prefix in kinds.items()
    ]
    return Plot(
        name="invalidate-entries",
        title="Invalidation by the number of entries in Valkey",
        x_label="entries",
        y_label="milliseconds",
        lines=lines,
        log_x=True,
        log_y=True,
    )
