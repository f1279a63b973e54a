"""Responses out of memory: from a read's bytes to the response's.

A response that was composed of entries which memory keeps now is kept beside them, by the
bytes of its request. To serve it again takes no more than to ask whether memory still keeps
those very answers. So it needs no invalidation of its own, and is bounded by its size alone.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import cached_property

from cache_service.cached_reads import CachedReads
from cache_service.coherence.outcome import Answer, Outcome
from cache_service.edge.composed import Composed
from cache_service.edge.freshness import near_info
from cache_service.edge.kinds import Kind
from service_kit.clock import Clock

__all__ = ["Near", "NearResponses"]

_OVERHEAD = 1000
"""Bytes of the objects around a response and each of its parts; roughly."""
_SHARE = 16
"""A response that takes more than this part of the limit is not kept."""
_FROM_CACHE = frozenset({Outcome.NEAR, Outcome.HIT, Outcome.MISS, Outcome.SHARED})
"""Answers that any read may be given again while memory keeps them."""


class Near:
    """A response that is kept, with the answers of memory that it was made of."""

    def __init__(
        self, kind: Kind, composed: Composed, kept: list[tuple[str, Answer]], size: int
    ) -> None:
        self.kind = kind
        self.composed = composed
        self.kept = kept
        """The entries' keys, and the answers that memory keeps under them."""
        self.size = size
        self.organization_id: int = composed.parts[0].arguments.organization_id
        self._filled_at = min(answer.filled_at for _, answer in kept)

    def response(self, now: float) -> bytes:
        """Return the response; `now` in seconds since the epoch, for its age."""
        return self.composed.body + near_info(self.kind.cache_info, self._filled_at, now)

    @cached_property
    def tags(self) -> list[str]:
        """The names of the tags that it depends on."""
        return self.composed.tags


class NearResponses:
    """At most `limit` bytes of responses, those used least lately going first; 0 keeps none.

    `time` gives seconds since the epoch, for ages; `clock` is the shop's time.
    """

    def __init__(
        self, reads: CachedReads, limit: int, clock: Clock, time: Callable[[], float]
    ) -> None:
        self._reads = reads
        self._limit = limit
        self._clock = clock
        self._time = time
        self._near: OrderedDict[bytes, Near] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._near)

    def find(self, read: bytes) -> Near | None:
        """Return the response to a serialised read if it is still right; it counts nothing."""
        near = self._near.get(read)
        if near is None:
            return None
        if self._clock.now().timestamp() < near.composed.until and self._reads.keeps(
            near.organization_id, near.kept
        ):
            self._near.move_to_end(read)
            return near
        self._discard(read)
        return None

    def serve(self, near: Near) -> bytes:
        """Count every entry of a response that was found now, and return its bytes."""
        serve, organization_id = self._reads.served, near.organization_id
        for part, (key, answer) in zip(near.composed.parts, near.kept, strict=True):
            serve(part.query, organization_id, key, answer)
        return near.response(self._time())

    def keep(self, kind: Kind, read: bytes, composed: Composed) -> None:
        """Keep a response for the next one, if memory keeps all that it was made of."""
        if not self._limit or not all(
            part.answer.outcome in _FROM_CACHE for part in composed.parts
        ):
            return
        kept, size = [], _OVERHEAD + len(read) + len(composed.body)
        for query, arguments, answer in composed.parts:
            key = query.key(arguments)
            near = self._reads.near(arguments.organization_id, key)
            # The very same: of another load, even the same bytes may not satisfy a token.
            if near != answer._replace(outcome=Outcome.NEAR):
                return
            kept.append((key, near))
            size += _OVERHEAD + len(answer.payload)
        if size * _SHARE > self._limit:
            return
        self._discard(read)
        self._near[read] = Near(kind, composed, kept, size)
        self._bytes += size
        while self._bytes > self._limit:
            self._discard(next(iter(self._near)))

    def _discard(self, read: bytes) -> None:
        near = self._near.pop(read, None)
        if near is not None:
            self._bytes -= near.size
