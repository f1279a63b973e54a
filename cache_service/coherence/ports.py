"""What the protocol needs of the world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from cache_service.coherence.era import Era
from cache_service.coherence.outcome import Outcome

__all__ = ["Filled", "Load", "Loaded", "Observer", "Read", "Store", "StoreUnavailableError"]


class StoreUnavailableError(Exception):
    """The shared cache cannot be reached, did not answer in time, or refused.

    It is never a caller's error: reads then come from the database, and an invalidation
    is not acknowledged.
    """


class Read(NamedTuple):
    """One entry asked for: its key, its tags with the scope tag first, its time to live.

    `ttl` is in seconds and bounds memory only.
    """

    query: str
    key: str
    tags: tuple[str, ...]
    ttl: float


@dataclass(frozen=True, slots=True)
class Filled:
    """An entry to store: everything is the caller's but the comparison of the guards."""

    key: str
    tags: tuple[str, ...]
    nonces: tuple[bytes, ...]
    raw: bytes
    ttl: float


@dataclass(frozen=True, slots=True)
class Loaded:
    """What one snapshot of the database answered: payloads in the order asked for."""

    snapshot: str
    payloads: Sequence[bytes]


class Load(Protocol):
    """Reads from the primary, in one fresh REPEATABLE READ READ ONLY transaction."""

    async def __call__(self, wanted: Sequence[int]) -> Loaded:
        """Load the reads with these positions; the transaction begins after the call."""


class Store(Protocol):
    """The shared cache of entries and guards.

    Each call acts on the entries and guards of one era, and only if it reaches the very
    server of that era, as a primary: else, and if nothing answers, it raises
    StoreUnavailableError.
    """

    def full_key(self, era: Era, organization_id: int, key: str) -> str:
        """Return the key as stored: with the organization and the era."""

    async def fetch(
        self, era: Era, organization_id: int, keys: Sequence[str], tags: Sequence[str]
    ) -> tuple[Sequence[bytes | None], Sequence[bytes | None]]:
        """Return entries and guards in one round trip; what is missing is None."""

    async def claim(self, era: Era, organization_id: int, tags: Sequence[str]) -> Sequence[bytes]:
        """Return the tags' guards, giving the missing ones a fresh nonce each."""

    async def put(self, era: Era, organization_id: int, filled: Filled) -> bool:
        """Store the entry only if every guard still has its nonce; tell whether it was."""

    async def invalidate(
        self, era: Era, organization_id: int, tags: Sequence[str], number: int
    ) -> None:
        """Delete the tags' guards and publish the tags under the number, whatever was found."""


class Observer(Protocol):
    """Is told what became of entries; must not raise."""

    def answered(self, organization_id: int, query: str, outcome: Outcome) -> None:
        """Tell of one entry answered."""

    def stored(self, organization_id: int, query: str, size: int) -> None:
        """Tell of one entry stored, and its size in bytes."""

    def load_failed(self, organization_id: int, query: str) -> None:
        """Tell of one entry whose load failed."""
