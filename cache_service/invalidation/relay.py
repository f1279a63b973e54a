"""The relay: applies what was committed and never acknowledged.

It reads the outbox without locks and deletes what it applied. Two relays may apply the
same event, and so may the booking service: a repeat costs a miss. It never remembers an
id to go on from, since transactions commit in another order than they take their ids.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog
from google.protobuf.json_format import Parse, ParseError

from cache_service.coherence.authority import AuthorityUnavailableError
from cache_service.coherence.invalidator import Invalidator, RulesOutdatedError
from cache_service.database import OutboxRow, Primary
from cache_service.invalidation.changes import tags_by_organization
from cache_service.invalidation.tags import SCOPE
from cache_service.telemetry.counts import Counts
from chairside.cache.v1.events_pb2 import Event
from service_kit.errors import ServiceError

__all__ = ["Relay"]

AGE = 0.3
"""Seconds after which an event is taken as never acknowledged."""
PAUSE = 0.2
BATCH = 1000
PATIENCE = 0.2
"""Seconds after which a batch goes on behind and the next is begun."""


class Relay:
    """Applies old events of the outbox, every 200 ms. `sleep` is the pause between.

    A batch that has to wait, as for the lease of a member that was expelled, keeps no later
    one waiting: those would not be applied within their second.
    """

    def __init__(
        self,
        primary: Primary,
        invalidator: Invalidator,
        counts: Counts,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._primary = primary
        self._invalidator = invalidator
        self._counts = counts
        self._sleep = sleep
        self._log = structlog.get_logger("cache.relay")
        self._failing = False
        self._under_way: dict[asyncio.Task[None], frozenset[tuple[str, int]]] = {}

    async def run(self) -> None:
        """Relay until cancelled; faults of database and cache only delay it."""
        try:
            while True:
                more = False
                try:
                    more = await self.turn()
                except (ServiceError, AuthorityUnavailableError, RulesOutdatedError) as error:
                    if not self._failing:
                        self._log.warning("relay waits", reason=str(error) or type(error).__name__)
                    self._failing = True
                except Exception:  # noqa: BLE001 - nothing may end the relay but its process
                    self._log.exception("relay failed")
                    self._failing = True
                else:
                    if self._failing:
                        self._log.info("relay goes on")
                    self._failing = False
                if not more:
                    await self._sleep(PAUSE)
        finally:
            for task in self._under_way:
                task.cancel()

    async def turn(self) -> bool:
        """Apply one batch; tell whether there may be more."""
        found = await self._primary.outbox(older_than=AGE, limit=BATCH)
        self._counts.outbox_age = max((row.age for row in found), default=0.0)
        busy = frozenset[tuple[str, int]]().union(*self._under_way.values())
        rows = [row for row in found if (row.xid, row.row_id) not in busy]
        if not rows:
            return False
        task = asyncio.create_task(self._apply(rows, asyncio.get_running_loop().time()))
        self._under_way[task] = frozenset((row.xid, row.row_id) for row in rows)
        task.add_done_callback(self._ended)
        done, _ = await asyncio.wait({task}, timeout=PATIENCE)
        for ended in done:
            ended.result()
        return bool(done) and len(found) == BATCH

    async def _apply(self, rows: Sequence[OutboxRow], read_at: float) -> None:
        await self._invalidator.invalidate(tags_by_organization(map(self._event, rows)))
        took = asyncio.get_running_loop().time() - read_at
        await self._primary.forget(rows)
        for row in rows:
            self._counts.relayed_after(row.age + took)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Let its rows be read again if they are still there: a failure costs a repeat."""
        del self._under_way[task]
        if not task.cancelled():
            task.exception()

    def _event(self, row: OutboxRow) -> Event:
        """Read an event; one that this version cannot read touches its whole organization."""
        try:
            event = Parse(row.event, Event())
        except ParseError as error:
            why = str(error)
        else:
            if event.organization_id == row.organization_id and event.WhichOneof("change"):
                return event
            why = "it names no change of its row's organization"
        self._log.error("unreadable event", xid=row.xid, error=why, tag=SCOPE)
        event = Event(organization_id=row.organization_id)
        event.organization.SetInParent()
        return event
