"""Memory: the answers that this process keeps itself, so that a hit costs no round trip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from cache_service.coherence.era import Era
from cache_service.coherence.outcome import Answer, Outcome
from cache_service.coherence.ports import Read
from cache_service.coherence.tagged import Kept, Tagged
from cache_service.coherence.watchers import Watchers

__all__ = ["Memory", "NearAnswer"]


class NearAnswer(NamedTuple):
    """An answer in memory: of which era, and until when (seconds since the epoch) it will do."""

    era: Era
    answer: Answer
    expires: float


class Memory:
    """At most `limit` bytes of answers; 0 keeps none.

    `time` gives seconds since the epoch, for expiry only. The watchers, if there are any, are
    told of all that is dropped before anything else can happen.
    """

    def __init__(
        self, limit: int, time: Callable[[], float], watchers: Watchers | None = None
    ) -> None:
        self._limit = limit
        self._time = time
        self._watchers = watchers
        # By organization and key.
        self._kept = Tagged[tuple[int, str], NearAnswer](limit)

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def bytes(self) -> int:
        """What is kept takes so many bytes, roughly."""
        return self._kept.bytes

    def marker(self) -> int:
        """Return what an answer must be put with, taken before its read of Redis is sent."""
        return self._kept.marker()

    def find(self, era: Era, organization_id: int, key: str) -> Kept[NearAnswer] | None:
        """Return what is kept if it is of this era and has not expired; nothing counts as used."""
        kept = self._kept.find((organization_id, key))
        if kept is None or kept.value.era != era or kept.value.expires <= self._time():
            return None
        return kept

    def peek(self, era: Era, organization_id: int, key: str) -> Answer | None:
        """Return what `get` would, and leave everything as it is."""
        kept = self.find(era, organization_id, key)
        return None if kept is None else kept.value.answer

    def get(self, era: Era, organization_id: int, key: str) -> Answer | None:
        """Return the answer if it is kept, of this era, and has not expired."""
        if not self._limit:
            return None
        kept = self.find(era, organization_id, key)
        if kept is None:
            self._kept.discard((organization_id, key))
            return None
        kept.used = True
        return kept.value.answer

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
        if not self._limit:
            return
        self._kept.put(
            (organization_id, read.key),
            NearAnswer(era, answer._replace(outcome=Outcome.NEAR), expires),
            marker=marker,
            organization_id=organization_id,
            tags=read.tags,
            size=len(answer.payload) + len(read.key),
        )

    def drop(self, organization_id: int, tags: Sequence[str]) -> None:
        """Forget every answer with one of the tags, and refuse those on their way."""
        if self._watchers is not None:
            self._watchers.dropped(organization_id, tags)
        self._kept.drop(organization_id, tags)

    def forget(self) -> None:
        """Forget everything, and refuse what is on its way."""
        if self._watchers is not None:
            self._watchers.forgot()
        self._kept.forget()
