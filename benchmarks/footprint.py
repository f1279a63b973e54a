"""What entries take, in a process and in Valkey, and that a process stays within its limit.

Three processes after another are asked for the same days, ten times more than the second
may keep: one that keeps nothing, one that keeps 16 MiB, and one that keeps all. What the
first grows by is what calls, statements and responses take.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import asyncpg
import grpc
from redis.asyncio import Redis

from benchmarks.errors import BenchmarkError
from benchmarks.plots import Line, Plot
from benchmarks.report import Bound, Section
from benchmarks.servers import MeasuredService, Stand, megabytes, serve_cache, stand
from chairside.cache.v1 import cache_service_pb2
from chairside.cache.v1.cache_service_pb2_grpc import CacheServiceStub
from service_kit.values import to_date

if TYPE_CHECKING:
    from chairside.cache.v1.cache_service_pb2_grpc import CacheServiceAsyncStub

__all__ = ["measure"]

_MIB = 1024 * 1024
_LIMITS = {"nothing": 0, "16 MiB": 16 * _MIB, "all": 1024 * _MIB}
_NOTHING, _BOUNDED, _ALL = _LIMITS
_DAYS = 62
_FEW = 10_000
_STEPS = 10
"""How often a process is looked at."""
_TIMES_MORE = 10
_WITHIN = 0.25
"""What is counted is what is taken, give or take this much."""


@dataclass(slots=True)
class _Look:
    """A process after so many answers: its resident megabytes, and what it says that it keeps."""

    asked: int
    resident: float
    kept: int
    counted: float
    valkey: float


@dataclass(slots=True)
class _Side:
    """A process, and how it was each time that it was looked at; first before any answer."""

    looks: list[_Look] = field(default_factory=list)

    @property
    def most(self) -> float:
        """The most that it grew by, in megabytes."""
        return max(look.resident for look in self.looks) - self.looks[0].resident

    @property
    def few(self) -> _Look:
        """How it was after the first ten thousand answers."""
        return next(look for look in self.looks if look.asked >= _FEW)


async def measure(keys: int) -> list[Section]:
    """Ask each process for so many answers. Raises BenchmarkError."""
    sides = {}
    async with AsyncExitStack() as stack:
        at = await stack.enter_async_context(stand())
        redis = Redis.from_url(at.valkey.url)
        stack.push_async_callback(redis.aclose)
        for name, limit in _LIMITS.items():
            print(f"a process that keeps {name}", flush=True)
            async with serve_cache(at, memory_bytes=limit) as service:
                sides[name] = await _side(at, service, redis, keys)
            if any(look.counted * 1e6 > limit for look in sides[name].looks):
                message = f"it keeps more than {name}, as it counts"
                raise BenchmarkError(message)
    return [_bounded(sides, keys), _per_entry(sides, keys)]


async def _side(at: Stand, service: MeasuredService, redis: Redis, keys: int) -> _Side:
    side = _Side([await _look(service, redis, 0)])
    asked = 0
    # The first look is after few; the others are spread over the rest.
    following = _FEW
    async with grpc.aio.insecure_channel(service.address) as channel:
        async for answers in _answers(at, CacheServiceStub(channel)):
            asked += answers
            if asked >= min(following, keys):
                side.looks.append(await _look(service, redis, asked))
                following = asked + keys // _STEPS
            if asked >= keys:
                return side
    message = f"the shop has no {keys:,} different days"
    raise BenchmarkError(message)


async def _answers(at: Stand, stub: CacheServiceAsyncStub) -> AsyncIterator[int]:
    """Ask for two months of all barbers and a service again and again; tell of how many days."""
    connection = await asyncpg.connect(at.url)
    services = await connection.fetch(
        "SELECT DISTINCT service_id FROM barber_services JOIN barbers b ON b.id = barber_id "
        "WHERE b.organization_id = $1 AND offered AND active ORDER BY 1",
        at.organization_id,
    )
    await connection.close()
    first = datetime.now(UTC).date() + timedelta(days=1)
    for number in range(365 * 50 // _DAYS):
        start = first + timedelta(days=number * _DAYS)
        for (service_id,) in services:
            request = cache_service_pb2.GetAvailabilityRequest(
                organization_id=at.organization_id,
                service_id=service_id,
                start_date=to_date(start),
                end_date=to_date(start + timedelta(days=_DAYS)),
            )
            answer = await stub.GetAvailability(request, timeout=30)
            yield len(answer.barbers) * _DAYS


async def _look(service: MeasuredService, redis: Redis, asked: int) -> _Look:
    counts = {sample.name: sample.value for sample in service.counts()}
    valkey = await redis.info("memory")
    return _Look(
        asked,
        megabytes(service),
        int(counts["chairside_cache_memory_entries"]),
        counts["chairside_cache_memory_bytes"] / 1e6,
        valkey["used_memory"] / 1e6,
    )


def _command(keys: int) -> str:
    return f"python -m benchmarks footprint --keys {keys}"


def _bounded(sides: dict[str, _Side], keys: int) -> Section:
    bounded, limit = sides[_BOUNDED], _LIMITS[_BOUNDED] / 1e6
    last = bounded.looks[-1]
    return Section(
        title="A process within its memory",
        command=_command(keys),
        about=(
            f"Three processes, each asked for {keys:,} answers, one day of one barber and service\n"
            "each, many more than the second may keep. Growth is the most of resident memory\n"
            "over that at the start; what the process that keeps nothing grows by is not the\n"
            "memory's. Counted is what the process says that its answers take."
        ),
        columns=("May keep", "Keeps", "Counted", "At the start", "Growth", "Above the first"),
        rows=[
            (
                name,
                f"{side.looks[-1].kept:,}",
                f"{side.looks[-1].counted:.1f} MB",
                f"{side.looks[0].resident:.0f} MB",
                f"{side.most:.1f} MB",
                f"{side.most - sides[_NOTHING].most:.1f} MB",
            )
            for name, side in sides.items()
        ],
        bounds=(
            Bound.at_most(
                "megabytes above a process that keeps nothing",
                round(limit, 1),
                bounded.most - sides[_NOTHING].most,
            ),
            Bound.at_least("times more answers than fit", _TIMES_MORE, last.asked / last.kept),
        ),
        plots=(
            Plot(
                "footprint",
                "Growth of a process by what it may keep",
                "answers asked for",
                "megabytes",
                [
                    Line(
                        f"keeps {name}",
                        [
                            (look.asked, max(0.0, look.resident - side.looks[0].resident))
                            for look in side.looks
                        ],
                    )
                    for name, side in sides.items()
                ],
            ),
        ),
    )


def _per_entry(sides: dict[str, _Side], keys: int) -> Section:
    everything, loaded = sides[_ALL], sides[_NOTHING]
    start, empty = everything.looks[0], loaded.looks[0]
    rows = []
    for kept, its in (
        (everything.few, loaded.few),
        (everything.looks[-1], loaded.looks[-1]),
    ):
        grown = (kept.resident - start.resident) - (its.resident - empty.resident)
        rows.append(
            (
                f"{kept.kept:,}",
                f"{grown / kept.kept * 1e6:,.0f}",
                f"{kept.counted / kept.kept * 1e6:,.0f}",
                f"{(its.valkey - empty.valkey) / its.asked * 1e6:,.0f}",
            )
        )
    last = everything.looks[-1]
    taken = everything.most - loaded.most
    return Section(
        title="Memory of an entry",
        command=_command(keys),
        about=(
            "Bytes of an entry of one day of slots, by the number of entries: what a process\n"
            "that keeps all grew by beyond one that keeps nothing, what it counts, and what\n"
            "Valkey's used_memory grew by, guards and names included."
        ),
        columns=("Entries", "In the process", "As it counts", "In Valkey"),
        rows=rows,
        bounds=(
            Bound(
                "counted against taken",
                f"within {_WITHIN:.0%}",
                f"{last.counted / taken - 1:+.0%}",
                abs(last.counted / taken - 1) <= _WITHIN,
            ),
        ),
    )
