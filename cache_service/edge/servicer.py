"""The servicer: every method of the contract and what answers it."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

from google.protobuf.message_factory import GetMessageClass

from cache_service.cached_reads import CachedReads
from cache_service.coherence.invalidator import Invalidator
from cache_service.database import Primary
from cache_service.edge.analytics import Analytics
from cache_service.edge.availability import Availability
from cache_service.edge.availability_near import NearAvailability
from cache_service.edge.declared import DeclaredReads, by_rpc, discover
from cache_service.edge.explain import Explain
from cache_service.edge.invalidate import Invalidate
from cache_service.edge.stats import Stats
from cache_service.edge.warm import Warm
from cache_service.stores.redis.store import RedisStore
from cache_service.telemetry.counts import Counts
from chairside.cache.v1 import cache_service_pb2
from service_kit.clock import Clock

__all__ = ["make_servicer"]


def make_servicer(
    *,
    reads: CachedReads,
    primary: Primary,
    store: RedisStore,
    invalidator: Invalidator,
    counts: Counts,
    explain: Explain,
    clock: Clock,
    time: Callable[[], float],
) -> SimpleNamespace:
    """Return an object with a method for each of the contract that this version has.

    Declared queries bring their own; the rest are named here. `near_GetAvailability` is
    tried first, then `fast_GetAvailability`, then `GetAvailability`.
    """
    declared = DeclaredReads(reads, clock, time)
    queries = by_rpc(discover())
    availability = Availability(reads, declared, clock, time)
    servicer = SimpleNamespace(
        near_GetAvailability=NearAvailability(reads, clock, time).answer,
        fast_GetAvailability=availability.hit,
        GetAvailability=availability.get_availability,
        GetAnalytics=Analytics(declared, queries).get_analytics,
        Invalidate=Invalidate(invalidator).invalidate,
        Warm=Warm(reads, declared, primary, clock).warm,
        Explain=explain.explain,
        GetStats=Stats(counts, store, time).get_stats,
    )
    for method in cache_service_pb2.DESCRIPTOR.services_by_name["CacheService"].methods:
        if method.name in queries:
            response = GetMessageClass(method.output_type)
            setattr(servicer, method.name, declared.method(queries[method.name], response))
    return servicer
