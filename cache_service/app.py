"""The composition root of the cache service: the one place that knows every part."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from datetime import datetime
from functools import partial
from secrets import randbelow
from typing import TYPE_CHECKING

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from booking_service.postgres.revision import until_migrated
from cache_service.auditor import Auditor
from cache_service.cached_reads import CachedReads
from cache_service.coherence.audit import Hits
from cache_service.coherence.consistency import Consistency
from cache_service.coherence.explain import Explainer, Silent
from cache_service.coherence.filler import Filler
from cache_service.coherence.lease import LEASE_SECONDS
from cache_service.coherence.load_gate import LoadGate
from cache_service.coherence.watchers import End, Watchers
from cache_service.database import SNAPSHOTS, STATEMENTS, Primary, make_engine
from cache_service.edge.declared import discover
from cache_service.edge.explain import Explain
from cache_service.edge.near import NearResponses
from cache_service.edge.rights import ITEMISED, RIGHTS
from cache_service.edge.servicer import make_servicer
from cache_service.invalidation.relay import Relay
from cache_service.protocol import CoherentCache, open_cache
from cache_service.settings import Settings
from cache_service.stores.authority import PostgresAuthority
from cache_service.stores.redis.urls import tls_of
from cache_service.telemetry.counts import Counts, collect_cache, collect_loads
from cache_service.telemetry.tracing import TracedAuthority, TracedPrimary
from chairside.cache.v1 import cache_service_pb2
from service_kit.calls import deadline
from service_kit.clock import elapsed
from service_kit.postgres import collect_pools
from service_kit.process import Application, Runtime
from service_kit.settings import SettingsError
from service_kit.tls import TlsError, TlsFiles
from service_kit.tracing import traced

if TYPE_CHECKING:
    # At run time only where it is wanted, by open_tracing.
    from service_kit.otel import Tracing

__all__ = ["build", "check"]

_RELAY_POOL = 2
_LOOK_POOL = 2
_LEASE_PATIENCE = 3.0
"""A new process may have to wait for the leases of others; after that it loads meanwhile."""
_POLL = 0.02
_LEFT_TO_OTHERS = 2
"""Connections for loads that one organization leaves to the others, whatever it asks for."""

SERVICE = cache_service_pb2.DESCRIPTOR.services_by_name["CacheService"]


def check(settings: Settings) -> None:
    """Raise SettingsError for a time to live of a query that there is not, or a Redis URL."""
    known = {query.name for query in discover()}
    unknown = sorted(set(settings.ttls) - known)
    if unknown:
        names = ", ".join(sorted(known))
        raise SettingsError(
            [f"{settings.prefix}TTLS: {name} is not a query; there are {names}" for name in unknown]
        )
    try:
        tls = tls_of(settings.redis_url)
        TlsFiles(tls.certificate, tls.key, tls.ca).read()
    except TlsError as error:
        raise SettingsError([f"{settings.prefix}REDIS_URL: {error}"]) from None
    except ValueError:  # whose text may hold a part of the password
        problem = "cannot be read; is a / or @ of the password not written as %2F, %40?"
        raise SettingsError([f"{settings.prefix}REDIS_URL: {problem}"]) from None


async def build(settings: Settings, stack: AsyncExitStack, runtime: Runtime) -> Application:
    """Build the service; what must be closed enters the stack."""
    check(settings)
    counts = Counts()
    runtime.metrics.add(counts.collect)
    engines = _Engines(settings, stack, runtime.tracing)
    runtime.metrics.add(partial(collect_pools, engines.made))
    loads = engines.make("loads", settings.load_pool, SNAPSHOTS)
    primary = traced(Primary, TracedPrimary, runtime.tracing)(
        loads, engines.make("relay", _RELAY_POOL, STATEMENTS), runtime.clock
    )
    gate = LoadGate(
        settings.load_pool,
        share=max(1, settings.load_pool - _LEFT_TO_OTHERS),
        queue=settings.load_queue,
        patience=settings.pool_timeout,
    )
    cache = await open_cache(
        settings,
        stack,
        # A renewal that comes later than the lease ends is of no use.
        renewals=PostgresAuthority(engines.make("lease", 1, STATEMENTS), LEASE_SECONDS),
        looks=traced(PostgresAuthority, TracedAuthority, runtime.tracing)(
            engines.make("looks", _LOOK_POOL, STATEMENTS), settings.statement_timeout
        ),
        gate=gate,
        counts=counts,
        tracing=runtime.tracing,
    )
    runtime.metrics.add(partial(collect_loads, gate, cache.filler))
    auditor = _auditor(
        settings, cache=cache, primary=primary, gate=gate, counts=counts, now=runtime.clock.now
    )
    unset = Consistency(max_staleness=settings.default_max_staleness)
    reads = CachedReads(cache.reader, primary, settings.ttls, auditor, unset=unset)
    relay = Relay(primary, cache.invalidator, counts)
    uncounted = Filler(
        cache.store, cache.memory, Silent(), gate, cache.expiry, cache.pushes, deadline
    )
    stack.push_async_callback(uncounted.drain)

    def explaining() -> tuple[CachedReads, Explainer]:
        explainer = Explainer(
            store=cache.store,
            memory=cache.memory,
            lease=cache.lease,
            filler=uncounted,
            expiry=cache.expiry,
        )
        return CachedReads(explainer, primary, settings.ttls, unset=unset), explainer

    async def ready() -> None:
        """Wait for the database, begin to renew and to relay; wait a little for the lease."""
        await until_migrated(primary.revision, structlog.get_logger("cache.app"))
        stack.push_async_callback(cache.leave)
        audits = () if auditor is None else (auditor.run(),)
        ending = _end_at(runtime.draining, cache.watchers)
        for work in (cache.keeper.run(), relay.run(), cache.watchers.run(), ending, *audits):
            stack.push_async_callback(_cancelled, asyncio.create_task(work))
        waited = 0.0
        while cache.lease.known_at is None or (
            cache.servers.connected and cache.lease.era() is None and waited < _LEASE_PATIENCE
        ):
            await asyncio.sleep(_POLL)
            waited += _POLL

    near = NearResponses(reads, settings.response_bytes, runtime.clock, time.time)
    runtime.metrics.count_late.append(near.count)
    runtime.metrics.add(partial(collect_cache, cache.lease, cache.memory, near, cache.watchers))
    servicer = make_servicer(
        cached=reads,
        near=near,
        primary=primary,
        servers=cache.servers,
        invalidator=cache.invalidator,
        counts=counts,
        watchers=cache.watchers,
        process=cache.process,
        draining=runtime.draining,
        explain=Explain(explaining, cache.lease, cache.peers, runtime.clock, time.time),
        clock=runtime.clock,
        time=time.time,
    )
    return Application([(SERVICE, servicer)], ready, RIGHTS, ITEMISED)


def _auditor(
    settings: Settings,
    *,
    cache: CoherentCache,
    primary: Primary,
    gate: LoadGate,
    counts: Counts,
    now: Callable[[], datetime],
) -> Auditor | None:
    """Make the auditor, unless there is to be none."""
    if not settings.audit_share:
        return None
    return Auditor(
        every=round(1 / settings.audit_share),
        hits=Hits(cache.store, cache.memory),
        lease=cache.lease,
        load=primary.load,
        gate=gate,
        tally=counts,
        random=randbelow,
        now=now,
        clock=elapsed,
        sleep=asyncio.sleep,
    )


class _Engines:
    """Makes pools of their own, so that none can starve another, and has them closed."""

    def __init__(self, settings: Settings, stack: AsyncExitStack, tracing: Tracing | None) -> None:
        self._settings = settings
        self._tracing = tracing
        self._stack = stack
        self.made: dict[str, AsyncEngine] = {}

    def make(self, name: str, pool_size: int, isolation: str) -> AsyncEngine:
        """Make a pool, which metrics know by that name."""
        settings = self._settings
        engine = make_engine(
            settings.database_url,
            pool_size=pool_size,
            timeout=settings.statement_timeout,
            pool_timeout=settings.pool_timeout,
            isolation=isolation,
        )
        self._stack.push_async_callback(engine.dispose)
        self.made[name] = engine
        if self._tracing is not None:
            self._tracing.follow(engine)
        return engine


async def _end_at(draining: asyncio.Event, watchers: Watchers) -> None:
    await draining.wait()
    watchers.end(End.DRAINING)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
