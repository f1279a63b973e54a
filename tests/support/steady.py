"""Notice that the machine stood still: what must happen within a lease then proves nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from threading import Event, Lock, Thread
from time import monotonic
from typing import Self, TypeVar

import grpc

__all__ = ["Standstills", "undisturbed"]

_TICK_SECONDS = 0.01
_LEAST_SECONDS = 0.25
"""What is shorter is a busy machine, which every test has to bear."""

T = TypeVar("T")


class Standstills:
    """Finds, while it is open, spans in which a thread that does nothing else did not get to run.

    Whoever asks for them looks as well. A context manager.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._latest = clock()
        self._spans: list[tuple[float, float]] = []
        self._lock = Lock()
        self._over = Event()
        self._thread = Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def seconds(self, since: float, until: float) -> float:
        """Return how long the machine stood still in between."""
        self._look()
        spans = ((max(begins, since), min(ends, until)) for begins, ends in self._spans)
        return sum(max(0.0, ends - begins) for begins, ends in spans)

    def _watch(self) -> None:
        while not self._over.wait(_TICK_SECONDS):
            self._look()

    def _look(self) -> None:
        with self._lock:
            before, self._latest = self._latest, self._clock()
            if self._latest - before >= _LEAST_SECONDS:
                self._spans.append((before, self._latest))


async def undisturbed(
    section: Callable[[], Awaitable[T]],
    *,
    tries: int = 3,
    clock: Callable[[], float] = monotonic,
) -> T:
    """Run a section of a test; again if it failed while the machine stood still, and only then.

    What must hold even then, such as that nothing is stale, is to be asserted outside, of each run.
    """
    with Standstills(clock) as standstills:
        for _ in range(tries - 1):
            began = clock()
            try:
                return await section()
            except (AssertionError, grpc.RpcError):
                if not standstills.seconds(began, clock()):
                    raise
        return await section()
