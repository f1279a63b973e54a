"""Interleavings that random load seldom meets, forced through the proxies.

In each of them a reader at the first cache process asks for the slots of a day, and
mutations reach the second one, right after bookings of that day were acknowledged.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random

import asyncpg
import grpc

from chairside.cache.v1 import cache_service_pb2 as pb
from chairside.cache.v1 import types_pb2
from tests.faults.answers import Call, calls_of, decoded
from tests.faults.checker import Verdict, check
from tests.faults.cluster import Cluster
from tests.faults.history import History
from tests.faults.load import Load
from tests.faults.mutating import Mutator, Plan
from tests.faults.proxy import Direction, Link, Proxy
from tests.faults.rounds import grids
from tests.faults.settle import check_database
from tests.faults.shop import Shop, open_shop
from tests.support.waiting import eventually

__all__ = [
    "Play",
    "expelled_member",
    "fenced",
    "held_load",
    "overtaken",
    "play",
    "served_from_cache",
    "unheard",
]

_COMMIT = b"COMMIT;"
_SECONDS = 1.0
"""For a reader to have joined a load: it leaves no trace of that outside its process, and a
busy machine keeps it from that for a while."""
_PATIENCE = 10.0
"""Of a read that is held on purpose."""


class _Booker(Mutator):
    """Books the first barber's first day, an hour further each time."""

    def __init__(self, shop: Shop) -> None:
        super().__init__(shop, Random(1))  # noqa: S311
        self._its_shop = shop
        self._hours = 0

    def plan(self) -> Plan:
        shop = self._its_shop
        self._hours += 1
        return self._plan(
            "CreateAppointment",
            barber_id=shop.barbers[0],
            service_id=next(iter(shop.services)),
            client_id=shop.clients[0],
            start_time={"seconds": shop.starts(shop.days[0])[4 * self._hours - 4]},
        )


@dataclass(frozen=True, slots=True)
class Play:
    """What scenarios act on: `call` reads the day, `connection` is the owner's."""

    cluster: Cluster
    load: Load
    call: Call
    connection: asyncpg.Connection


async def play(cluster: Cluster, scenario: Callable[[Play], Awaitable[None]]) -> Verdict:
    """Run a scenario in a shop of its own, and judge what its readers were answered."""
    connection = await cluster.connect()
    try:
        shop = await open_shop(connection)
        calls = calls_of(shop)
        for process in (0, 1):
            await served_from_cache(cluster, process, calls[-1])
        grid = await grids(cluster.caches[0].address, calls[:1])
        history = History(shop.services, grid, shop.day_of)
        async with _load(cluster, history, calls[0], _Booker(shop)) as load:
            await scenario(Play(cluster, load, calls[0], connection))
        history.reads = decoded(load.answered)
        verdict = check(history)
        assert all(write.applied_at is not None for write in history.writes)
        assert await check_database(connection, shop, history) == []
    finally:
        await connection.close()
    return verdict


async def held_load(on: Play) -> None:
    """Hold a load that has read the old data; book, let somebody else ask, and let it go."""
    database, redis = (on.cluster.proxies[link][0] for link in ("cache-postgres", "cache-redis"))
    held, asked = asyncio.Event(), asyncio.Event()
    replies = 0

    def hold_at_commit(link: Link, direction: Direction, data: bytes) -> bool:
        if direction is Direction.REQUESTS and _COMMIT in data and not held.is_set():
            link.pipes[direction].held = True
            held.set()
        return False

    def count_replies(_: Link, direction: Direction, _data: bytes) -> bool:
        nonlocal replies
        replies += direction is Direction.REPLIES
        if replies == 2:
            asked.set()
        return False

    database.taps = [hold_at_commit]
    first = asyncio.create_task(on.load.read(on.call, 0))
    await asyncio.wait_for(held.wait(), 5)
    await on.load.write(0)
    redis.taps = [count_replies]
    second = await _asking(on, asked)
    await asyncio.sleep(_SECONDS)
    database.taps = redis.taps = []
    database.heal()
    await first
    await second
    for process in (0, 1):
        await on.load.read(on.call, process)
    old = min(decoded(on.load.answered), key=lambda read: read.started)
    assert old.answer == on.load.history.grid[old.query], "it read before the booking"


async def fenced(on: Play) -> None:
    """Keep a mutation from Redis, and from the reader that the cache was turned off."""
    await served_from_cache(on.cluster, 0, on.call)
    async with _unaware_reader(on):
        redis = on.cluster.proxies["cache-redis"][1]
        redis.cut()
        try:
            await on.load.write(0)
        finally:
            redis.heal()


async def expelled_member(on: Play) -> None:
    """Keep from the reader what is published, and that a first mutation had it expelled."""
    await served_from_cache(on.cluster, 0, on.call)
    async with _unaware_reader(on, Direction.REPLIES):
        first = asyncio.create_task(on.load.write(0))

        async def expelled() -> bool:
            found = "SELECT EXISTS (SELECT FROM members WHERE expelled_at IS NOT NULL)"
            return bool(await on.connection.fetchval(found))

        await eventually(expelled)
        await on.load.write(0)
    await first


async def unheard(on: Play) -> None:
    """Keep from the reader, which has the day in its memory, what is published."""
    await served_from_cache(on.cluster, 0, on.call, types_pb2.SOURCE_NEAR)
    redis = on.cluster.proxies["cache-redis"][0]
    async with _asked_unaware(on, redis):
        redis.hold(Direction.REPLIES)
        await on.load.write(0)


async def overtaken(on: Play) -> None:
    """Let the reader hear of a booking just after Redis's answer of before, in one piece.

    Its process hears of the booking, and acknowledges it, before the task goes on that asked.
    """
    await served_from_cache(on.cluster, 1, on.call)
    asked = asyncio.Event()
    kept: list[bytes] = []

    def hold_until_published(link: Link, direction: Direction, data: bytes) -> bool:
        if direction is Direction.REQUESTS:
            if b":entry:" in data:
                asked.set()
            return False
        if not asked.is_set():
            return False
        kept.append(data)
        if b"invalidated" in data:
            asked.clear()
            link.pipes[direction].send(b"".join(kept))
        return True

    taps = on.cluster.proxies["cache-redis"][0].taps
    taps.append(hold_until_published)
    try:
        first = await _asking(on, asked)
        await on.load.write(0)
        await first
    finally:
        taps.clear()
    await on.load.read(on.call, 0)


async def _asking(on: Play, asked: asyncio.Event) -> asyncio.Task[None]:
    """Let the first process read until it has asked Redis: without a lease it does not."""
    async with asyncio.timeout(_PATIENCE):
        while True:
            read = asyncio.create_task(on.load.read(on.call, 0))
            waiting = asyncio.create_task(asked.wait())
            await asyncio.wait({read, waiting}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if asked.is_set():
                return read


@asynccontextmanager
async def _unaware_reader(on: Play, *redis_held: Direction) -> AsyncIterator[None]:
    """Keep all news from the first process; ask it then, and let the news come."""
    database, redis = (on.cluster.proxies[link][0] for link in ("cache-postgres", "cache-redis"))
    async with _asked_unaware(on, database, redis):
        database.hold(Direction.REPLIES)
        redis.hold(*redis_held)
        yield


@asynccontextmanager
async def _asked_unaware(on: Play, *held: Proxy) -> AsyncIterator[None]:
    """Afterwards ask the first process, and then only let come what is held back."""
    try:
        yield
        read = asyncio.create_task(on.load.read(on.call, 0))
        await asyncio.wait({read}, timeout=_SECONDS)
    finally:
        for proxy in held:
            proxy.heal()
    await read


def _load(cluster: Cluster, history: History, call: Call, mutator: Mutator) -> Load:
    """Make a load whose writers tell the cache process whose connections are not held."""
    return Load(
        history,
        [call],
        mutator,
        Random(1),  # noqa: S311
        caches=[cache.address for cache in cluster.caches],
        bookings=[cluster.bookings[1].address] * 2,
        patience=_PATIENCE,
    )


async def served_from_cache(
    cluster: Cluster, process: int, call: Call, *sources: types_pb2.Source
) -> None:
    """Wait until a call is a hit: it may be that the cache was off, or is not filled yet."""
    sources = sources or (types_pb2.SOURCE_REDIS, types_pb2.SOURCE_NEAR)
    async with grpc.aio.insecure_channel(cluster.caches[process].address) as channel:
        method = channel.unary_unary(f"/chairside.cache.v1.CacheService/{call.method}")

        async def hit() -> bool:
            response = getattr(pb, f"{call.method}Response").FromString(await method(call.request))
            return response.cache_info.source in sources

        await eventually(hit, seconds=_PATIENCE)
