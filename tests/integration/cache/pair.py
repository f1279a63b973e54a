"""Two processes of the cache service over one Redis and one database, and their memories."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import asyncpg

from chairside.cache.v1 import cache_service_pb2 as pb
from devstack.valkey import ValkeyServer
from tests.integration.cache.running import Cache, source, start_cache, starts
from tests.integration.cache.shops import Shop
from tests.support.stack import Database
from tests.support.waiting import eventually

__all__ = [
    "MONDAY",
    "NINE",
    "VARIABLES",
    "Pair",
    "ask",
    "book_nine",
    "everything_of",
    "fresh",
    "open_pair",
    "seconds_of",
]

MONDAY = date(2025, 3, 10)
NINE = "2025-03-10 09:00"
VARIABLES = {
    "CHAIRSIDE_CACHE_REDIS_TIMEOUT": "0.25",
    "CHAIRSIDE_CACHE_MEMORY_BYTES": "10000000",
}
_CACHED = {"NEAR", "REDIS"}


@dataclass(frozen=True, slots=True)
class Pair:
    """Both processes, what they have in common, and the database owner's connection."""

    one: Cache
    other: Cache
    valkey: ValkeyServer
    database: Database
    connection: asyncpg.Connection
    logs: Path

    @property
    def both(self) -> tuple[Cache, Cache]:
        """The processes."""
        return self.one, self.other

    async def healthy(self) -> None:
        """Wait until both may serve hits."""

        async def hold() -> bool:
            return all(cache.metric("chairside_cache_lease_held") == 1 for cache in self.both)

        await eventually(hold, seconds=20)

    async def measured(self, measure: Callable[[], Awaitable[None]], *, seconds: float) -> None:
        """Measure with both healthy; again where a busy machine, or what is wrong, spoiled it."""

        async def once() -> bool:
            await self.healthy()
            await measure()
            return True

        await eventually(once, seconds=seconds)

    async def held(self, cache: Cache, shop: Shop) -> None:
        """Let a process hold the shop's Monday, nine o'clock still free, in its memory."""

        async def near() -> bool:
            answer = await ask(cache, shop)
            assert shop.at(NINE) in starts(answer)[shop.barbers[0]]
            return source(answer) == "NEAR"

        await eventually(near)

    async def cached_again(self, shop: Shop) -> None:
        """Read until both serve hits again; none of the answers may offer nine o'clock."""
        for cache in self.both:

            async def cached(cache: Cache = cache) -> bool:
                answer = await fresh(cache, shop)
                return source(answer) in _CACHED

            await eventually(cached, seconds=10)

    async def members(self) -> set[str]:
        """Return who is a member."""
        rows = await self.connection.fetch("SELECT member_id FROM members")
        return {str(row[0]) for row in rows}

    async def off(self) -> bool:
        """Tell whether the cache is off."""
        return bool(await self.connection.fetchval("SELECT redis_identity IS NULL FROM authority"))


async def ask(cache: Cache, shop: Shop, **fields: Any) -> pb.GetAvailabilityResponse:
    """Ask for the shop's Monday."""
    where = shop.organization_id, shop.services[0], shop.barbers[:1]
    return await cache.availability(*where, MONDAY, **fields)


async def fresh(cache: Cache, shop: Shop) -> pb.GetAvailabilityResponse:
    """Ask for the shop's Monday, where nine o'clock must not be offered any more."""
    answer = await ask(cache, shop)
    assert shop.at(NINE) not in starts(answer)[shop.barbers[0]], source(answer)
    return answer


async def book_nine(shop: Shop) -> None:
    """Book nine o'clock; the relay hears nothing of it."""
    async with shop.acknowledged():
        await shop.book(shop.at(NINE))


def everything_of(shop: Shop) -> pb.InvalidateRequest:
    """Make the request that invalidates all of a shop."""
    return pb.InvalidateRequest(scope=pb.Scope(organization_id=shop.organization_id))


async def seconds_of(call: Awaitable[object]) -> float:
    """Await a call and return how long it took."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    await call
    return loop.time() - began


@asynccontextmanager
async def open_pair(database: Database, logs: Path) -> AsyncIterator[Pair]:
    """Start both; each logs in a directory of its own."""
    connection = await asyncpg.connect(database.url)
    try:
        async with (
            ValkeyServer(logs) as valkey,
            start_cache(database.cache_url, valkey.url, logs / "one", VARIABLES) as one,
            start_cache(database.cache_url, valkey.url, logs / "other", VARIABLES) as other,
        ):
            yield Pair(one, other, valkey, database, connection, logs)
    finally:
        await connection.close()
