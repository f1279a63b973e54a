"""Responses out of memory: from a read's bytes to the response's.

A response that was composed of entries which memory keeps now is kept beside them, by the
bytes of its request. To serve it again takes no more than to ask whether memory still keeps
those very answers. So it needs no invalidation of its own, and is bounded by its size alone.

What is served is counted many at a time, since that costs a call 3 % when it is done at once:
nothing of what it needs is in the processor's caches then.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cache_service.cached_reads import CachedReads
from cache_service.coherence.memory import NearAnswer
from cache_service.coherence.outcome import Answer, Outcome
from cache_service.coherence.second_chance import next_to_go
from cache_service.coherence.tagged import Kept
from cache_service.edge.composed import Composed
from cache_service.edge.freshness import NOTES, cached_heads, serialised_age
from cache_service.edge.kinds import Kind
from cache_service.queries.declare import CachedQuery
from service_kit.callers import Caller
from service_kit.clock import Clock
from service_kit.wire import bytes_field

__all__ = ["Near", "NearResponses"]

_OVERHEAD = 1000
"""Bytes of the objects around a response and each of its parts; roughly."""
_LARGEST_SHARE = 1 / 16
"""Of the limit: what takes more is not kept, since too much else would go for it."""
_COUNTED_WITHIN = 0.1
"""Seconds."""
_MANY = 16
"""More entries than these are counted at once: what is put off must not hold up other calls."""
_FROM_CACHE = frozenset({Outcome.NEAR, Outcome.HIT, Outcome.MISS, Outcome.SHARED})
"""Answers that any read may be given again while memory keeps them."""
_NOTES = NOTES[Outcome.NEAR]


@dataclass(slots=True)
class Near:
    """A response that is kept, and the answers of memory that it was made of."""

    kind: Kind
    body: bytes
    until: float
    """In seconds since the epoch."""
    organization_id: int
    kept: list[Kept[NearAnswer]]
    parts: list[tuple[CachedQuery[Any], str, Answer]]
    """The query, key and answer of each entry."""
    filled_at: float
    heads: Sequence[bytes]
    """What stands before its age, by how long that is."""
    tags: list[str]
    size: int
    used: bool = True
    """Whether it was counted as served since it was put, or last looked at to go."""


class NearResponses:
    """At most `limit` bytes of responses; 0 keeps none.

    Those go first that were put long ago and not served since they were last looked at to go.
    `time` gives seconds since the epoch, for ages; `clock` is the shop's time.
    """

    def __init__(
        self, reads: CachedReads, limit: int, clock: Clock, time: Callable[[], float]
    ) -> None:
        self._reads = reads
        self.limit = limit
        self._clock = clock
        self._time = time
        self._near: OrderedDict[bytes, Near] = OrderedDict()
        self._served: list[Near] = []
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._near)

    def answer(
        self, number: int, raw: bytes, caller: Caller | None = None
    ) -> tuple[bytes, Mapping[str, object]] | None:
        """Answer a request of the kind of that number, with notes for the log; None as `find`.

        What `find` and `serve` do, in one: here each call of a function is half a per cent.
        """
        read = bytes_field(number, raw)
        near = self._near.get(read)
        if near is None or (caller is not None and not caller.sees(near.organization_id)):
            return None
        now = self._time()
        if now >= near.until or not self._reads.keeps(near.kept):
            self._discard(read)
            return None
        self._served.append(near)
        if len(self._served) == 1 or len(near.parts) > _MANY:
            self._count_soon(near)
        age = serialised_age(near.filled_at, now)
        return near.body + near.heads[len(age)] + age, _NOTES

    def find(self, read: bytes, caller: Caller | None = None) -> Near | None:
        """Return the response to a serialised read if it is still right; it counts nothing.

        None, too, for what the caller may not see.
        """
        near = self._near.get(read)
        if near is None or (caller is not None and not caller.sees(near.organization_id)):
            return None
        if self._time() >= near.until or not self._reads.keeps(near.kept):
            self._discard(read)
            return None
        return near

    def find_all(self, reads: Iterable[bytes], caller: Caller | None = None) -> list[Near] | None:
        """Return the responses to all of the reads, or None; it counts nothing."""
        now, found = self._time(), list[Near]()
        for read in reads:
            near = self._near.get(read)
            if near is None or (caller is not None and not caller.sees(near.organization_id)):
                return None
            if now >= near.until:
                return None
            found.append(near)
        # Asked once for all: each asking looks at the lease.
        return found if self._reads.keeps([one for near in found for one in near.kept]) else None

    def serve(self, near: Near) -> bytes:
        """Return the bytes of a response that was found just now, to be counted soon."""
        self._served.append(near)
        if len(self._served) == 1 or len(near.parts) > _MANY:
            self._count_soon(near)
        age = serialised_age(near.filled_at, self._time())
        return near.body + near.heads[len(age)] + age

    def count(self) -> None:
        """Count every entry of what was served, in time for whoever asks for the counts."""
        served, self._served = self._served, []
        for near in served:
            near.used = True
            for query, key, answer in near.parts:
                self._reads.served(query, near.organization_id, key, answer)

    def _count_soon(self, near: Near) -> None:
        if len(near.parts) > _MANY:
            self.count()
        else:
            asyncio.get_running_loop().call_later(_COUNTED_WITHIN, self.count)

    def keep(self, kind: Kind, read: bytes, composed: Composed) -> None:
        """Keep a response for the next one, if memory keeps all that it was made of."""
        if not self.limit or any(part.answer.outcome not in _FROM_CACHE for part in composed.parts):
            return
        # The shop's clock may be another; taken after ours, so that nothing is served too long.
        now = self._time()
        until = now + (composed.until - self._clock.now().timestamp())
        all_kept, parts, size = [], [], _OVERHEAD + len(read) + len(composed.body)
        organization_id: int = composed.parts[0].arguments.organization_id
        for query, arguments, answer in composed.parts:
            key = query.key(arguments)
            kept = self._reads.near(organization_id, key)
            # The very same: of another load, even the same bytes may not satisfy a token.
            if kept is None or kept.value.answer != answer._replace(outcome=Outcome.NEAR):
                return
            all_kept.append(kept)
            parts.append((query, key, kept.value.answer))
            until = min(until, kept.value.expires)
            size += _OVERHEAD + len(answer.payload)
        if size > self.limit * _LARGEST_SHARE:
            return
        self._discard(read)
        near = self._near[read] = Near(
            kind=kind,
            body=composed.body,
            until=until,
            organization_id=organization_id,
            kept=all_kept,
            parts=parts,
            filled_at=min(answer.filled_at for _, _, answer in parts),
            heads=cached_heads(kind.cache_info, Outcome.NEAR),
            tags=composed.tags,
            size=size,
        )
        self.bytes += size
        if self.bytes > self.limit:
            self.count()  # which says what is used
        while self.bytes > self.limit:
            self._discard(next_to_go(self._near))
        near.used = False

    def _discard(self, read: bytes) -> None:
        near = self._near.pop(read, None)
        if near is not None:
            self.bytes -= near.size
