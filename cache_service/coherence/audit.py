"""Audit: whether a hit is what the database says, judged so that no honest race counts.

A change may be committed and not applied yet, and an answer may be invalidated between its
being served and its being looked at. So an answer that differs from a fresh load is only a
suspect: it counts if, two seconds later, the very same answer still hits with the same nonces
and still differs. By then whatever the first load saw has been applied, or never will be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from cache_service.coherence.entry import decode
from cache_service.coherence.era import Era
from cache_service.coherence.memory import Memory
from cache_service.coherence.outcome import Answer, Outcome
from cache_service.coherence.ports import Read, Store

__all__ = ["SECOND_LOOK_SECONDS", "Hits", "Served"]

SECOND_LOOK_SECONDS = 2.0
"""After which a suspect is judged: twice what a change may take that nobody acknowledged."""


class Served(NamedTuple):
    """An answer that was a hit, and under which era."""

    era: Era
    organization_id: int
    read: Read
    answer: Answer


@dataclass(frozen=True, slots=True)
class Hits:
    """Tells whether an answer still hits, and changes nothing."""

    store: Store
    memory: Memory | None = None

    async def nonces(self, served: Served) -> tuple[bytes, ...] | None:
        """Return the nonces under which the very same answer hits now, None if it does not.

        Of an answer in memory these are those that its guards have now, where there are any:
        it hits as long as it is kept. That the era is in force is for the caller to know; that
        an entry has expired since does not make it right.
        Raises StoreUnavailableError.
        """
        era, organization_id, read, answer = served
        if answer.outcome is Outcome.NEAR:
            memory = self.memory
            if memory is None or memory.peek(era, organization_id, read.key) is not answer:
                return None
        raws, guards = await self.store.fetch(era, organization_id, (read.key,), read.tags)
        if answer.outcome is Outcome.NEAR:
            return tuple(guard or b"" for guard in guards)
        nonces = tuple(guard for guard in guards if guard is not None)
        if raws[0] is None or len(nonces) != len(read.tags):
            return None
        full_key = self.store.full_key(era, organization_id, read.key)
        entry = decode(full_key, b"".join(nonces), raws[0])
        same = entry is not None and (entry.payload, entry.snapshot, entry.filled_at) == (
            answer.payload,
            answer.snapshot,
            answer.filled_at,
        )
        return nonces if same else None
