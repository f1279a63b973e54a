"""What the members tell each other: what was invalidated, and that they have heard of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from itertools import count
from typing import Any, NamedTuple

from cache_service.coherence.memory import Memory

__all__ = ["Peers", "Publication"]


class Publication(NamedTuple):
    """One invalidation as it is published: by whom, the publisher's number of it, and what."""

    publisher: str
    number: int
    organization_id: int
    tags: tuple[str, ...]


class _Awaited:
    """Members that still have to acknowledge one publication."""

    def __init__(self) -> None:
        self.heard: set[str] = set()
        self.changed = asyncio.Event()


class Peers:
    """Hears publications, drops what they name from memory, and then acknowledges them.

    `publisher` names this process in its publications; `acknowledge(publication, member)`
    sends an acknowledgement, not waiting for anything. `member` is what this
    process is registered as, None while it is not.
    """

    def __init__(
        self,
        memory: Memory,
        publisher: str,
        acknowledge: Callable[[Publication, str], None],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._memory = memory
        self._publisher = publisher
        self._acknowledge = acknowledge
        self._sleep = sleep
        self._numbers = count(1)
        self._awaited: dict[int, _Awaited] = {}
        self.member: str | None = None

    def heard(self, publication: Publication) -> None:
        """Drop what a publication names, and only then acknowledge it."""
        self._memory.drop(publication.organization_id, publication.tags)
        if self.member is None:
            return
        if publication.publisher == self._publisher:
            self.acknowledged(publication.number, self.member)
        else:
            self._acknowledge(publication, self.member)

    def acknowledged(self, number: int, member: str) -> None:
        """Take note that a member has acknowledged one of this process's publications."""
        awaited = self._awaited.get(number)
        if awaited is not None:
            awaited.heard.add(member)
            awaited.changed.set()

    def publish(self) -> int:
        """Return the number of a publication about to be made, and listen for answers to it.

        `done` must be called with it in the end.
        """
        number = next(self._numbers)
        self._awaited[number] = _Awaited()
        return number

    def done(self, numbers: Collection[int]) -> None:
        """Listen no more for answers to these publications."""
        for number in numbers:
            self._awaited.pop(number, None)

    async def silent(
        self, numbers: Collection[int], members: Collection[str], seconds: float
    ) -> set[str]:
        """Return the members that have not acknowledged all of the numbers in that time."""

        def missing(number: int) -> set[str]:
            return set(members) - self._awaited[number].heard

        async def all_heard() -> None:
            for number in numbers:
                while missing(number):
                    self._awaited[number].changed.clear()
                    await self._awaited[number].changed.wait()

        if any(map(missing, numbers)):
            either: set[asyncio.Future[Any]] = {
                asyncio.ensure_future(all_heard()),
                asyncio.ensure_future(self._sleep(seconds)),
            }
            try:
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in either:
                    one.cancel()
        return set[str]().union(*map(missing, numbers))
