"""Waiting for several things at once."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

__all__ = ["gathered"]


async def gathered(work: Iterable[Coroutine[Any, Any, object]]) -> None:
    """Await all of it to its end, then raise the first error there was."""
    found = await asyncio.gather(*work, return_exceptions=True)
    for result in found:
        if isinstance(result, BaseException):
            raise result
