"""Watchers: callers that keep answers themselves, told of what this process drops.

Whoever opened a watch at t has been told, before a heartbeat with `elapsed` e, of every change
acknowledged before t + e. For an acknowledgement waits until every member has dropped the tags
from its memory, where its watchers are told in the same turn, before it acknowledges; or until
the member's lease has run out, and it has no lease again before it has forgotten everything,
which its watchers are told, too. A heartbeat is sent only under the lease and has its place
behind all that was told before. So nothing here may be put off: what is dropped is queued
inside the dropping.

It holds for answers of this very process: another may serve what this one has dropped already,
until the change is acknowledged.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import NamedTuple

from cache_service.coherence.lease import Lease

__all__ = ["HEARTBEAT_SECONDS", "MOST_WAITING", "End", "Told", "WatchEnded", "Watcher", "Watchers"]

HEARTBEAT_SECONDS = 0.25
MOST_WAITING = 10_000
"""Tags and heartbeats that may wait for one watcher."""


class End(Enum):
    """Why a watch ends that its caller did not end."""

    DRAINING = "this process is about to end"
    NO_LEASE = "this process may not tell any more what is acknowledged"
    TOO_SLOW = "more waits to be told than is kept"


class WatchEnded(Exception):
    """Tell that a watch is over, and why."""

    def __init__(self, why: End) -> None:
        super().__init__(why.value)
        self.why = why


class Told(NamedTuple):
    """What a watcher is told: tags of an organization, or all (`everything`), or a heartbeat.

    A heartbeat has `elapsed`: for how many seconds the watch had been open then.
    """

    organization_id: int = 0
    tags: tuple[str, ...] = ()
    everything: bool = False
    elapsed: float | None = None


class Watcher:
    """One who watches: what waits to be told, in its order. `wanted` are tags; None: all."""

    def __init__(self, wanted: frozenset[str] | None, opened_at: float) -> None:
        self._wanted = wanted
        self._opened_at = opened_at
        self._waiting: deque[Told] = deque()
        self._weight = 0
        self._stirred = asyncio.Event()
        self._ended: End | None = None

    async def __aiter__(self) -> AsyncIterator[Told]:
        """Give what there is to tell, as it comes; raises WatchEnded behind it."""
        while True:
            while self._waiting:
                told = self._waiting.popleft()
                self._weight -= 1 + len(told.tags)
                yield told
            if self._ended is not None:
                raise WatchEnded(self._ended)
            self._stirred.clear()
            await self._stirred.wait()

    def dropped(self, organization_id: int, tags: Sequence[str]) -> None:
        """Tell of those tags that are wanted."""
        wanted = self._wanted
        named = tuple(tags if wanted is None else (tag for tag in tags if tag in wanted))
        if named:
            self._tell(Told(organization_id, named))

    def forgot(self) -> None:
        """Tell that everything may be old; nothing of before needs to be told any more."""
        self._waiting.clear()
        self._weight = 0
        self._tell(Told(everything=True))

    def beat(self, now: float) -> None:
        """Tell that all of before has been told; one that waits already says it of then."""
        if self._waiting and self._waiting[-1].elapsed is not None:
            self._waiting.pop()
            self._weight -= 1
        self._tell(Told(elapsed=now - self._opened_at))

    def end(self, why: End) -> None:
        """End the watch behind what waits to be told."""
        self._ended = self._ended or why
        self._stirred.set()

    def _tell(self, told: Told) -> None:
        if self._ended is not None:
            return
        self._weight += 1 + len(told.tags)
        if self._weight > MOST_WAITING:
            self._waiting.clear()
            self.end(End.TOO_SLOW)
            return
        self._waiting.append(told)
        self._stirred.set()


class Watchers:
    """All who watch this process.

    `clock` gives seconds that only go forward, also while the machine is suspended.
    """

    def __init__(
        self,
        lease: Lease,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._lease = lease
        self._clock = clock
        self._sleep = sleep
        self._of: defaultdict[int, set[Watcher]] = defaultdict(set)
        """By organization; under 0 those who watch every one."""

    def __len__(self) -> int:
        return sum(map(len, self._of.values()))

    @contextmanager
    def watch(
        self, organization_id: int = 0, wanted: frozenset[str] | None = None
    ) -> Iterator[Watcher]:
        """Watch from now on: an organization, or every one (0); its tags, or all (None)."""
        watcher = Watcher(wanted, self._clock())
        self._of[organization_id].add(watcher)
        try:
            self._beat(watcher)
            yield watcher
        finally:
            self._of[organization_id].discard(watcher)
            if not self._of[organization_id]:
                del self._of[organization_id]

    def dropped(self, organization_id: int, tags: Sequence[str]) -> None:
        """Tell who watches that organization that these tags were dropped from memory."""
        for of in (0, organization_id):
            for watcher in self._of.get(of, ()):
                watcher.dropped(organization_id, tags)

    def forgot(self) -> None:
        """Tell all that everything was dropped."""
        for watcher in self._all():
            watcher.forgot()

    def end(self, why: End) -> None:
        """End every watch that there is."""
        for watcher in self._all():
            watcher.end(why)

    async def run(self) -> None:
        """Send heartbeats until cancelled."""
        while True:
            for watcher in self._all():
                self._beat(watcher)
            await self._sleep(HEARTBEAT_SECONDS)

    def _beat(self, watcher: Watcher) -> None:
        """Send a heartbeat under the lease; without it, end the watch."""
        now = self._clock()  # first: a pause before the look at the lease then ends the watch
        if self._lease.era() is None:
            watcher.end(End.NO_LEASE)
        else:
            watcher.beat(now)

    def _all(self) -> list[Watcher]:
        return [watcher for watchers in self._of.values() for watcher in watchers]
