"""How fresh a read must be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cache_service.coherence.tokens import Token

__all__ = ["Consistency"]


@dataclass(frozen=True, slots=True)
class Consistency:
    """The demand of one read; without any it is G1: nothing older than was acknowledged.

    `max_staleness` (seconds): an entry filled no longer ago will do, invalidated, expired or
    neither.
    `token`: only what has seen all that it stands for. `full`: the database.
    """

    max_staleness: float = 0.0
    token: Token | None = None
    full: bool = False

    DEFAULT: ClassVar[Consistency]
    FULL: ClassVar[Consistency]

    def against(self, database: str) -> Consistency:
        """Return the demand as it is for entries of that database.

        A token that was given after its transaction was applied asks for no more than
        G1. A foreign one cannot be compared with anything here, so it asks for the
        database.
        """
        if self.token is None:
            return self
        if self.token.database != database:
            return self.FULL
        return self.DEFAULT if self.token.xid is not None and self.token.applied else self


Consistency.DEFAULT = Consistency()
Consistency.FULL = Consistency(full=True)
