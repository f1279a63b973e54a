"""Pushes: that a load which another process has under way came to an end.

A push says only that it is worth looking now, never what was loaded: whether there is an
entry, and whether it may be served, is for the guards to say.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Sequence

__all__ = ["Listening", "Pushes"]


class Listening:
    """The ends of some loads, heard since it was made."""

    def __init__(self, full_keys: Sequence[str]) -> None:
        self.full_keys = full_keys
        self.heard: set[str] = set()
        self._changed = asyncio.Event()

    def hear(self, full_key: str) -> None:
        """Take note of one."""
        self.heard.add(full_key)
        self._changed.set()

    async def all(self, full_keys: Collection[str], seconds: float) -> None:
        """Wait until all of these were heard, for so long at most."""
        try:
            async with asyncio.timeout(seconds):
                while not self.heard.issuperset(full_keys):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return


class Pushes:
    """Gives what is pushed to those who listen for it."""

    def __init__(self) -> None:
        self._listening: defaultdict[str, set[Listening]] = defaultdict(set)

    def heard(self, full_key: str) -> None:
        """Take a push."""
        for listening in self._listening.get(full_key, ()):
            listening.hear(full_key)

    def lost(self) -> None:
        """Let nobody wait for pushes that may never come."""
        for full_key in self._listening:
            self.heard(full_key)

    def listen(self, full_keys: Sequence[str]) -> Listening:
        """Listen from now on: before a lock is asked for, since its end may come at once.

        `done` must be called with it in the end.
        """
        listening = Listening(full_keys)
        for full_key in full_keys:
            self._listening[full_key].add(listening)
        return listening

    def done(self, listening: Listening) -> None:
        """Listen no more."""
        for full_key in set(listening.full_keys):
            others = self._listening[full_key]
            others.discard(listening)
            if not others:
                del self._listening[full_key]
