"""Every metric of the cache service beside those that both have: name, unit, meaning."""

from __future__ import annotations

from service_kit.measures import SECONDS, counter, gauge, histogram, what_becomes

__all__ = ["CACHE", "OVER_WORKERS"]

READS = counter(
    "chairside_cache_reads_total",
    "entries",
    "Entries answered, by query and how they were come by.",
    "query",
    "outcome",
)
LOAD_ERRORS = counter(
    "chairside_cache_load_errors_total", "entries", "Entries whose load failed.", "query"
)
LOAD_SECONDS = histogram(
    "chairside_cache_load_seconds", "Time of loads in the database, each of one query.", "query"
)
STORED = counter(
    "chairside_cache_stored_total", "entries", "Entries stored in the shared cache.", "query"
)
STORED_BYTES = counter(
    "chairside_cache_stored_bytes_total", "bytes", "Bytes stored in the shared cache.", "query"
)
SHARED_LOADS = gauge(
    "chairside_cache_shared_loads", "entries", "Entries being loaded, that other callers may join."
)
LOADS_RUNNING = gauge("chairside_cache_loads_running", "loads", "Loads that run in the database.")
LOADS_WAITING = gauge("chairside_cache_loads_waiting", "loads", "Loads that wait for a place.")

INVALIDATIONS = counter(
    "chairside_cache_invalidations_total",
    "invalidations",
    "Invalidations applied, the relay's included.",
)
INVALIDATED_TAGS = counter("chairside_cache_invalidated_tags_total", "tags", "Tags invalidated.")
INVALIDATION_SECONDS = histogram(
    "chairside_cache_invalidation_seconds",
    "Time of invalidations, until no process serves what they touch.",
)
FENCES = counter(
    "chairside_cache_fences_total",
    "fences",
    "Times the cache was turned off since Redis took no invalidation.",
)
EXPULSIONS = counter(
    "chairside_cache_expulsions_total",
    "members",
    "Members expelled since they acknowledged no invalidation.",
)
RELAYED = counter(
    "chairside_cache_relayed_events_total", "events", "Events of the outbox applied by the relay."
)
RELAY_DELAY = histogram(
    "chairside_cache_relay_delay_seconds",
    "Age of events of the outbox when the relay had applied them.",
)
OUTBOX_AGE = gauge(
    "chairside_cache_outbox_age_seconds",
    SECONDS,
    "Age of the oldest event that the relay found waiting; 0 if none waited.",
    over_workers=max,
)

LEASE_HELD = gauge(
    "chairside_cache_lease_held",
    "one",
    "1 if this process may serve hits, else 0: reads then come from the database.",
    over_workers=min,
)
LEASE_CHANGES = counter(
    "chairside_cache_lease_changes_total",
    "changes",
    "What became of this process's lease and of the cache as a whole, by kind.",
    "kind",
)
REDIS_CONNECTED = gauge(
    "chairside_cache_redis_connected",
    "one",
    "1 if the shared cache is asked, else 0: reads then come from the database.",
    over_workers=min,
)
REDIS_LOST = counter(
    "chairside_cache_redis_lost_total",
    "connections",
    "Times that the shared cache went away or fell silent, and was not asked any more.",
)

MEMORY_ENTRIES = gauge(
    "chairside_cache_memory_entries", "entries", "Answers in this process's memory."
)
MEMORY_BYTES = gauge("chairside_cache_memory_bytes", "bytes", "Bytes of those answers, roughly.")
NEAR_RESPONSES = gauge(
    "chairside_cache_near_responses", "responses", "Responses kept that were made of them."
)
NEAR_RESPONSE_BYTES = gauge(
    "chairside_cache_near_response_bytes", "bytes", "Bytes of those responses, roughly."
)
WATCHERS = gauge("chairside_cache_watchers", "callers", "Callers told of invalidations by Watch.")

AUDIT_CHECKED = counter(
    "chairside_cache_audit_checked_total", "entries", "Hits compared with the database."
)
AUDIT_MISMATCHED = counter(
    "chairside_cache_audit_mismatched_total",
    "entries",
    "Hits that were not what the database says.",
)
AUDIT_DROPPED = counter(
    "chairside_cache_audit_dropped_total",
    "entries",
    "Hits chosen for an audit that could not be compared.",
)

CACHE = (
    READS,
    LOAD_ERRORS,
    LOAD_SECONDS,
    STORED,
    STORED_BYTES,
    SHARED_LOADS,
    LOADS_RUNNING,
    LOADS_WAITING,
    INVALIDATIONS,
    INVALIDATED_TAGS,
    INVALIDATION_SECONDS,
    FENCES,
    EXPULSIONS,
    RELAYED,
    RELAY_DELAY,
    OUTBOX_AGE,
    LEASE_HELD,
    LEASE_CHANGES,
    REDIS_CONNECTED,
    REDIS_LOST,
    MEMORY_ENTRIES,
    MEMORY_BYTES,
    NEAR_RESPONSES,
    NEAR_RESPONSE_BYTES,
    WATCHERS,
    AUDIT_CHECKED,
    AUDIT_MISMATCHED,
    AUDIT_DROPPED,
)

OVER_WORKERS = what_becomes(CACHE)
"""What a gauge is over several workers, where it is not the sum."""
