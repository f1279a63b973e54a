"""Waiting for several things at once, and for what nobody waits for any more."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

__all__ = ["gathered", "retrieved"]


async def gathered(work: Iterable[Coroutine[Any, Any, object]]) -> None:
    """Await all of it to its end, then raise the first error there was."""
    found = await asyncio.gather(*work, return_exceptions=True)
    for result in found:
        if isinstance(result, BaseException):
            raise result


def retrieved(future: asyncio.Future[Any]) -> None:
    """Take note of an error for which nobody may be waiting: a callback for when it is done."""
    if not future.cancelled():
        future.exception()
