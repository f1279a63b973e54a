"""Waiting for several things at once, and for what nobody waits for any more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from math import inf
from typing import Any, TypeVar

__all__ = ["Repeating", "Until", "gathered", "retrieved"]


T = TypeVar("T")


async def gathered(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Await all of it to its end; then raise the first error there was, or return all."""
    all_of_it = list(work)
    if len(all_of_it) == 1:
        return [await all_of_it[0]]
    results = []
    for found in await asyncio.gather(*all_of_it, return_exceptions=True):
        if isinstance(found, BaseException):
            raise found
        results.append(found)
    return results


class Until:
    """By when an answer is wanted, on the loop's clock: by the latest of all who wait for it."""

    def __init__(self, latest: float = inf) -> None:
        self.latest = latest

    def extend(self, other: Until) -> None:
        """Wait for as long as another does, too."""
        self.latest = max(self.latest, other.latest)


class Repeating:
    """Calls something every so many seconds, the first time after as many, until cancelled.

    Most are cancelled before that: a task for each would cost more than the timer.
    """

    def __init__(self, seconds: float, call: Callable[[], None]) -> None:
        self._seconds = seconds
        self._call = call
        self._timer = asyncio.get_running_loop().call_later(seconds, self._again)

    def cancel(self) -> None:
        """Call it no more."""
        self._timer.cancel()

    def _again(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._again)
        self._call()


def retrieved(future: asyncio.Future[Any]) -> None:
    """Take note of an error for which nobody may be waiting: a callback for when it is done."""
    if not future.cancelled():
        future.exception()
