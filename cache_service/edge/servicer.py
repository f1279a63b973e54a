"""The servicer: every method of the contract and what answers it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace

from cache_service.cached_reads import CachedReads
from cache_service.coherence.invalidator import Invalidator
from cache_service.coherence.watchers import Watchers
from cache_service.database import Primary
from cache_service.edge.batch import Batches
from cache_service.edge.declared import DeclaredReads
from cache_service.edge.explain import Explain
from cache_service.edge.invalidate import Invalidate
from cache_service.edge.kinds import kinds
from cache_service.edge.near import NearResponses
from cache_service.edge.plain_day import PlainDays
from cache_service.edge.reads import Reads
from cache_service.edge.stats import Stats
from cache_service.edge.warm import Warm
from cache_service.edge.watch import Watch
from cache_service.stores.redis.servers import Servers
from cache_service.telemetry.counts import Counts
from service_kit.clock import Clock

__all__ = ["make_servicer"]


def make_servicer(
    *,
    cached: CachedReads,
    near: NearResponses,
    primary: Primary,
    servers: Servers,
    invalidator: Invalidator,
    counts: Counts,
    watchers: Watchers,
    process: str,
    draining: asyncio.Event,
    explain: Explain,
    clock: Clock,
    time: Callable[[], float],
) -> SimpleNamespace:
    """Return an object with a method for each of the contract that this version has.

    What is near is tried before all else, then what is fast.
    """
    known = kinds(cached, clock)
    reads = Reads(known, near, time)
    declared = DeclaredReads(cached, clock)
    plain_days = PlainDays(cached, near, known["get_availability"], clock, time)
    batches = Batches(reads, process, draining)
    return SimpleNamespace(
        **reads.methods(),
        fast_GetAvailability=plain_days.hit,
        near_BatchGet=batches.near,
        BatchGet=batches.batch_get,
        Lookup=batches.lookup,
        Watch=Watch(watchers, process).watch,
        Invalidate=Invalidate(invalidator).invalidate,
        Warm=Warm(cached, declared, primary, clock).warm,
        Explain=explain.explain,
        GetStats=Stats(counts, near.count, servers, time).get_stats,
    )
