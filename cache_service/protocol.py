"""The protocol, put together: this process's part of it, over Redis and the authority."""

from __future__ import annotations

import asyncio
import os
import random
import time
import uuid
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from cache_service.coherence.authority import Authority, AuthorityUnavailableError
from cache_service.coherence.expiry import Expiry
from cache_service.coherence.filler import Filler
from cache_service.coherence.invalidator import Invalidator
from cache_service.coherence.keeper import Happening, Keeper
from cache_service.coherence.lease import Lease
from cache_service.coherence.load_gate import LoadGate
from cache_service.coherence.memory import Memory
from cache_service.coherence.peers import Peers, Publication
from cache_service.coherence.pushes import Pushes
from cache_service.coherence.reader import Reader
from cache_service.coherence.watchers import Watchers
from cache_service.invalidation.rules import RULES_VERSION
from cache_service.settings import Settings
from cache_service.stores.redis.channels import Channels
from cache_service.stores.redis.servers import Connect, Servers
from cache_service.stores.redis.store import RedisStore
from cache_service.stores.redis.urls import servers_of
from cache_service.telemetry.counts import Counts
from cache_service.telemetry.tracing import TracedInvalidator, TracedStore
from service_kit.calls import deadline
from service_kit.clock import elapsed
from service_kit.tracing import traced

if TYPE_CHECKING:
    # At run time only where it is wanted, by open_tracing.
    from service_kit.otel import Tracing

__all__ = ["CoherentCache", "open_cache"]

_QUIET = frozenset({Happening.JOINED, Happening.KNOWN, Happening.TURNED_ON})
_LEAVING_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class CoherentCache:
    """What the rest of the process uses of the protocol."""

    servers: Servers
    store: RedisStore
    memory: Memory
    lease: Lease
    peers: Peers
    expiry: Expiry
    pushes: Pushes
    reader: Reader
    invalidator: Invalidator
    keeper: Keeper
    watchers: Watchers
    process: str
    """A name that no other process has, and that this one loses when it ends."""
    filler: Filler

    async def leave(self) -> None:
        """Leave the members, so that no mutation waits for a process that ends."""
        with suppress(AuthorityUnavailableError, TimeoutError):
            async with asyncio.timeout(_LEAVING_SECONDS):
                await self.keeper.leave()


async def open_cache(
    settings: Settings,
    stack: AsyncExitStack,
    *,
    renewals: Authority,
    looks: Authority,
    gate: LoadGate,
    counts: Counts,
    tracing: Tracing | None = None,
) -> CoherentCache:
    """Connect and put together; nothing is served from it until its keeper runs.

    `renewals` is the authority as the keeper asks it, on a connection of its own.
    """
    log = structlog.get_logger("cache.protocol")
    publisher = str(uuid.uuid4())
    lease = Lease(elapsed)
    watchers = Watchers(lease, elapsed, asyncio.sleep)
    memory = Memory(settings.answer_bytes, time.time, watchers)
    pushes = Pushes()
    expiry = Expiry(time.time, random.random, settings.keep_stale)

    def acknowledge(publication: Publication, member: str) -> None:
        store.acknowledge(publication, member)

    peers = Peers(memory, publisher, acknowledge, asyncio.sleep)

    def changed(why: str | None) -> None:
        # What was published while nobody listened is not known.
        memory.forget()
        pushes.lost()
        counts.redis_connected = why is None
        if why is None:
            log.info("redis connected")
        else:
            counts.redis_lost += 1
            log.warning("redis away, reads come from the database", reason=why)

    def happened(happening: Happening) -> None:
        counts.happenings[happening] += 1
        (log.info if happening in _QUIET else log.warning)(happening.value)

    def hear(channels: Channels, channel: bytes, text: bytes) -> None:
        channels.read(channel, text, peers, pushes)

    connect = Connect(publisher, settings.redis_timeout, hear)
    servers = servers_of(settings.redis_url, connect, changed)
    store = traced(RedisStore, TracedStore, tracing)(servers, os.urandom, settings.compress_above)
    await servers.open()
    stack.push_async_callback(servers.close)
    filler = Filler(store, memory, counts, gate, expiry, pushes, deadline)
    stack.push_async_callback(filler.drain)
    keeper = Keeper(
        authority=renewals,
        server=servers,
        lease=lease,
        memory=memory,
        peers=peers,
        rules_version=RULES_VERSION,
        new_member=lambda: str(uuid.uuid4()),
        tell=happened,
        clock=elapsed,
        sleep=asyncio.sleep,
    )
    invalidator = traced(Invalidator, TracedInvalidator, tracing)(
        store=store,
        authority=looks,
        lease=lease,
        peers=peers,
        observer=counts,
        rules_version=RULES_VERSION,
        clock=elapsed,
        sleep=asyncio.sleep,
    )
    reader = Reader(
        store=store, memory=memory, lease=lease, observer=counts, filler=filler, expiry=expiry
    )
    return CoherentCache(
        servers=servers,
        store=store,
        memory=memory,
        lease=lease,
        peers=peers,
        watchers=watchers,
        process=publisher,
        expiry=expiry,
        pushes=pushes,
        reader=reader,
        invalidator=invalidator,
        keeper=keeper,
        filler=filler,
    )
