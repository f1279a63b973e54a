"""Shared loads: one load for all who miss the same entry under the same guards.

A load is keyed by the entry's key and the nonces that its guards had. Keyed by the
entry alone it would hand a change's acknowledged reader an answer loaded before it: the
change gives the guards other nonces, and so its readers another load.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from cache_service.coherence.waiting import Until, retrieved

__all__ = ["SharedLoads"]

T = TypeVar("T")
R = TypeVar("R")


class _ComposedLoadError(Exception):
    """A load of several entries failed; `__cause__` is why, which may concern one of them."""


class _Open(NamedTuple, Generic[T]):
    """A load that can be joined, and by when its answer is wanted."""

    future: asyncio.Future[T]
    until: Until


class SharedLoads(Generic[T]):
    """Runs loads in tasks of their own and lets callers join them.

    A caller that goes away cancels nothing: the task is held here, and the callers wait
    for futures of their own.
    """

    def __init__(self) -> None:
        self._open: dict[Hashable, _Open[T]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        """Return how many loads there are to join."""
        return len(self._open)

    async def join(
        self,
        keys: Sequence[Hashable],
        load: Callable[[Sequence[int]], Coroutine[Any, Any, Sequence[T]]],
        until: Until,
    ) -> list[tuple[T, bool]]:
        """Return each key's result, and whether another caller's load gave it.

        `until` is when the answer is wanted: loads that are joined are wanted by then, too,
        and it is extended by those who join.

        `load(positions)` is called once, at once, with the positions of those keys that
        nobody loads yet; its results are in their order. Raises what the loads raise; but
        where another caller's load of several entries failed, perhaps for what only that
        caller asked for, those joined are loaded once more.
        """
        loop = asyncio.get_running_loop()
        mine: dict[int, asyncio.Future[T]] = {}
        waited: list[asyncio.Future[T]] = []
        for position, key in enumerate(keys):
            joined = self._open.get(key)
            if joined is None:
                joined = self._open[key] = _Open(loop.create_future(), until)
                mine[position] = joined.future
            joined.until.extend(until)
            waited.append(joined.future)
        if mine:
            self._start(self._run([keys[position] for position in mine], mine, load))
        # Shielded: who goes away leaves the others their result.
        found = await asyncio.gather(*map(asyncio.shield, waited), return_exceptions=True)
        for position in mine:
            _raised(found[position])  # One's own error comes before anybody else's.
        again = [
            position
            for position, one in enumerate(found)
            if position not in mine and isinstance(one, _ComposedLoadError)
        ]
        if not again:
            return [(_raised(one), position not in mine) for position, one in enumerate(found)]

        async def load_again(positions: Sequence[int]) -> Sequence[T]:
            return await load([again[position] for position in positions])

        # Under keys of its own: nobody joins what was tried before.
        own = await self.join([object() for _ in again], load_again, until)
        loaded = {position: one for position, (one, _) in zip(again, own, strict=True)}
        return [
            (loaded[position], False)
            if position in loaded
            else (_raised(one), position not in mine)
            for position, one in enumerate(found)
        ]

    def leave(self, keys: Sequence[Hashable]) -> None:
        """Let nobody join these keys any more; who waits for them still gets the result."""
        for key in keys:
            self._open.pop(key, None)

    def __contains__(self, key: Hashable) -> bool:
        """Tell whether there is a load of that key to join."""
        return key in self._open

    async def apart(self, work: Coroutine[Any, Any, R]) -> R:
        """Run something in a task of its own, which goes on if the caller goes away."""
        task = self._start(work)
        task.add_done_callback(retrieved)
        return await asyncio.shield(task)

    def behind(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something in a task of its own; it must not raise."""
        self._start(work)

    async def drain(self) -> None:
        """Wait for what is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _run(
        self,
        keys: Sequence[Hashable],
        mine: dict[int, asyncio.Future[T]],
        load: Callable[[Sequence[int]], Coroutine[Any, Any, Sequence[T]]],
    ) -> None:
        try:
            results = await load(list(mine))
        except BaseException as error:  # noqa: BLE001 - whoever waits must hear of it
            told = error
            if len(mine) > 1:
                told = _ComposedLoadError()
                told.__cause__ = error
            for future in mine.values():
                future.set_exception(told)
                future.exception()  # Retrieved: who waited may be gone.
        else:
            for future, result in zip(mine.values(), results, strict=True):
                future.set_result(result)
        finally:
            for key, future in zip(keys, mine.values(), strict=True):
                joined = self._open.get(key)
                if joined is not None and joined.future is future:
                    del self._open[key]

    def _start(self, work: Coroutine[Any, Any, R]) -> asyncio.Task[R]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _raised(found: T | BaseException) -> T:
    """Return a result; raise what a load raised."""
    if isinstance(found, _ComposedLoadError) and found.__cause__ is not None:
        raise found.__cause__
    if isinstance(found, BaseException):
        raise found
    return found
