"""A store over a real server, as the tests of the store use it."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from cache_service.coherence.era import Era
from cache_service.coherence.ports import Filled, StoreUnavailableError, Taken, Wanted
from cache_service.stores.redis.channels import Channels
from cache_service.stores.redis.connection import MultiplexedConnection
from cache_service.stores.redis.servers import Connect, Servers
from cache_service.stores.redis.store import RedisStore
from cache_service.stores.redis.urls import servers_of

__all__ = ["ORGANIZATION", "TAGS", "Bound", "Opened", "Place", "open_store"]

ORGANIZATION = 7
TAGS = ("organization", "day:7:2018-05-24")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a store is: the setting, and the URL of the server of the organization's keys."""

    url: str
    server: str


class Bound:
    """A store under an epoch with the server as it is at each call, whoever that is."""

    def __init__(self, store: RedisStore, servers: Servers, epoch: str) -> None:
        self._store = store
        self._servers = servers
        self._epoch = epoch
        self.used_memory = servers.used_memory

    async def era(self) -> Era:
        """Return the era with the server as it is now."""
        identity = await self._servers.identity()
        if identity is None:
            message = "READONLY no primary"
            raise StoreUnavailableError(message)
        return Era("1-1", self._epoch, identity)

    async def fetch(
        self, organization_id: int, keys: Sequence[str], tags: Sequence[str]
    ) -> tuple[Sequence[bytes | None], Sequence[bytes | None]]:
        """Return entries and guards."""
        return await self._store.fetch(await self.era(), organization_id, keys, tags)

    async def claim(self, organization_id: int, tags: Sequence[str]) -> Sequence[bytes]:
        """Return the guards."""
        return await self._store.claim(await self.era(), organization_id, tags)

    async def take(self, organization_id: int, *wanted: Wanted) -> Sequence[Taken]:
        """Claim guards and take load locks."""
        return await self._store.take(await self.era(), organization_id, wanted)

    async def renew(self, organization_id: int, keys: Sequence[str], token: bytes) -> None:
        """Let locks last."""
        await self._store.renew(await self.era(), organization_id, keys, token)

    async def release(self, organization_id: int, keys: Sequence[str], token: bytes) -> None:
        """Release locks."""
        await self._store.release(await self.era(), organization_id, keys, token)

    async def put(self, organization_id: int, filled: Filled) -> bool:
        """Store an entry."""
        return await self._store.put(await self.era(), organization_id, filled)

    async def invalidate(self, organization_id: int, tags: Sequence[str], number: int = 1) -> None:
        """Delete guards and publish."""
        await self._store.invalidate(await self.era(), organization_id, tags, number)

    async def full_key(self, organization_id: int, key: str) -> str:
        """Return an entry's name."""
        return self._store.full_key(await self.era(), organization_id, key)

    async def guard_key(self, organization_id: int, tag: str) -> str:
        """Return a guard's name."""
        return self._store.guard_key(await self.era(), organization_id, tag)


@dataclass(frozen=True, slots=True)
class Opened:
    """A store, its servers, every change of the connections' state, and what it heard."""

    store: Bound
    unbound: RedisStore
    servers: Servers
    changes: list[str | None]
    heard: list[tuple[bytes, bytes]]

    @property
    def connection(self) -> MultiplexedConnection:
        """The connection to the server that has the organization's keys."""
        node = self.servers.node(ORGANIZATION)
        assert node is not None
        return node.connection

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
            lambda: self.store.take(ORGANIZATION, Wanted("key", TAGS)),
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
    url: str,
    *,
    patience: float = 5.0,
    epoch: str = "e1",
    publisher: str = "me",
    compress_above: int = 0,
) -> AsyncIterator[Opened]:
    """Connect a store of its own; it need not be able to."""
    changes: list[str | None] = []
    heard: list[tuple[bytes, bytes]] = []

    def hear(_channels: Channels, channel: bytes, text: bytes) -> None:
        heard.append((channel, text))

    servers = servers_of(url, Connect(publisher, patience, hear), changes.append)
    await servers.open()
    store = RedisStore(servers, os.urandom, compress_above)
    try:
        yield Opened(Bound(store, servers, epoch), store, servers, changes, heard)
    finally:
        await servers.close()
