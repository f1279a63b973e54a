"""The composition root of the cache service: the one place that knows every part."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import AsyncExitStack, suppress
from functools import partial

import structlog

from cache_service.cached_reads import CachedReads
from cache_service.coherence.filler import Filler
from cache_service.coherence.load_gate import LoadGate
from cache_service.coherence.reader import Reader
from cache_service.database import Primary, make_engine
from cache_service.edge.declared import discover
from cache_service.edge.servicer import make_servicer
from cache_service.invalidation.invalidator import Invalidator
from cache_service.invalidation.relay import Relay
from cache_service.settings import Settings
from cache_service.stores.redis.connection import Address, MultiplexedConnection
from cache_service.stores.redis.store import RedisStore
from cache_service.telemetry.counts import Counts, collect_loads
from chairside.cache.v1 import cache_service_pb2
from service_kit.errors import Unavailable
from service_kit.process import Application, Runtime
from service_kit.settings import SettingsError

__all__ = ["build", "check_ttls"]

_RETRY = 0.5
_WORK_POOL = 3
"""Connections for outbox, authority and tokens, apart from the loads'."""

_LEFT_TO_OTHERS = 2
"""Connections for loads that one organization leaves to the others, whatever it asks for."""

SERVICE = cache_service_pb2.DESCRIPTOR.services_by_name["CacheService"]


def check_ttls(settings: Settings) -> None:
    """Raise SettingsError for a time to live of a query that there is not."""
    known = {query.name for query in discover()}
    unknown = sorted(set(settings.ttls) - known)
    if unknown:
        names = ", ".join(sorted(known))
        raise SettingsError(
            [f"{settings.prefix}TTLS: {name} is not a query; there are {names}" for name in unknown]
        )


async def build(settings: Settings, stack: AsyncExitStack, runtime: Runtime) -> Application:
    """Build the service; what must be closed enters the stack."""
    log = structlog.get_logger("cache.app")
    check_ttls(settings)
    counts = Counts()
    runtime.metrics.add(counts.collect)

    def changed(why: str | None) -> None:
        counts.redis_connected = why is None
        if why is None:
            log.info("redis connected")
        else:
            log.warning("redis away, reads come from the database", reason=why)

    connection = MultiplexedConnection(
        Address.from_url(settings.redis_url), timeout=settings.redis_timeout, changed=changed
    )
    await connection.open()
    stack.push_async_callback(connection.close)
    primary = Primary(
        make_engine(
            settings.database_url,
            pool_size=settings.load_pool,
            timeout=settings.statement_timeout,
            pool_timeout=settings.pool_timeout,
            read_only=True,
        ),
        make_engine(
            settings.database_url,
            pool_size=_WORK_POOL,
            timeout=settings.statement_timeout,
            pool_timeout=settings.pool_timeout,
            read_only=False,
        ),
        runtime.clock,
    )
    stack.push_async_callback(primary.close)
    store = RedisStore(connection, os.urandom)
    gate = LoadGate(
        settings.load_pool,
        share=max(1, settings.load_pool - _LEFT_TO_OTHERS),
        queue=settings.load_queue,
        patience=settings.pool_timeout,
    )
    runtime.metrics.add(partial(collect_loads, gate))
    filler = Filler(store, counts, gate, time.time)
    stack.push_async_callback(filler.drain)
    reader = Reader(store, counts, filler, time.time)
    reads = CachedReads(reader, primary, settings.ttls)
    invalidator = Invalidator(store, counts)
    relay = Relay(primary, invalidator, counts)

    async def ready() -> None:
        """Wait for the database, learn the epoch, and start to relay."""
        while True:
            try:
                identity = await primary.identity()
                break
            except Unavailable as error:
                log.warning("waiting for the database", reason=error.message)
                await asyncio.sleep(_RETRY)
        store.adopt(identity.epoch)
        reader.database = identity.database
        log.info("epoch known", epoch=identity.epoch, database=identity.database)
        task = asyncio.create_task(relay.run())
        stack.push_async_callback(_cancelled, task)

    servicer = make_servicer(
        reads=reads,
        primary=primary,
        store=store,
        invalidator=invalidator,
        counts=counts,
        clock=runtime.clock,
        time=time.time,
    )
    return Application([(SERVICE, servicer)], ready)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
