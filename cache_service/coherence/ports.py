"""What the protocol needs of the world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from cache_service.coherence.era import Era
from cache_service.coherence.outcome import Outcome

__all__ = [
    "LOCK_SECONDS",
    "Filled",
    "Load",
    "Loaded",
    "Observer",
    "Read",
    "Store",
    "StoreUnavailableError",
    "Taken",
    "Wanted",
]


LOCK_SECONDS = 1.0
"""How long a load lock outlives its loader: then another takes over."""


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
    """An entry to store: everything is the caller's but the comparison of the guards.

    `ttl` is in seconds. `token` is that of the load lock, if the load has it.
    """

    key: str
    tags: tuple[str, ...]
    nonces: tuple[bytes, ...]
    raw: bytes
    ttl: float
    token: bytes = b""


class Wanted(NamedTuple):
    """An entry about to be loaded; `seen` is the mark of the one there that will not do."""

    key: str
    tags: tuple[str, ...]
    seen: bytes = b""


class Taken(NamedTuple):
    """What a load may begin with: the nonces of its guards, in the order of its tags.

    `raw` is the entry if somebody has stored another under these nonces. `token` is that of
    the load lock if that is the caller's now. Without either, somebody else has the lock.
    """

    nonces: tuple[bytes, ...]
    raw: bytes | None = None
    token: bytes = b""


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

    async def take(
        self, era: Era, organization_id: int, wanted: Sequence[Wanted]
    ) -> Sequence[Taken]:
        """Claim the tags' guards and, under them, the load lock of each entry.

        A lock lasts LOCK_SECONDS unless renewed. One that was taken under other nonces does
        not count: the entry was invalidated since.
        """

    async def put(self, era: Era, organization_id: int, filled: Filled) -> bool:
        """Store the entry only if every guard still has its nonce; tell whether it was.

        In the same moment release the lock, stored or not, and push that to who waits.
        """

    async def renew(
        self, era: Era, organization_id: int, keys: Sequence[str], token: bytes
    ) -> None:
        """Let the locks that this token still has last for LOCK_SECONDS from now."""

    async def release(
        self, era: Era, organization_id: int, keys: Sequence[str], token: bytes
    ) -> None:
        """Release the locks of loads that failed, and push that to who waits."""

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

    def loaded(self, query: str, seconds: float) -> None:
        """Tell of one load, of however many entries, and how long the database took."""

    def load_failed(self, organization_id: int, query: str) -> None:
        """Tell of one entry whose load failed."""
