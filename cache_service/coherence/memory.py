"""Memory: the answers that this process keeps itself, so that a hit costs no round trip.

An answer may enter only if none of its tags was invalidated here since its own read of
Redis was sent: the marker taken then tells. An invalidation that overtakes the reply of a
read would otherwise be followed by the old answer, for good.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

from cache_service.coherence.era import Era
from cache_service.coherence.outcome import Answer, Outcome
from cache_service.coherence.ports import Read
from cache_service.coherence.watchers import Watchers

__all__ = ["Memory"]

_MARKS_KEPT = 10_000
_ENTRY_OVERHEAD = 625
"""Bytes of dicts, tuples and strings around a payload; roughly, as measured with tracemalloc."""
_TAG_OVERHEAD = 100
_NEW_TAG_OVERHEAD = 275
"""More for a tag that no other answer has: answers of one client each are half made of these."""

Place = tuple[int, str]
"""An organization and a key, or an organization and a tag."""


class _Kept(NamedTuple):
    era: Era
    answer: Answer
    tags: tuple[str, ...]
    expires: float
    size: int


class Memory:
    """At most `limit` bytes of answers, those used least lately going first; 0 keeps none.

    `time` gives seconds since the epoch, for expiry only. The watchers, if there are any, are
    told of all that is dropped before anything else can happen.
    """

    def __init__(
        self, limit: int, time: Callable[[], float], watchers: Watchers | None = None
    ) -> None:
        self._limit = limit
        self._time = time
        self._watchers = watchers
        self._kept: OrderedDict[Place, _Kept] = OrderedDict()
        self._by_tag: defaultdict[Place, set[Place]] = defaultdict(set)
        # When each tag was last invalidated, in numbers of this process's own.
        self._marks: OrderedDict[Place, int] = OrderedDict()
        self._now = 0
        self._floor = 0
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def marker(self) -> int:
        """Return what an answer must be put with, taken before its read of Redis is sent."""
        return self._now

    def get(self, era: Era, organization_id: int, key: str) -> Answer | None:
        """Return the answer if it is kept, of this era, and has not expired."""
        place = organization_id, key
        kept = self._kept.get(place)
        if kept is None:
            return None
        if kept.era != era or kept.expires <= self._time():
            self._discard(place)
            return None
        self._kept.move_to_end(place)
        return kept.answer

    def peek(self, era: Era, organization_id: int, key: str) -> Answer | None:
        """Return what `get` would, and leave everything as it is."""
        kept = self._kept.get((organization_id, key))
        if kept is None or kept.era != era or kept.expires <= self._time():
            return None
        return kept.answer

    def put(  # noqa: PLR0917 - what is kept
        self,
        era: Era,
        marker: int,
        organization_id: int,
        read: Read,
        answer: Answer,
        expires: float,
    ) -> None:
        """Keep the answer, unless one of its tags was invalidated since the marker was taken.

        From `expires` on, in seconds since the epoch, it is asked of Redis again.
        """
        size = _ENTRY_OVERHEAD + len(answer.payload) + len(read.key)
        size += _TAG_OVERHEAD * len(read.tags)
        if marker < self._floor or size > self._limit:
            return
        marks = self._marks
        if any(marks.get((organization_id, tag), 0) > marker for tag in read.tags):
            return
        place = organization_id, read.key
        self._discard(place)
        near = answer._replace(outcome=Outcome.NEAR)
        self._kept[place] = _Kept(era, near, read.tags, expires, size)
        self.bytes += size
        for tag in read.tags:
            places = self._by_tag[organization_id, tag]
            if not places:
                self.bytes += _NEW_TAG_OVERHEAD
            places.add(place)
        while self.bytes > self._limit:
            self._discard(next(iter(self._kept)))

    def drop(self, organization_id: int, tags: Sequence[str]) -> None:
        """Forget every answer with one of the tags, and refuse those on their way."""
        if self._watchers is not None:
            self._watchers.dropped(organization_id, tags)
        self._now += 1
        for tag in tags:
            of_tag = organization_id, tag
            self._marks[of_tag] = self._now
            self._marks.move_to_end(of_tag)
            for place in tuple(self._by_tag.get(of_tag, ())):
                self._discard(place)
        while len(self._marks) > _MARKS_KEPT:
            # What is older than a mark that is not kept any more cannot be judged.
            _, self._floor = self._marks.popitem(last=False)

    def forget(self) -> None:
        """Forget everything, and refuse what is on its way."""
        if self._watchers is not None:
            self._watchers.forgot()
        self._now += 1
        self._floor = self._now
        self._kept.clear()
        self._by_tag.clear()
        self._marks.clear()
        self.bytes = 0

    def _discard(self, place: Place) -> None:
        kept = self._kept.pop(place, None)
        if kept is None:
            return
        self.bytes -= kept.size
        for tag in kept.tags:
            of_tag = place[0], tag
            places = self._by_tag[of_tag]
            places.discard(place)
            if not places:
                del self._by_tag[of_tag]
                self.bytes -= _NEW_TAG_OVERHEAD
