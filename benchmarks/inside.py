"""The protocol within our own process: what a hit costs that no RPC is in the way of.

It is put together as in the service, and is a member like any other.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from benchmarks.servers import Stand
from cache_service.cached_reads import CachedReads
from cache_service.coherence.load_gate import LoadGate
from cache_service.database import SNAPSHOTS, STATEMENTS, Primary, make_engine
from cache_service.protocol import open_cache
from cache_service.settings import Settings
from cache_service.stores.authority import PostgresAuthority
from cache_service.telemetry.counts import Counts
from service_kit.clock import SystemClock

__all__ = ["inside", "loads"]

_TIMEOUT = 10.0
_POLL = 0.01


@asynccontextmanager
async def loads(at: Stand) -> AsyncIterator[Primary]:
    """Return what loads from the database, on one connection."""
    engines = [
        make_engine(
            at.cache_url, pool_size=1, timeout=_TIMEOUT, pool_timeout=_TIMEOUT, isolation=isolation
        )
        for isolation in (SNAPSHOTS, STATEMENTS)
    ]
    try:
        yield Primary(engines[0], engines[1], SystemClock())
    finally:
        for engine in engines:
            await engine.dispose()


@asynccontextmanager
async def inside(at: Stand, primary: Primary, memory_bytes: int) -> AsyncIterator[CachedReads]:
    """Become a member, and return what reads once hits are served; memory 0 has none."""
    settings = Settings(
        database_url=at.cache_url,
        redis_url=at.valkey.url,
        redis_timeout=2.0,
        memory_bytes=memory_bytes,
    )
    async with AsyncExitStack() as stack:
        engine = make_engine(
            at.cache_url, pool_size=2, timeout=_TIMEOUT, pool_timeout=_TIMEOUT, isolation=STATEMENTS
        )
        stack.push_async_callback(engine.dispose)
        authority = PostgresAuthority(engine, _TIMEOUT)
        cache = await open_cache(
            settings,
            stack,
            renewals=authority,
            looks=authority,
            gate=LoadGate(1, share=1, queue=1, patience=_TIMEOUT),
            counts=Counts(),
        )
        keeping = asyncio.create_task(cache.keeper.run())
        try:
            async with asyncio.timeout(_TIMEOUT):
                while cache.lease.era() is None:  # noqa: ASYNC110 - a lease tells nobody
                    await asyncio.sleep(_POLL)
            yield CachedReads(cache.reader, primary, {})
        finally:
            keeping.cancel()
            with suppress(asyncio.CancelledError):
                await keeping
            await cache.leave()
