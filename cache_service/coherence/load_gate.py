"""How many loads the database sees at once, and whose."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from cache_service.coherence.waiting import Until

__all__ = ["LoadGate", "LoadsExhaustedError"]


_WEIGHT = 1 / 8
"""Of the newest load in the mean time that loads take."""


class LoadsExhaustedError(Exception):
    """The load cannot have its turn in time; the caller should come again later."""


@dataclass(slots=True)
class _Line:
    """One organization's loads: how many run, and who waits."""

    running: int = 0
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)


class LoadGate:
    """At most `limit` loads run at once, at most `share` of them for one organization.

    The rest waits, the organizations taking turns, so that one that asks for much does
    not keep the others from the database. Refused with LoadsExhaustedError is a load above
    `queue` waiting ones of its organization; one whose turn, as long as loads take now,
    would not come in time, at once; and one that has waited for `patience` seconds, or until
    nobody wants its answer any more.
    """

    def __init__(self, limit: int, *, share: int, queue: int, patience: float) -> None:
        self._limit = limit
        self._share = share
        self._queue = queue
        self._patience = patience
        self._running = 0
        self._mean = 0.0
        self._lines: dict[int, _Line] = {}

    @property
    def running(self) -> int:
        """How many loads run."""
        return self._running

    @property
    def waiting(self) -> int:
        """How many loads wait."""
        return sum(len(line.waiting) for line in self._lines.values())

    @asynccontextmanager
    async def admit(self, organization_id: int, until: Until | None = None) -> AsyncIterator[None]:
        """Hold one place while the context lasts; `until` may be extended while it waits."""
        clock = asyncio.get_running_loop().time
        line = self._lines.setdefault(organization_id, _Line())
        try:
            if self._running < self._limit and line.running < self._share and not line.waiting:
                self._start(line)
            else:
                await self._wait(line, until or Until())
            began = clock()
            try:
                yield
            finally:
                self._mean += _WEIGHT * (clock() - began - self._mean)
                self._end(line)
        finally:
            if not line.running and not line.waiting:
                self._lines.pop(organization_id, None)

    async def _wait(self, line: _Line, until: Until) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + self._patience

        def left() -> float:
            return min(end, until.latest) - loop.time()

        expected = (len(line.waiting) + 1) / self._share * self._mean
        if len(line.waiting) >= self._queue or expected > left():
            raise LoadsExhaustedError
        turn: asyncio.Future[None] = loop.create_future()
        line.waiting.append(turn)
        try:
            while not turn.done() and left() > 0:
                await asyncio.wait({turn}, timeout=left())
        except asyncio.CancelledError:
            if turn.done():  # A place was given meanwhile.
                self._end(line)
            else:
                line.waiting.remove(turn)
            raise
        if not turn.done():
            line.waiting.remove(turn)
            raise LoadsExhaustedError

    def _start(self, line: _Line) -> None:
        self._running += 1
        line.running += 1

    def _end(self, line: _Line) -> None:
        self._running -= 1
        line.running -= 1
        self._next()

    def _next(self) -> None:
        """Give free places to those who wait: the organizations in turn."""
        for organization_id, line in list(self._lines.items()):
            if self._running >= self._limit:
                return
            if line.waiting and line.running < self._share:
                self._start(line)
                line.waiting.popleft().set_result(None)
                # To the end of the turn.
                self._lines[organization_id] = self._lines.pop(organization_id)
