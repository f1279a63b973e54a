"""Apply committed changes: from events to tags, from tags to deleted guards."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Protocol

from cache_service.coherence.ports import Store
from cache_service.invalidation.rules import tags_of
from cache_service.invalidation.tags import SCOPE
from chairside.cache.v1.events_pb2 import Event

__all__ = ["MAX_TAGS", "InvalidationObserver", "Invalidator", "tags_by_organization"]

MAX_TAGS = 5000
"""Changes at once of more tags of an organization touch all of it.

A script of 100,000 keys outlasts the patience with Redis, and that costs every read its
connection; applied again and again from the outbox, it would do so for good.
"""


class InvalidationObserver(Protocol):
    """Counts of the process."""

    invalidations: int
    invalidated_tags: int
    failed_invalidations: int


def tags_by_organization(events: Iterable[Event]) -> dict[int, set[str]]:
    """Return the tags that the events touch, by organization; above MAX_TAGS, its scope alone."""
    touched: dict[int, set[str]] = defaultdict(set)
    everything = {SCOPE}
    for event in events:
        tags = touched[event.organization_id]
        if tags == everything:
            continue  # not worked out, only to be dropped
        tags |= tags_of(event)
        if len(tags) > MAX_TAGS or SCOPE in tags:
            touched[event.organization_id] = set(everything)
    return dict(touched)


class Invalidator:
    """Deletes guards. That it is done is known only when `invalidate` returns."""

    def __init__(self, store: Store, observer: InvalidationObserver) -> None:
        self._store = store
        self._observer = observer

    async def invalidate(self, touched: Mapping[int, AbstractSet[str]]) -> int:
        """Invalidate tags of each organization; return how many.

        All are tried; raises StoreUnavailableError if any could not be applied. Repeats
        are harmless.
        """
        results = await asyncio.gather(
            *(
                self._store.invalidate(organization_id, sorted(tags))
                for organization_id, tags in touched.items()
                if tags
            ),
            return_exceptions=True,
        )
        for result in results:
            if isinstance(result, BaseException):
                self._observer.failed_invalidations += 1
                raise result
        count = sum(map(len, touched.values()))
        self._observer.invalidations += 1
        self._observer.invalidated_tags += count
        return count
