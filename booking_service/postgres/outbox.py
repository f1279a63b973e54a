"""Delete the events that the cache has applied, behind the answers, in batches.

Deleting before each acknowledgement halves the commits a second. What is not deleted
here, the relay applies once more and deletes: a lost batch costs some misses.
"""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

import structlog
from sqlalchemy import ARRAY, Text, bindparam, cast, delete, func
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from booking_service.postgres.columns import XID8
from booking_service.postgres.tables import outbox

__all__ = ["OutboxCleaner"]

# As text and cast there: the driver has no code for xid8.
_DELETE = delete(outbox).where(
    outbox.c.xid
    == func.any(cast(cast(bindparam("xids", type_=ARRAY(Text)), ARRAY(Text)), ARRAY(XID8)))
)


class OutboxCleaner:
    """Collect transaction ids and delete their events, while it is entered.

    A batch waits `interval` seconds for company and holds `batch` transactions at most;
    above `limit` waiting ones the rest is left to the relay.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        interval: float = 0.05,
        batch: int = 500,
        limit: int = 10_000,
    ) -> None:
        self._engine = engine
        self._sleep = sleep
        self._interval = interval
        self._batch = batch
        self._limit = limit
        self._waiting: list[int] = []
        self._going: list[int] = []
        self._some = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def acknowledged(self, xid: int) -> None:
        """Take a transaction all of whose events the cache has applied; returns at once."""
        if len(self._waiting) < self._limit:
            self._waiting.append(xid)
            self._some.set()

    def applied(self) -> list[int]:
        """Return the transactions taken whose events may not be deleted yet."""
        return self._going + self._waiting

    async def flush(self) -> int:
        """Delete the events of all that wait now; return how many events those were."""
        deleted = 0
        while self._waiting:
            batch = self._waiting[: self._batch]
            del self._waiting[: self._batch]
            if not self._waiting:
                self._some.clear()
            self._going = batch
            try:
                async with self._engine.begin() as connection:
                    xids = [str(xid) for xid in batch]
                    deleted += (await connection.execute(_DELETE, {"xids": xids})).rowcount
            finally:
                self._going = []
        return deleted

    async def __aenter__(self) -> Self:
        """Start to delete behind."""
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop, and delete what waits."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
        await self._flush_or_log()

    async def _run(self) -> None:
        while True:
            await self._some.wait()
            await self._sleep(self._interval)
            await self._flush_or_log()

    async def _flush_or_log(self) -> None:
        try:
            await self.flush()
        except (SQLAlchemyError, OSError) as error:
            structlog.get_logger("booking_service.outbox").warning(
                "events stay for the relay to delete", error=type(error).__name__
            )
