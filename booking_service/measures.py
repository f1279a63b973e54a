"""Every metric of the booking service beside those that both have: name, unit, meaning."""

from service_kit.measures import counter, gauge, histogram

__all__ = ["BOOKING"]

MUTATIONS = counter(
    "chairside_booking_mutations_total",
    "mutations",
    "Mutations acknowledged: made by their own call, or told again to one that repeated it.",
    "outcome",
)
RETRIES = counter(
    "chairside_booking_retries_total",
    "transactions",
    "Transactions begun anew, since others changed the same things.",
)
RUNNING = gauge(
    "chairside_booking_mutations_running",
    "mutations",
    "Mutations being made or told to the cache, those whose callers are gone included.",
)
INVALIDATIONS = counter(
    "chairside_booking_invalidations_total",
    "mutations",
    "Mutations told to the cache, by whether it had applied them in time.",
    "outcome",
)
INVALIDATION_SECONDS = histogram(
    "chairside_booking_invalidation_seconds",
    "Time that the cache took to apply a mutation, or until that failed.",
)
OUTBOX_KEPT = gauge(
    "chairside_booking_outbox_kept",
    "transactions",
    "Transactions that the cache has applied and whose events are not deleted yet.",
)
NEAR_ENTRIES = gauge(
    "chairside_booking_near_entries",
    "answers",
    "Answers of the cache service kept for readers who allow staleness.",
)

BOOKING = (
    MUTATIONS,
    RETRIES,
    RUNNING,
    INVALIDATIONS,
    INVALIDATION_SECONDS,
    OUTBOX_KEPT,
    NEAR_ENTRIES,
)
