"""What an entry found in the store is to a read: a hit, a stale answer, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from cache_service.coherence.consistency import Consistency
from cache_service.coherence.entry import Entry, decode
from cache_service.coherence.era import Era
from cache_service.coherence.expiry import Expiry
from cache_service.coherence.filling import Found
from cache_service.coherence.outcome import Answer
from cache_service.coherence.ports import Read, Store
from cache_service.coherence.snapshots import Snapshot

__all__ = ["Judging", "satisfies"]


class Judging:
    """Judges entries by their guards, their age, and what the read demands."""

    def __init__(self, store: Store, expiry: Expiry) -> None:
        self._store = store
        self._expiry = expiry

    def hit(
        self,
        organization_id: int,
        read: Read,
        raw: bytes | None,
        found: Found,
        consistency: Consistency = Consistency.DEFAULT,
    ) -> Entry | None:
        """Return the entry if all its guards are as they were, and it has not expired.

        With a token, only if it has seen what that stands for.
        """
        nonces = [found.nonces[tag] for tag in read.tags]
        entry = self.fitting(found.era, organization_id, read, raw, nonces)
        if (
            entry is None
            or entry.expires_at <= self._expiry.time()
            or not satisfies(entry, consistency)
        ):
            return None
        return entry

    def fitting(
        self,
        era: Era,
        organization_id: int,
        read: Read,
        raw: bytes | None,
        nonces: Sequence[bytes | None],
    ) -> Entry | None:
        """Return the entry if all its guards are as they were, however old it is."""
        if raw is None or None in nonces:
            return None
        return self._decode(era, organization_id, read, raw, b"".join(nonces))  # type: ignore[arg-type]

    def stale(
        self,
        organization_id: int,
        read: Read,
        raw: bytes | None,
        found: Found,
        consistency: Consistency,
    ) -> Entry | None:
        """Return the entry if the caller allows that it is as old as it is."""
        if raw is None or not consistency.max_staleness:
            return None
        entry = self._decode(found.era, organization_id, read, raw, None)
        if entry and self._expiry.time() - entry.filled_at <= consistency.max_staleness:
            return entry
        return None

    def _decode(
        self, era: Era, organization_id: int, read: Read, raw: bytes, nonces: bytes | None
    ) -> Entry | None:
        return decode(self._store.full_key(era, organization_id, read.key), nonces, raw)


def satisfies(found: Entry | Answer, consistency: Consistency) -> bool:
    """Tell whether data of that snapshot has seen what the read's token stands for."""
    if consistency.token is None:
        return True
    with suppress(ValueError):
        return consistency.token.satisfied_by(Snapshot.parse(found.snapshot))
    return False
