"""A get of ours against a get of other caches: one process, one Valkey, the same answer.

The others keep the answer as plain lists and figures, which is about as many bytes as ours
has on the wire. None of them promises what ours does: a get of theirs looks at no guard.
"""

import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial

import uvloop
from aiocache import RedisCache
from aiocache.serializers import BaseSerializer, JsonSerializer, PickleSerializer
from cashews import Cache
from dogpile.cache import make_region
from grpc.aio import insecure_channel
from redis.asyncio import Redis

from benchmarks.errors import BenchmarkError
from benchmarks.hits import find_request
from benchmarks.inside import inside, loads
from benchmarks.plots import Bar, Bars
from benchmarks.report import Section
from benchmarks.servers import Stand, serve_cache, stand
from benchmarks.turns import ratio, take_turns
from cache_service.cached_reads import CachedReads
from cache_service.client import CacheClient
from cache_service.database import Primary
from cache_service.queries.availability import AvailabilityDay, DaySlots, availability
from chairside.cache.v1 import cache_service_pb2, types_pb2
from service_kit import logs

__all__ = ["measure"]

_AT_ONCE = 32
_SLOW = 8
"""By so much fewer are the calls of what asks a server of ours or the database."""
_TTL = 24 * 3600
_TIMEOUT = 10.0
_MEMORY = 16 * 1024 * 1024
_ALONE, _TOGETHER = "alone", "together"
_OURS_NEAR, _OURS_FAR = "ours, in memory", "ours, in Redis"
_GRPC_NEAR, _GRPC_FAR = "ours over gRPC, in memory", "ours over gRPC, in Redis"
_PLAIN, _AGAIN = "redis-py, GET and JSON", "redis-py again"
_DATABASE = "the database, no cache"
_CLIENT_SIDE = "cashews, client side"
_RPCS = (_GRPC_NEAR, _GRPC_FAR, _DATABASE)

Slots = list[list[int]]
Get = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class _Side:
    """A way to get the answer, and how to read the slots out of what it gives.

    `together` is false of what cannot have many gets under way in one process.
    """

    get: Get
    slots: Callable[[object], Slots]
    together: bool = True

    async def check(self, name: str, expected: Slots) -> None:
        """Raise BenchmarkError unless it gives the answer that all give."""
        if self.slots(await self.get()) != expected:
            message = f"{name}: this is not the answer"
            raise BenchmarkError(message)

    async def alone(self, name: str, calls: int) -> float:
        """Get so often, one after another; return the microseconds of one."""
        begun = time.perf_counter()
        await _gets(name, self.get, calls)
        return (time.perf_counter() - begun) / calls * 1e6

    async def at_once(self, name: str, calls: int) -> float:
        """Get about so often, 32 at once; return the microseconds for each."""
        each = max(1, calls // _AT_ONCE)
        begun = time.perf_counter()
        await asyncio.gather(*(_gets(name, self.get, each) for _ in range(_AT_ONCE)))
        return (time.perf_counter() - begun) / (each * _AT_ONCE) * 1e6


async def _gets(name: str, get: Get, calls: int) -> None:
    for _ in range(calls):
        if not await get():  # None of a peer that hides its errors, too
            message = f"{name}: a get found nothing"
            raise BenchmarkError(message)


async def measure(rounds: int, calls: int) -> list[Section]:
    """Run so many rounds of so many gets of each side. Raises BenchmarkError."""
    logs.configure("ERROR")  # we are a member that comes and goes
    async with stand() as at, serve_cache(at) as near, serve_cache(at, memory_bytes=0) as far:
        services = {_GRPC_NEAR: near.address, _GRPC_FAR: far.address}
        # In a loop like the services'.
        return await asyncio.to_thread(uvloop.run, _measure(at, services, rounds, calls))


async def _measure(
    at: Stand, services: Mapping[str, str], rounds: int, calls: int
) -> list[Section]:
    async with AsyncExitStack() as stack:
        sides, expected, size = await _open(stack, at, services)
        turns = {}
        for name, side in sides.items():
            await side.check(name, expected)
            fewer = max(1, calls // _SLOW) if name in _RPCS else calls
            turns[f"{_ALONE} {name}"] = partial(side.alone, name, fewer)
            if side.together:
                turns[f"{_TOGETHER} {name}"] = partial(side.at_once, name, fewer)
        await take_turns("to warm all", 1, turns)
        found = await take_turns("peers", rounds, turns)
        for name, side in sides.items():
            await side.check(name, expected)
    return [_section(list(sides), found, size, rounds, calls)]


async def _open(
    stack: AsyncExitStack, at: Stand, services: Mapping[str, str]
) -> tuple[Mapping[str, _Side], Slots, int]:
    """Store the answer everywhere; return every side, the answer, and its bytes as JSON."""
    async with insecure_channel(services[_GRPC_NEAR]) as channel:
        request = await find_request(at, channel)
    primary = await stack.enter_async_context(loads(at))
    sides: dict[str, _Side] = {}
    day = request.start_date
    asked = AvailabilityDay(
        at.organization_id,
        request.barber_ids[0],
        request.service_id,
        date(day.year, day.month, day.day),
    )
    for name, memory_bytes in ((_OURS_NEAR, _MEMORY), (_OURS_FAR, 0)):
        reads = await stack.enter_async_context(inside(at, primary, memory_bytes))
        sides[name] = _Side(partial(_hit, reads, asked), _wire_slots)
    for name, address in services.items():
        client = await stack.enter_async_context(CacheClient(address))
        sides[name] = _Side(partial(client.get_availability, request, _TIMEOUT), _reply_slots)
    sides[_DATABASE] = _Side(partial(_load, primary, asked), _wire_slots)
    expected = _reply_slots(await sides[_GRPC_NEAR].get())
    value = {"barber_id": asked.barber_id, "slots": expected}
    sides |= await stack.enter_async_context(_peers(at, value))
    return sides, expected, len(json.dumps(value))


async def _hit(reads: CachedReads, asked: AvailabilityDay) -> bytes:
    answer = await reads.asking(availability, asked)()
    if answer is None:
        return b""
    reads.served(availability, asked.organization_id, asked, answer)
    return DaySlots.decode(answer.payload).bookable(asked.date, datetime.now(UTC))


async def _load(primary: Primary, asked: AvailabilityDay) -> bytes:
    loaded = await primary.load(availability, [asked])
    return DaySlots.decode(loaded.payloads[0]).bookable(asked.date, datetime.now(UTC))


def _wire_slots(found: object) -> Slots:
    assert isinstance(found, bytes)
    barber = types_pb2.BarberAvailability.FromString(found)
    return [[slot.start_time.seconds, slot.end_time.seconds] for slot in barber.slots]


def _reply_slots(found: object) -> Slots:
    assert isinstance(found, cache_service_pb2.GetAvailabilityResponse)
    return _wire_slots(found.barbers[0].SerializeToString())


def _value_slots(found: object) -> Slots:
    assert isinstance(found, dict)
    slots: Slots = found["slots"]
    return slots


@asynccontextmanager
async def _peers(at: Stand, value: Mapping[str, object]) -> AsyncIterator[Mapping[str, _Side]]:
    """Open every other cache, and store the answer in it."""
    key = "availability:barber:7:service:3:date:2018-05-24"
    async with AsyncExitStack() as stack:
        sides: dict[str, _Side] = {}
        redis = Redis.from_url(at.valkey.url)
        stack.push_async_callback(redis.aclose)
        await redis.set(f"plain:{key}", json.dumps(value), ex=_TTL)

        async def plain() -> object:
            return json.loads(await redis.get(f"plain:{key}") or "null")

        for name in (_PLAIN, _AGAIN):
            sides[name] = _Side(plain, _value_slots)
        for name, client_side in (("cashews, Redis", False), (_CLIENT_SIDE, True)):
            cashews = Cache()
            prefix = "near:" if client_side else "far:"
            cashews.setup(at.valkey.url, client_side=client_side, suppress=False)
            await cashews.init()
            stack.push_async_callback(cashews.close)
            await cashews.set(f"{prefix}{key}", value, expire=_TTL)
            sides[name] = _Side(partial(cashews.get, f"{prefix}{key}"), _value_slots)
        serializers: Mapping[str, BaseSerializer] = {
            "aiocache, JSON": JsonSerializer(),
            "aiocache, pickle": PickleSerializer(),
        }
        for name, serializer in serializers.items():
            aiocache = RedisCache(
                endpoint="127.0.0.1", port=at.valkey.port, serializer=serializer, namespace=name
            )
            stack.push_async_callback(aiocache.close)
            await aiocache.set(key, value, ttl=_TTL)
            sides[name] = _Side(partial(aiocache.get, key), _value_slots)
        region = make_region().configure(
            "dogpile.cache.redis", expiration_time=_TTL, arguments={"url": at.valkey.url}
        )
        region.set(f"dogpile:{key}", value)

        async def dogpile() -> object:
            return region.get(f"dogpile:{key}")

        sides["dogpile.cache, blocking"] = _Side(dogpile, _value_slots, together=False)
        yield sides


def _section(
    names: list[str], found: Mapping[str, list[float]], size: int, rounds: int, calls: int
) -> Section:
    alone = {name: found[f"{_ALONE} {name}"] for name in names}
    together = {name: found.get(f"{_TOGETHER} {name}") for name in names}
    names = sorted(names, key=lambda name: statistics.median(alone[name]))
    rows = []
    for name in names:
        many = together[name]
        rows.append(
            (
                name,
                _shown(statistics.median(alone[name])),
                "-" if many is None else _shown(statistics.median(many)),
                f"{ratio(alone[name], alone[_OURS_NEAR]):.3g}",
                f"{ratio(alone[name], alone[_OURS_FAR]):.2f}",
            )
        )
    return Section(
        title="A get against other caches",
        command=f"python -m benchmarks peers --rounds {rounds} --calls {calls}",
        about=(
            "Microseconds for one answer in one process on one core, which Valkey shares: one\n"
            f"get after another, and {_AT_ONCE} at once. The answer is one barber's free slots of\n"
            f"a day, {size} bytes as JSON; all gave the same. Ours is the library alone, which\n"
            "asks for entry and guards, checks the server, the lease and the checksum, cuts what\n"
            "is past and counts; over gRPC, a call of the Python client to a service on the other\n"
            "core. The database is our own query in a transaction with its snapshot, without\n"
            f"Redis and RPC. {rounds} rounds of {calls:,} gets for each side ({_SLOW} times fewer\n"
            "over gRPC and of the database), in turn. `redis-py again` is the noise."
        ),
        columns=("", "One at a time", f"{_AT_ONCE} at once", "Of ours in memory", "In Redis"),
        rows=rows,
        bounds=(),
        plots=(
            Bars(
                "peers",
                "A get, one at a time",
                "microseconds",
                [Bar(name, statistics.median(alone[name]), _group(name)) for name in names],
            ),
        ),
    )


def _group(name: str) -> int:
    return 2 if name == _DATABASE else int(not name.startswith("ours"))


def _shown(microseconds: float) -> str:
    return f"{microseconds:,.1f}" if microseconds < 100 else f"{microseconds:,.0f}"  # noqa: PLR2004
