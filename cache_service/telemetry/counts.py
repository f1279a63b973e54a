"""Every count of the cache service: plain integers, read when somebody asks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from cache_service.coherence.filler import Filler
from cache_service.coherence.keeper import Happening
from cache_service.coherence.lease import Lease
from cache_service.coherence.load_gate import LoadGate
from cache_service.coherence.memory import Memory
from cache_service.coherence.outcome import Outcome
from cache_service.coherence.watchers import Watchers
from service_kit.adding_up import OverWorkers

__all__ = ["OVER_WORKERS", "Counts", "QueryCounts", "collect_cache", "collect_loads"]

_MAX_ORGANIZATIONS_KEPT = 10_000

OVER_WORKERS: OverWorkers = {
    "chairside_cache_lease_held": min,
    "chairside_cache_outbox_age_seconds": max,
    "chairside_cache_redis_connected": min,
}
"""What a gauge below is over several workers, where it is not the sum."""


@dataclass(slots=True)
class QueryCounts:
    """Counts of one query's entries."""

    outcomes: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    errors: int = 0
    bytes: int = 0
    entries: int = 0

    @property
    def hits(self) -> int:
        """Entries served from cache."""
        return sum(count for outcome, count in self.outcomes.items() if outcome.cached)

    @property
    def misses(self) -> int:
        """Entries asked of the cache and not served by it."""
        return self._loaded + self.outcomes[Outcome.SHARED]

    @property
    def loads(self) -> int:
        """Entries loaded from the database."""
        return self._loaded + self.outcomes[Outcome.BYPASS]

    @property
    def _loaded(self) -> int:
        return self.outcomes[Outcome.MISS] + self.outcomes[Outcome.UNCACHED]


class Counts:
    """Counts of this process, by query and, for the first 10,000 organizations, by both."""

    def __init__(self) -> None:
        self.queries: dict[str, QueryCounts] = {}
        self._by_organization: dict[int, dict[str, QueryCounts]] = {}
        self.invalidations = 0
        self.invalidated_tags = 0
        self.fences = 0
        self.expulsions = 0
        self.happenings = dict.fromkeys(Happening, 0)
        self.relayed = 0
        self.audits_checked = 0
        self.audits_mismatched = 0
        self.audits_dropped = 0
        self.outbox_age = 0.0
        self.redis_connected = False

    def answered(self, organization_id: int, query: str, outcome: Outcome) -> None:
        """Count one entry answered."""
        for counts in self._both(organization_id, query):
            counts.outcomes[outcome] += 1

    def stored(self, organization_id: int, query: str, size: int) -> None:
        """Count one entry stored, and its size in bytes."""
        for counts in self._both(organization_id, query):
            counts.entries += 1
            counts.bytes += size

    def load_failed(self, organization_id: int, query: str) -> None:
        """Count one entry whose load failed.

        For an organization of its own only if it is known by an answer: ids that were made
        up must not crowd out those that are there.
        """
        self.queries.setdefault(query, QueryCounts()).errors += 1
        own = self._by_organization.get(organization_id)
        if own is not None:
            own.setdefault(query, QueryCounts()).errors += 1

    def of_organization(self, organization_id: int) -> dict[str, QueryCounts]:
        """Return one organization's counts by query; empty if it has none."""
        return self._by_organization.get(organization_id, {})

    def _both(self, organization_id: int, query: str) -> tuple[QueryCounts, ...]:
        total = self.queries.get(query)
        if total is None:
            total = self.queries[query] = QueryCounts()
        own = self._by_organization.get(organization_id)
        if own is None:
            if len(self._by_organization) >= _MAX_ORGANIZATIONS_KEPT:
                return (total,)
            own = self._by_organization[organization_id] = {}
        counts = own.get(query)
        if counts is None:
            counts = own[query] = QueryCounts()
        return total, counts

    def collect(self) -> Iterable[Metric]:
        """Give the counts to Prometheus."""
        reads = CounterMetricFamily(
            "chairside_cache_reads",
            "Entries answered, by query and how they were come by.",
            labels=("query", "outcome"),
        )
        errors = CounterMetricFamily(
            "chairside_cache_load_errors", "Entries whose load failed.", labels=("query",)
        )
        stored = CounterMetricFamily(
            "chairside_cache_stored", "Entries stored in the shared cache.", labels=("query",)
        )
        stored_bytes = CounterMetricFamily(
            "chairside_cache_stored_bytes", "Bytes stored in the shared cache.", labels=("query",)
        )
        for name, counts in sorted(self.queries.items()):
            for outcome, count in counts.outcomes.items():
                reads.add_metric((name, outcome.value), count)
            errors.add_metric((name,), counts.errors)
            stored.add_metric((name,), counts.entries)
            stored_bytes.add_metric((name,), counts.bytes)
        yield from (reads, errors, stored, stored_bytes)
        for name, text, value in (
            ("invalidations", "Invalidations applied, the relay's included.", self.invalidations),
            ("invalidated_tags", "Tags invalidated.", self.invalidated_tags),
            ("fences", "Times the cache was turned off since Redis took no invalidation.",
             self.fences),
            ("expulsions", "Members expelled since they acknowledged no invalidation.",
             self.expulsions),
            ("relayed_events", "Events of the outbox applied by the relay.", self.relayed),
            ("audit_checked", "Hits compared with the database.", self.audits_checked),
            ("audit_mismatched", "Hits that were not what the database says.",
             self.audits_mismatched),
            ("audit_dropped", "Hits chosen for an audit that could not be compared.",
             self.audits_dropped),
        ):  # fmt: skip
            yield CounterMetricFamily(f"chairside_cache_{name}", text, value=value)
        changes = CounterMetricFamily(
            "chairside_cache_lease_changes",
            "What became of this process's lease and of the cache as a whole, by kind.",
            labels=("kind",),
        )
        for happening, times in self.happenings.items():
            changes.add_metric((happening.name.lower(),), times)
        yield changes
        yield GaugeMetricFamily(
            "chairside_cache_outbox_age_seconds",
            "Age of the oldest event that the relay found waiting; 0 if none waited.",
            value=self.outbox_age,
        )
        yield GaugeMetricFamily(
            "chairside_cache_redis_connected",
            "1 if the shared cache answers, else 0: reads then come from the database.",
            value=self.redis_connected,
        )


def collect_loads(gate: LoadGate, filler: Filler) -> Iterable[Metric]:
    """Give Prometheus what the database is asked for now."""
    yield GaugeMetricFamily(
        "chairside_cache_shared_loads",
        "Entries being loaded, that other callers may join.",
        value=filler.open_loads,
    )
    yield GaugeMetricFamily(
        "chairside_cache_loads_running", "Loads that run in the database.", value=gate.running
    )
    yield GaugeMetricFamily(
        "chairside_cache_loads_waiting", "Loads that wait for a place.", value=gate.waiting
    )


def collect_cache(lease: Lease, memory: Memory, watchers: Watchers) -> Iterable[Metric]:
    """Give Prometheus whether hits are served, what is kept in memory, and who watches."""
    yield GaugeMetricFamily(
        "chairside_cache_lease_held",
        "1 if this process may serve hits, else 0: reads then come from the database.",
        value=lease.era() is not None,
    )
    yield GaugeMetricFamily(
        "chairside_cache_memory_entries", "Answers in this process's memory.", value=len(memory)
    )
    yield GaugeMetricFamily(
        "chairside_cache_memory_bytes", "Bytes of those answers, roughly.", value=memory.bytes
    )
    yield GaugeMetricFamily(
        "chairside_cache_watchers", "Callers told of invalidations by Watch.", value=len(watchers)
    )
