"""How many loads the database sees at once, and whose."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

__all__ = ["LoadGate", "LoadsExhaustedError"]


class LoadsExhaustedError(Exception):
    """As many loads of the organization wait as may; the caller should come again later."""


@dataclass(slots=True)
class _Line:
    """One organization's loads: how many run, and who waits."""

    running: int = 0
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)


class LoadGate:
    """At most `limit` loads run at once, at most `share` of them for one organization.

    The rest waits, the organizations taking turns, so that one that asks for much does
    not keep the others from the database. Above `queue` waiting ones of an organization,
    or after `patience` seconds, a load is refused with LoadsExhaustedError.
    """

    def __init__(self, limit: int, *, share: int, queue: int, patience: float) -> None:
        self._limit = limit
        self._share = share
        self._queue = queue
        self._patience = patience
        self._running = 0
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
    async def admit(self, organization_id: int) -> AsyncIterator[None]:
        """Hold one place while the context lasts."""
        line = self._lines.setdefault(organization_id, _Line())
        try:
            if self._running < self._limit and line.running < self._share and not line.waiting:
                self._start(line)
            else:
                await self._wait(line)
            try:
                yield
            finally:
                self._end(line)
        finally:
            if not line.running and not line.waiting:
                self._lines.pop(organization_id, None)

    async def _wait(self, line: _Line) -> None:
        if len(line.waiting) >= self._queue:
            raise LoadsExhaustedError
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.waiting.append(turn)
        try:
            async with asyncio.timeout(self._patience):
                await turn
        except BaseException as error:
            if not turn.cancelled():  # A place was given meanwhile.
                self._end(line)
            elif turn in line.waiting:
                line.waiting.remove(turn)
            if isinstance(error, TimeoutError):
                raise LoadsExhaustedError from None
            raise

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
            while line.waiting and line.waiting[0].done():
                line.waiting.popleft()
            if line.waiting and line.running < self._share:
                self._start(line)
                line.waiting.popleft().set_result(None)
                # To the end of the turn.
                self._lines[organization_id] = self._lines.pop(organization_id)
