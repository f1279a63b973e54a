"""GetStats: what this process counted since it started."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress

from cache_service.coherence.ports import StoreUnavailableError
from cache_service.stores.redis.servers import Servers
from cache_service.telemetry.counts import Counts, QueryCounts
from chairside.cache.v1 import cache_service_pb2
from service_kit.calls import Context
from service_kit.validation import Violations

__all__ = ["Stats"]


class Stats:
    """Answers GetStats. `time` gives seconds since the epoch.

    `count_late` counts what is counted many at a time.
    """

    def __init__(
        self,
        counts: Counts,
        count_late: Callable[[], None],
        servers: Servers,
        time: Callable[[], float],
    ) -> None:
        self._counts = counts
        self._count_late = count_late
        self._servers = servers
        self._time = time
        self._started = time()

    async def get_stats(
        self, request: cache_service_pb2.GetStatsRequest, _context: Context
    ) -> cache_service_pb2.GetStatsResponse:
        """Return counts by query, of one organization if it is named."""
        violations = Violations()
        organization_id = violations.optional_id("organization_id", request.organization_id)
        violations.raise_if_any()
        self._count_late()
        counts = self._counts
        queries = counts.of_organization(organization_id) if organization_id else counts.queries
        response = cache_service_pb2.GetStatsResponse(
            queries=[_query(name, queries[name]) for name in sorted(queries)]
        )
        ratio = _ratio(queries.values())
        if ratio is not None:
            response.hit_ratio = ratio
        with suppress(StoreUnavailableError):
            response.redis_used_memory_bytes = await self._servers.used_memory()
            response.redis_available = True
        response.start_time.FromMicroseconds(int(self._started * 1e6))
        response.uptime.FromMicroseconds(int((self._time() - self._started) * 1e6))
        return response


def _query(name: str, counts: QueryCounts) -> cache_service_pb2.QueryStats:
    return cache_service_pb2.QueryStats(
        query=name,
        hits=counts.hits,
        misses=counts.misses,
        loads=counts.loads,
        errors=counts.errors,
        bytes=counts.bytes,
        entries=counts.entries,
        hit_ratio=_ratio([counts]),
    )


def _ratio(all_counts: Iterable[QueryCounts]) -> float | None:
    found = list(all_counts)
    hits = sum(counts.hits for counts in found)
    asked = hits + sum(counts.misses for counts in found)
    return hits / asked if asked else None
