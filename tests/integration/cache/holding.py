"""Holds so short that a test can wait for their end."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeVar

from tests.integration.cache.pair import everything_of
from tests.integration.cache.running import Cache
from tests.integration.cache.shops import Shop

__all__ = ["read_while_held"]

T = TypeVar("T")


async def read_while_held(
    cache: Cache, shop: Shop, start: datetime, read: Callable[[], Awaitable[T]]
) -> tuple[T, T]:
    """Hold a slot for a moment; return what is read of it then, when it is loaded and when kept.

    On a machine so busy that the hold ends before that, it is tried again with a longer one.
    """
    async with shop.acknowledged():
        appointment = await shop.book(start, hold_until=cache.now())
    for seconds in (1.5, 3, 6):
        hold_until = cache.now() + timedelta(seconds=seconds)
        async with shop.acknowledged():
            await shop.connection.execute(
                "UPDATE appointments SET hold_until = $2 WHERE id = $1", appointment, hold_until
            )
        await cache.stub.Invalidate(everything_of(shop))
        answers = await read(), await read()
        if cache.now() < hold_until:
            return answers
    message = "the hold was over before it was looked at"
    raise AssertionError(message)
