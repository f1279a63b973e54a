"""Fills, memory and a shared cache with one rule left out each."""

from __future__ import annotations

import zlib
from collections.abc import Hashable, Sequence
from typing import Any

from cache_service.coherence.entry import NONCE_BYTES, Entry, mark, nonces_in
from cache_service.coherence.era import Era
from cache_service.coherence.filler import Filler
from cache_service.coherence.filling import Found
from cache_service.coherence.memory import Memory
from cache_service.coherence.outcome import Answer, Outcome
from cache_service.coherence.ports import Load, Read
from tests.model.scene import READS
from tests.model.shared_cache import SharedCache
from tests.model.valkey import Server

__all__ = [
    "AnyIdentityCache",
    "AnyIdentityServer",
    "CountsNonces",
    "DataFirstFiller",
    "DeletesEntries",
    "JoinsBegunLoadsFiller",
    "KeyedByEntryFiller",
    "LocksByEntry",
    "MarkerlessMemory",
    "PutsAnyway",
]


class AnyIdentityServer(Server):
    """Serves whoever asks, whatever it is."""

    def check(self, run_id: str, replid: str) -> None:
        """Check nothing."""


class AnyIdentityCache(SharedCache):
    """Does not look at who the server is."""

    checks_run_id = False


class MarkerlessMemory(Memory):
    """Takes every answer, whatever was invalidated since it was asked for."""

    def put(self, era: Era, _marker: int, *what: Any) -> None:
        """Keep the answer as if it had been asked for just now."""
        super().put(era, self.marker(), *what)


class DataFirstFiller(Filler):
    """Reads the data and only then the guards under which it stores."""

    async def fill(
        self,
        organization_id: int,
        reads: Sequence[Read],
        load: Load,
        found: Found,
        *,
        share: bool = True,
    ) -> list[Answer]:
        """Fill in the wrong order."""
        answers = await self.load(organization_id, reads, load, Outcome.BYPASS)

        async def loaded(wanted: Sequence[int]) -> Any:
            return _Given([answers[position] for position in wanted])

        return await super().fill(organization_id, reads, loaded, found, share=share)


class _Given:
    """Answers that are there already, as a load gives them."""

    def __init__(self, answers: Sequence[Answer]) -> None:
        self.snapshot = answers[0].snapshot
        self.payloads = [answer.payload for answer in answers]


class KeyedByEntryFiller(Filler):
    """Joins any load of the same entry, whatever its guards were."""

    @staticmethod
    def shared_key(full_key: str, _nonces: tuple[bytes, ...]) -> Hashable:
        """Return the entry's key alone."""
        return full_key


class JoinsBegunLoadsFiller(Filler):
    """Without the shared cache, joins loads that have begun."""

    async def _entries(self, *arguments: Any) -> list[Entry]:
        """Let everybody join until the end."""
        return await super()._entries(*arguments[:5])


class DeletesEntries(Server):
    """The usual recipe: an invalidation deletes the entries, and leaves their guards."""

    def invalidate(self, guards: Sequence[str]) -> None:
        """Delete the entries that have one of the tags."""
        for guard in guards:
            era, _, tag = guard.partition("/guard:")
            for read in READS:
                if tag in read.tags:
                    self.write(f"{era}/{read.key}", None)


class CountsNonces(Server):
    """Guards are counters: an invalidation adds one, and what is missing begins at one."""

    def fresh_nonce(self) -> bytes:
        """Return the first number."""
        return (1).to_bytes(NONCE_BYTES, "big")

    def invalidate(self, guards: Sequence[str]) -> None:
        """Count up."""
        for guard in guards:
            old = int.from_bytes(self.data.get(guard, b""), "big")
            self.write(guard, (old + 1).to_bytes(NONCE_BYTES, "big"))


class LocksByEntry(Server):
    """One load lock for an entry whatever its guards are, and its waiters get what was loaded."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._loaded: dict[str, bytes] = {}

    def begin(self, entry: str, seen: bytes, nonces: bytes, token: bytes) -> bytes | bool:
        """Give what was loaded under other guards as if it were under these."""
        raw = self._loaded.get(entry)
        if raw is None or mark(raw) == seen:
            return self.locks.take(entry, b"locked", token)
        return _with_its_checksum(raw.replace(b"".join(nonces_in(raw)), nonces))

    def put(self, entry: str, raw: bytes, guards: Sequence[str], nonces: Sequence[bytes]) -> bool:
        """Keep what was loaded for those who wait, stored or not."""
        self._loaded[entry] = raw
        return super().put(entry, raw, guards, nonces)


class PutsAnyway(Server):
    """Stores an entry without comparing the guards: under those that are there now."""

    def put(self, entry: str, raw: bytes, guards: Sequence[str], nonces: Sequence[bytes]) -> bool:
        """Give the entry the nonces of now."""
        for guard, old in zip(guards, nonces, strict=True):
            raw = raw.replace(old, self.data.get(guard, old))
        self.write(entry, _with_its_checksum(raw))
        return True


def _with_its_checksum(raw: bytes) -> bytes:
    return raw[:4] + zlib.crc32(raw[8:]).to_bytes(4, "little") + raw[8:]
