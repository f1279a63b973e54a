"""A read that is asked again and again, and what its last reply was found to be.

Between one hit and the next mostly nothing has changed. So what is the same bytes as last time,
guards and entry of the same era, is not judged again: only whether it has expired is.
"""

from __future__ import annotations

from collections.abc import Sequence

from cache_service.coherence.entry import Entry
from cache_service.coherence.era import Era
from cache_service.coherence.filling import answer_of
from cache_service.coherence.outcome import Answer, Outcome
from cache_service.coherence.ports import Load, Read

__all__ = ["Question"]

_LARGEST = 4096
"""Bytes of the largest entry that is remembered."""


class Question:
    """One entry to be asked for, and how it is loaded where it is refreshed."""

    __slots__ = ("_found", "_reply", "keys", "load", "organization_id", "read")

    def __init__(self, organization_id: int, read: Read, load: Load) -> None:
        self.organization_id = organization_id
        self.read = read
        self.load = load
        self.keys = (read.key,)
        self._reply: tuple[Era, bytes, Sequence[bytes | None]] | None = None
        self._found: tuple[Entry, Answer] | None = None

    def recall(
        self, era: Era, raw: bytes | None, nonces: Sequence[bytes | None]
    ) -> tuple[Entry, Answer] | None:
        """Return what was found if the reply was this one, else None."""
        return self._found if self._reply == (era, raw, nonces) else None

    def found(
        self, era: Era, raw: bytes | None, nonces: Sequence[bytes | None], entry: Entry
    ) -> tuple[Entry, Answer]:
        """Remember the entry that these guards were found to fit; return it and its answer."""
        both = entry, answer_of(entry, Outcome.HIT)
        if raw is not None and len(raw) <= _LARGEST:
            self._reply, self._found = (era, raw, nonces), both
        return both
