"""Tasks that go on cleaning up after their call was answered."""

import asyncio
from typing import Any

import structlog

from service_kit.errors import ServiceError

__all__ = ["Leftovers"]


class Leftovers:
    """Hold cancelled tasks until they end, so that none is collected half-way."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Future[Any]] = set()

    def cancel(self, task: asyncio.Future[Any]) -> None:
        """Cancel a task that nobody awaits any more, and keep it until it ends."""
        if not task.done():
            self._tasks.add(task)
            task.cancel()
        task.add_done_callback(self._ended)

    async def settle(self, seconds: float) -> None:
        """Wait until all have ended, at most so long."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    def _ended(self, task: asyncio.Future[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and not isinstance(error, ServiceError):
            structlog.get_logger("service_kit.leftovers").warning(
                "error after the call was answered", exc_info=error
            )
