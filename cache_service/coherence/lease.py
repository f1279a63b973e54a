"""The lease: a process's right to serve hits."""

from __future__ import annotations

from collections.abc import Callable

from cache_service.coherence.authority import Standing
from cache_service.coherence.era import Era

__all__ = ["LEASE_SECONDS", "MARGIN_SECONDS", "Lease"]

LEASE_SECONDS = 1.0
"""L: the same in every process, since each waits for the leases of the others to run out."""

MARGIN_SECONDS = 0.03 * LEASE_SECONDS
"""How much faster or slower clocks may run: their rates matter, never their times."""


class Lease:
    """What this process knows to be in force, and until when it may act on it.

    `clock` gives seconds that only go forward, also while the machine is suspended.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until = 0.0
        self._held: Era | None = None
        self._off: tuple[str, float] | None = None
        self.known: Era | None = None
        """The era last known to be in force, with or without a lease on it."""
        self.known_at: float | None = None
        """When anything was last known; None before."""

    def era(self) -> Era | None:
        """Return the era under which hits may be served now, None if under none."""
        return self._held if self._clock() < self._until else None

    def learn(self, standing: Standing) -> None:
        """Take in what was seen to be in force. It gives no lease, and may end one."""
        if standing.era != self.known:
            self.known = standing.era  # else the same object: each hit compares it with its own
        self.known_at = self._clock()
        if self._held != self.known:
            self.end()
        if standing.era is not None:
            self._off = None
        elif self._off is None or self._off[0] != standing.epoch:
            # From its arrival, not from its sending: every lease on what was in force before
            # began to run out when this epoch was committed, and that was before now.
            self._off = standing.epoch, self._clock()

    def renew(self, standing: Standing, sent_at: float) -> None:
        """Hold the era in force until L after the question was sent.

        From its sending, not from its arrival: whatever put another era in force after the
        question was read waits L from a later moment.
        """
        self.learn(standing)
        self._held = self.known
        self._until = sent_at + LEASE_SECONDS

    def end(self) -> None:
        """Serve no hits until it is renewed."""
        self._held = None
        self._until = 0.0

    def off_for(self, epoch: str) -> float:
        """Return how many seconds this process has known that off epoch; 0 if it is unknown."""
        if self._off is None or self._off[0] != epoch:
            return 0.0
        return self._clock() - self._off[1]
