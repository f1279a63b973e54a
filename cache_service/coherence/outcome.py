"""How a read was answered: the one enum of the reply, the metric and the log."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

__all__ = ["Answer", "Outcome"]


class Outcome(Enum):
    """How one entry was come by, from the nearest to the furthest."""

    NEAR = "near"
    """A hit in the memory of this process."""
    HIT = "hit"
    """A hit in the shared cache."""
    STALE = "stale"
    """Served although it was invalidated, had expired or nobody can tell, to who allows that."""
    MISS = "miss"
    """Not there, or one of its guards was gone or changed: loaded and stored."""
    SHARED = "shared"
    """Missed, and served by a load that another caller had begun, in whatever process."""
    BYPASS = "bypass"
    """The caller asked for the database."""
    UNCACHED = "uncached"
    """Without lease, or the shared cache did not answer: loaded, not stored."""

    # Enum's own hashes the name, in Python: four of them were a tenth of a hit in memory.
    __hash__ = object.__hash__

    @property
    def cached(self) -> bool:
        """Whether the answer came out of a cache."""
        return self in _CACHED


_CACHED = frozenset({Outcome.NEAR, Outcome.HIT, Outcome.STALE})


class Answer(NamedTuple):
    """A payload, how it was come by, its snapshot, and when it was filled.

    `filled_at` is in seconds since the epoch.
    """

    payload: bytes
    outcome: Outcome
    snapshot: str
    filled_at: float
