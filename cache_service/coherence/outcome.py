"""How a read was answered: the one enum of the reply, the metric and the log."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ["Answer", "Outcome"]


class Outcome(Enum):
    """How one entry was come by."""

    HIT = "hit"
    MISS = "miss"
    """Not there, or one of its guards was gone or changed: loaded and stored."""
    BYPASS = "bypass"
    """The caller asked for the database."""
    UNCACHED = "uncached"
    """The shared cache did not answer: loaded, not stored."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A payload, how it was come by, and when it was filled (seconds since the epoch)."""

    payload: bytes
    outcome: Outcome
    filled_at: float
