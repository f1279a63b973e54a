"""Values that depend on tags, kept within a bound of bytes, and the marker of step 10.

A value may enter only if none of its tags was invalidated since it was asked for: the marker
taken then tells. An invalidation that overtakes the reply of a read would otherwise be
followed by the old answer, for good.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

from cache_service.coherence.second_chance import next_to_go

__all__ = ["Kept", "Tagged"]

_MARKS_KEPT = 10_000
_ENTRY_OVERHEAD = 875
"""Bytes of dicts, tuples and strings around a value, and what the allocator loses between them;
roughly, as a process was measured to grow (625 of them are what tracemalloc sees)."""
_TAG_OVERHEAD = 100
_NEW_TAG_OVERHEAD = 275
"""More for a tag that no other value has: answers of one client each are half made of these."""

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")
_Tag = tuple[int, str]
"""An organization and the name of one of its tags."""


class Kept(Generic[_Value]):
    """A value that is kept for as long as `there` is true, with its size and its tags.

    Whoever holds on to it may serve it so long, and sets `used` now and then, so that it is
    not the next to go.
    """

    __slots__ = ("organization_id", "size", "tags", "there", "used", "value")

    def __init__(
        self, value: _Value, organization_id: int, tags: tuple[str, ...], size: int
    ) -> None:
        self.value = value
        self.organization_id = organization_id
        self.tags = tags
        self.size = size
        self.there = True
        self.used = True


class Tagged(Generic[_Key, _Value]):
    """At most `limit` bytes of values; 0 keeps none.

    Those go first that were put long ago and not used since they were last looked at to go.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: OrderedDict[_Key, Kept[_Value]] = OrderedDict()
        self._by_tag: defaultdict[_Tag, set[_Key]] = defaultdict(set)
        # When each tag was last invalidated, in numbers of this process's own.
        self._marks: OrderedDict[_Tag, int] = OrderedDict()
        self._now = 0
        self._floor = 0
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def marker(self) -> int:
        """Return what a value must be put with, taken before it is asked for."""
        return self._now

    def find(self, key: _Key) -> Kept[_Value] | None:
        """Return what is kept; that it is used is for the caller to say."""
        return self._kept.get(key)

    def get(self, key: _Key) -> _Value | None:
        """Return the value if it is kept; it is used then."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        kept.used = True
        return kept.value

    def put(
        self,
        key: _Key,
        value: _Value,
        *,
        marker: int,
        organization_id: int,
        tags: tuple[str, ...],
        size: int,
    ) -> None:
        """Keep a value of `size` bytes, unless one of its tags was invalidated since the marker."""
        size += _ENTRY_OVERHEAD + _TAG_OVERHEAD * len(tags)
        if marker < self._floor or size > self._limit:
            return
        if any(self._marks.get((organization_id, tag), 0) > marker for tag in tags):
            return
        self.discard(key)
        kept = self._kept[key] = Kept(value, organization_id, tags, size)
        self.bytes += size
        for tag in tags:
            keys = self._by_tag[organization_id, tag]
            if not keys:
                self.bytes += _NEW_TAG_OVERHEAD
            keys.add(key)
        while self.bytes > self._limit:
            self.discard(next_to_go(self._kept))
        kept.used = False

    def drop(self, organization_id: int, tags: Iterable[str]) -> None:
        """Forget every value with one of the tags, and refuse those on their way."""
        self._now += 1
        for tag in tags:
            of_tag = organization_id, tag
            self._marks[of_tag] = self._now
            self._marks.move_to_end(of_tag)
            for key in tuple(self._by_tag.get(of_tag, ())):
                self.discard(key)
        while len(self._marks) > _MARKS_KEPT:
            # What is older than a mark that is not kept any more cannot be judged.
            _, self._floor = self._marks.popitem(last=False)

    def forget(self) -> None:
        """Forget everything, and refuse what is on its way."""
        self._now += 1
        self._floor = self._now
        for kept in self._kept.values():
            kept.there = False
        self._kept.clear()
        self._by_tag.clear()
        self._marks.clear()
        self.bytes = 0

    def discard(self, key: _Key) -> None:
        """Forget a value, if it is kept."""
        kept = self._kept.pop(key, None)
        if kept is None:
            return
        kept.there = False
        self.bytes -= kept.size
        for tag in kept.tags:
            of_tag = kept.organization_id, tag
            keys = self._by_tag[of_tag]
            keys.discard(key)
            if not keys:
                del self._by_tag[of_tag]
                self.bytes -= _NEW_TAG_OVERHEAD
