"""A store over a real server, as the tests of the store use it."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from cache_service.coherence.ports import Filled, StoreUnavailableError
from cache_service.stores.redis.connection import Address, MultiplexedConnection
from cache_service.stores.redis.store import RedisStore

__all__ = ["ORGANIZATION", "TAGS", "TIMEOUT", "Opened", "open_store"]

ORGANIZATION = 7
TAGS = ("organization", "day:7:2018-05-24")
TIMEOUT = 0.25


@dataclass(frozen=True, slots=True)
class Opened:
    """A store, its connection, and every change of the connection's state."""

    store: RedisStore
    connection: MultiplexedConnection
    changes: list[str | None]

    async def fill(self, raw: bytes = b"raw", tags: tuple[str, ...] = TAGS) -> bool:
        """Claim the guards and store an entry under `key`."""
        nonces = tuple(await self.store.claim(ORGANIZATION, tags))
        return await self.store.put(ORGANIZATION, Filled("key", tags, nonces, raw, 60))

    async def entry(self) -> bytes | None:
        """Return what is stored under `key`."""
        (raw,), _ = await self.store.fetch(ORGANIZATION, ("key",), ())
        return raw

    async def works(self) -> bool:
        """Tell whether a whole fill works now."""
        try:
            return await self.fill()
        except StoreUnavailableError:
            return False

    async def fails(self) -> str:
        """Try every call; return why they fail, or nothing if any does not."""
        reason = ""
        calls: list[Any] = [
            lambda: self.store.fetch(ORGANIZATION, ("key",), TAGS),
            lambda: self.store.claim(ORGANIZATION, TAGS),
            lambda: self.store.put(ORGANIZATION, Filled("key", TAGS, (b"1", b"2"), b"raw", 60)),
            lambda: self.store.invalidate(ORGANIZATION, TAGS),
            self.store.used_memory,
        ]
        for call in calls:
            try:
                await call()
            except StoreUnavailableError as error:
                reason = str(error)
            else:
                return ""
        return reason


@asynccontextmanager
async def open_store(
    url: str, *, patience: float = TIMEOUT, epoch: str = "e1"
) -> AsyncIterator[Opened]:
    """Connect a store of its own; it need not be able to."""
    changes: list[str | None] = []
    connection = MultiplexedConnection(
        Address.from_url(url), timeout=patience, changed=changes.append
    )
    await connection.open()
    store = RedisStore(connection, os.urandom)
    store.adopt(epoch)
    try:
        yield Opened(store, connection, changes)
    finally:
        await connection.close()
