"""A response as it is composed: of which entries, and until when they make this one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from booking_service.domain.opening import local_day, local_midnight
from cache_service.coherence.outcome import Answer
from cache_service.invalidation.tags import SCOPE
from cache_service.queries.declare import CachedQuery

__all__ = ["Compose", "Composed", "Part", "end_of_day"]

_DAY = timedelta(days=1)


class Part(NamedTuple):
    """An entry that a response depends on: of which query with which arguments, and its answer."""

    query: CachedQuery[Any]
    arguments: Any
    answer: Answer


class Composed(NamedTuple):
    """A response without its cache_info, and all that it depends on.

    The same request over the same payloads makes the same body until `until` (seconds since
    the epoch).
    """

    body: bytes
    parts: list[Part]
    until: float

    @property
    def answers(self) -> list[Answer]:
        """The entries' answers."""
        return [part.answer for part in self.parts]

    @property
    def tags(self) -> list[str]:
        """The names of the tags that it depends on, each once, the organization's own first."""
        found = dict.fromkeys((SCOPE,))
        for part in self.parts:
            found.update(dict.fromkeys(part.query.tags(part.arguments)))
        return list(found)


Compose = Callable[[Any], Awaitable[Composed]]
"""Answers a request; raises as its method does."""


def end_of_day(now: datetime, zone: ZoneInfo) -> float:
    """Return when today ends in a zone, in seconds since the epoch."""
    return local_midnight(local_day(now, zone) + _DAY, zone).timestamp()
