"""Our own hands on the entries of a service that is measured: stored, crowded, and read.

They are stored as fills store them, under the guards and the era in force. `crowd` fills
the keyspace by a script in Valkey, a million entries in seconds: same names, same sizes,
same expiry, and their guards; nobody reads those.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, timedelta

from benchmarks.errors import BenchmarkError
from benchmarks.servers import Stand
from cache_service.coherence.entry import NONCE_BYTES, Entry, encode
from cache_service.coherence.era import Era
from cache_service.coherence.ports import Filled
from cache_service.database import STATEMENTS, make_engine
from cache_service.invalidation.tags import SCOPE, day
from cache_service.queries.availability import AvailabilityDay, availability
from cache_service.stores.authority import PostgresAuthority
from cache_service.stores.redis.servers import Connect, Node
from cache_service.stores.redis.store import RedisStore
from cache_service.stores.redis.urls import servers_of

__all__ = ["DAYS", "FIRST_DAY", "Shelf", "open_shelf"]

FIRST_DAY = date(2030, 1, 1)
DAYS = 100
_SERVICES = 10
_AT_ONCE = 500
_PAYLOAD = bytes(300)
_TTL = 24 * 3600.0
_FIRST_OF_CROWD = 1000
"""Barbers below are those of entries that are stored in earnest."""

# ARGV: the entry, its name before and after the number
# of the barber, the first number and how many; the same two parts of its guard's name; the
# lifetime in ms; 16 bytes for each guard, or nothing if the guards are there.
_CROWD = """
for i = 0, ARGV[5] - 1 do
  local barber = string.format('%d', ARGV[4] + i)
  redis.call('SET', ARGV[2] .. barber .. ARGV[3], ARGV[1], 'PX', ARGV[8])
  if #ARGV[9] > 0 then
    local nonce = string.sub(ARGV[9], 16 * i + 1, 16 * i + 16)
    redis.call('SET', ARGV[6] .. barber .. ARGV[7], nonce, 'PX', ARGV[8])
  end
end
"""
_PLACEHOLDER = 987_654_321


@dataclass(slots=True)
class Shelf:
    """The shared cache of a stand, under the era in force."""

    organization_id: int
    era: Era
    store: RedisStore
    node: Node

    async def fill(self, count: int) -> None:
        """Store so many entries in earnest; the first hundred are of barber 1, service 1."""
        entries = (self._arguments(number) for number in range(count))
        while chunk := list(itertools.islice(entries, _AT_ONCE)):
            await asyncio.gather(*map(self._put, chunk))

    async def crowd(self, count: int) -> None:
        """Store so many entries, at least, that nobody will read, each barber's with guards."""
        per_barber = DAYS * _SERVICES
        barbers = -(-count // per_barber)
        for number in range(per_barber):
            service, offset = divmod(number, DAYS)
            on = FIRST_DAY + timedelta(days=offset)
            arguments = AvailabilityDay(self.organization_id, _PLACEHOLDER, service + 1, on)
            key = self.store.full_key(self.era, self.organization_id, availability.key(arguments))
            guard = self.store.guard_key(self.era, self.organization_id, day(_PLACEHOLDER, on))
            nonces = os.urandom(NONCE_BYTES * (1 + len(availability.tags(arguments))))
            raw = encode(key, nonces, Entry(_PAYLOAD, "1:1:", time.time(), _TTL, 0.0))
            head, tail = key.split(str(_PLACEHOLDER))
            guard_head, guard_tail = guard.split(str(_PLACEHOLDER))
            values: list[str | bytes | int] = [raw, head, tail, _FIRST_OF_CROWD, barbers]
            values += [guard_head, guard_tail, round(_TTL * 1000)]
            values.append(os.urandom(NONCE_BYTES * barbers) if service == 0 else b"")
            await self.node.call("EVAL", _CROWD, 0, *values)

    async def _put(self, arguments: AvailabilityDay) -> None:
        key = availability.key(arguments)
        tags = (SCOPE, *availability.tags(arguments))
        nonces = tuple(await self.store.claim(self.era, self.organization_id, tags))
        name = self.store.full_key(self.era, self.organization_id, key)
        raw = encode(name, b"".join(nonces), Entry(_PAYLOAD, "1:1:", time.time(), _TTL, 0.0))
        filled = Filled(key, tags, nonces, raw, _TTL)
        await self.store.put(self.era, self.organization_id, filled)

    def _arguments(self, number: int) -> AvailabilityDay:
        rest, offset = divmod(number, DAYS)
        barber, service = divmod(rest, _SERVICES)
        on = FIRST_DAY + timedelta(days=offset)
        return AvailabilityDay(self.organization_id, barber + 1, service + 1, on)


@asynccontextmanager
async def open_shelf(at: Stand) -> AsyncIterator[Shelf]:
    """Reach the cache of a stand whose service runs. Raises BenchmarkError if it is off."""
    engine = make_engine(at.url, pool_size=1, timeout=10, pool_timeout=10, isolation=STATEMENTS)
    try:
        standing = await PostgresAuthority(engine, 10).look()
    finally:
        await engine.dispose()
    if standing.era is None:
        message = "the cache is off"
        raise BenchmarkError(message)
    servers = servers_of(at.valkey.url, Connect("benchmark", 60.0), lambda _why: None)
    await servers.open()
    try:
        store = RedisStore(servers, os.urandom)
        node, _ = store.place(standing.era, at.organization_id)
        yield Shelf(at.organization_id, standing.era, store, node)
    finally:
        await servers.close()
