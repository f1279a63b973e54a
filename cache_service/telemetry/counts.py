"""Every count of the cache service: plain integers, read when somebody asks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from prometheus_client import Metric

from cache_service.coherence.filler import Filler
from cache_service.coherence.keeper import Happening
from cache_service.coherence.lease import Lease
from cache_service.coherence.load_gate import LoadGate
from cache_service.coherence.memory import Memory
from cache_service.coherence.outcome import Outcome
from cache_service.coherence.watchers import Watchers
from cache_service.telemetry import measures as of
from service_kit.measures import Histogram

__all__ = ["Counts", "QueryCounts", "Sized", "collect_cache", "collect_loads"]

_MAX_ORGANIZATIONS_KEPT = 10_000

# A row waits 0.3 s before the relay takes it, and is to be applied within a second.
_RELAY_SECONDS = (0.35, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0, 60.0, 600.0)


class Sized(Protocol):
    """What is kept, and its bytes."""

    @property
    def bytes(self) -> int:
        """Roughly."""

    def __len__(self) -> int:
        """Tell how many."""


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
        self._loads: dict[str, Histogram] = {}
        self._invalidations = Histogram()
        self.invalidations = 0
        self.invalidated_tags = 0
        self.fences = 0
        self.expulsions = 0
        self.happenings = dict.fromkeys(Happening, 0)
        self.relayed = 0
        self._relay_delay = Histogram(_RELAY_SECONDS)
        self.audits_checked = 0
        self.audits_mismatched = 0
        self.audits_dropped = 0
        self.outbox_age = 0.0
        self.redis_connected = False
        self.redis_lost = 0

    def answered(self, organization_id: int, query: str, outcome: Outcome) -> None:
        """Count one entry answered."""
        own = self._by_organization.get(organization_id)
        if own is not None and query in own:  # As nearly always: then there is a total, too.
            own[query].outcomes[outcome] += 1
            self.queries[query].outcomes[outcome] += 1
            return
        for counts in self._both(organization_id, query):
            counts.outcomes[outcome] += 1

    def stored(self, organization_id: int, query: str, size: int) -> None:
        """Count one entry stored, and its size in bytes."""
        for counts in self._both(organization_id, query):
            counts.entries += 1
            counts.bytes += size

    def loaded(self, query: str, seconds: float) -> None:
        """Count one load, and how long the database took."""
        loads = self._loads.get(query)
        if loads is None:
            loads = self._loads[query] = Histogram()
        loads.observe(seconds)

    def invalidated(self, tags: int, seconds: float) -> None:
        """Count one invalidation that was applied, its tags and how long it took."""
        self.invalidations += 1
        self.invalidated_tags += tags
        self._invalidations.observe(seconds)

    def relayed_after(self, seconds: float) -> None:
        """Count one event that the relay has applied, and its age."""
        self.relayed += 1
        self._relay_delay.observe(seconds)

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
        queries = sorted(self.queries.items())
        yield of.READS.by(
            ((name, outcome.value), count)
            for name, counts in queries
            for outcome, count in counts.outcomes.items()
        )
        yield of.LOAD_ERRORS.by(((name,), counts.errors) for name, counts in queries)
        yield of.STORED.by(((name,), counts.entries) for name, counts in queries)
        yield of.STORED_BYTES.by(((name,), counts.bytes) for name, counts in queries)
        yield of.LOAD_SECONDS.by(((name,), loads) for name, loads in sorted(self._loads.items()))
        yield of.INVALIDATIONS.of(self.invalidations)
        yield of.INVALIDATED_TAGS.of(self.invalidated_tags)
        yield of.INVALIDATION_SECONDS.of(self._invalidations)
        yield of.FENCES.of(self.fences)
        yield of.EXPULSIONS.of(self.expulsions)
        yield of.RELAYED.of(self.relayed)
        yield of.RELAY_DELAY.of(self._relay_delay)
        yield of.OUTBOX_AGE.of(self.outbox_age)
        yield of.AUDIT_CHECKED.of(self.audits_checked)
        yield of.AUDIT_MISMATCHED.of(self.audits_mismatched)
        yield of.AUDIT_DROPPED.of(self.audits_dropped)
        yield of.LEASE_CHANGES.by(
            ((happening.name.lower(),), times) for happening, times in self.happenings.items()
        )
        yield of.REDIS_CONNECTED.of(self.redis_connected)
        yield of.REDIS_LOST.of(self.redis_lost)


def collect_loads(gate: LoadGate, filler: Filler) -> Iterable[Metric]:
    """Give Prometheus what the database is asked for now."""
    yield of.SHARED_LOADS.of(filler.open_loads)
    yield of.LOADS_RUNNING.of(gate.running)
    yield of.LOADS_WAITING.of(gate.waiting)


def collect_cache(
    lease: Lease, memory: Memory, responses: Sized, watchers: Watchers
) -> Iterable[Metric]:
    """Give Prometheus whether hits are served, what is kept in memory, and who watches."""
    yield of.LEASE_HELD.of(lease.era() is not None)
    yield of.MEMORY_ENTRIES.of(len(memory))
    yield of.MEMORY_BYTES.of(memory.bytes)
    yield of.NEAR_RESPONSES.of(len(responses))
    yield of.NEAR_RESPONSE_BYTES.of(responses.bytes)
    yield of.WATCHERS.of(len(watchers))
