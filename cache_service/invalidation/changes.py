"""From changes to the tags that they touch, by organization."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from cache_service.invalidation.rules import tags_of
from cache_service.invalidation.tags import SCOPE
from chairside.cache.v1.events_pb2 import Event

__all__ = ["MAX_TAGS", "tags_by_organization"]

MAX_TAGS = 5000
"""Changes at once of more tags of an organization touch all of it.

A script of 100,000 keys outlasts the patience with Redis, and that costs every read its
connection; applied again and again from the outbox, it would do so for good.
"""


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
