"""The relay of a process: it applies what was committed and nobody acknowledged."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from cache_service.coherence.authority import AuthorityUnavailableError
from cache_service.coherence.invalidator import RulesOutdatedError
from tests.model.postgres import OutboxRow
from tests.model.primary import Primary

__all__ = ["Relay"]

AGE = 0.3
PAUSE = 0.2
PATIENCE = 0.2


class Relay:
    """Reads the outbox, applies, and deletes. `begin` starts a task within the process."""

    def __init__(
        self,
        primary: Primary,
        invalidate: Callable[[Iterable[str]], Awaitable[object]],
        begin: Callable[[Callable[[], Coroutine[Any, Any, None]]], asyncio.Task[None]],
        counts: Counter[str],
    ) -> None:
        self.primary = primary
        self.invalidate = invalidate
        self._begin = begin
        self._counts = counts
        self._under_way: set[int] = set()

    async def run(self) -> None:
        """Relay for as long as the process lives; what waits keeps nothing waiting."""
        while True:
            with suppress(AuthorityUnavailableError):
                rows = self.due(await self.primary.outbox(AGE))
                if rows:
                    task = self._begin(partial(self._apply, rows))
                    await asyncio.wait({task}, timeout=PATIENCE)
            await asyncio.sleep(PAUSE)

    def due(self, rows: Iterable[OutboxRow]) -> list[OutboxRow]:
        """Return what is to be applied now."""
        return [row for row in rows if row.xid not in self._under_way]

    async def apply(self, tags: Iterable[str], xids: Iterable[int]) -> None:
        """Apply, and only then delete."""
        await self.invalidate(tags)
        await self.primary.forget(xids)

    async def _apply(self, rows: Sequence[OutboxRow]) -> None:
        xids = {row.xid for row in rows}
        self._under_way |= xids
        try:
            await self.apply([tag for row in rows for tag in row.tags], xids)
            self._counts["relayed"] += len(rows)
        except (AuthorityUnavailableError, RulesOutdatedError):
            pass
        finally:
            self._under_way -= xids
