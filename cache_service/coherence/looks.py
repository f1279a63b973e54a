"""Looks at the authority, shared by all who asked before one began."""

from __future__ import annotations

import asyncio

from cache_service.coherence.authority import Authority, Standing
from cache_service.coherence.lease import Lease
from cache_service.coherence.waiting import retrieved

__all__ = ["Looks"]


class Looks:
    """One look at a time: who asks while one is under way gets the next.

    Whoever invalidates must look after its script has run, so a look that began before
    tells it nothing; but one look serves many who wait for the same next one.
    """

    def __init__(self, authority: Authority, lease: Lease) -> None:
        self._authority = authority
        self._lease = lease
        self._running: asyncio.Task[Standing] | None = None
        self._next: asyncio.Task[Standing] | None = None

    async def look(self) -> Standing:
        """Return what is in force at some moment after the call.

        Raises AuthorityUnavailableError.
        """
        if self._next is None:
            self._next = asyncio.get_running_loop().create_task(self._look(self._running))
            self._next.add_done_callback(retrieved)
        return await asyncio.shield(self._next)

    async def _look(self, before: asyncio.Task[Standing] | None) -> Standing:
        if before is not None and not before.done():
            await asyncio.wait({before})
        self._running, self._next = self._next, None
        standing = await self._authority.look()
        self._lease.learn(standing)
        return standing
