"""How long entries live, and when they are refreshed before they expire.

Early refresh is XFetch (Vattani, Chiera, Lowenstein: Optimal Probabilistic Cache Stampede
Prevention, VLDB 2015): whoever is served an entry draws a moment before its expiry, the
earlier the longer its load took, and refreshes it if that moment is past. So one reader is
early enough and few are, whoever they are, and none waits. That times to live are uneven
keeps entries that were filled together from expiring together.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from cache_service.coherence.entry import Entry

__all__ = ["Expiry"]

_JITTER = 0.1


class Expiry:
    """Draws times to live and moments of refreshing.

    `random` gives a number from 0 to below 1, and `time` seconds since the epoch. Entries are
    kept for `kept_stale` seconds more than they live, for readers that allow staleness.
    """

    def __init__(
        self, time: Callable[[], float], random: Callable[[], float], kept_stale: float
    ) -> None:
        self.time = time
        self.kept_stale = kept_stale
        self._random = random

    def lives(self, ttl: float) -> float:
        """Draw how many seconds an entry is to live: a tenth more or less than told."""
        return ttl * (1 - _JITTER + 2 * _JITTER * self._random())

    def refresh_at(self, entry: Entry) -> float:
        """Draw from when on the entry is to be refreshed, in seconds since the epoch."""
        return entry.expires_at + entry.load_seconds * math.log(1 - self._random())
