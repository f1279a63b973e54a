"""Answer a stream of requests on a stream of answers, several at once."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import TypeVar

from service_kit.errors import Unavailable

__all__ = ["exchange"]

Q = TypeVar("Q")
A = TypeVar("A")


async def exchange(
    requests: AsyncIterator[Q],
    answer: Callable[[Q], Awaitable[A]],
    *,
    at_once: int,
    draining: asyncio.Event,
) -> AsyncGenerator[A, None]:
    """Yield answers as they are done, until the requests end and all are answered.

    At most `at_once` are under way, or wait to be taken: meanwhile no further request is
    read. When `draining` is set, no more is read at all, and Unavailable (DRAINING) comes
    behind the answers under way. Closed, it leaves no task. `answer` and the requests may
    raise: that ends the exchange, behind what is done.
    """
    done = asyncio.Queue[asyncio.Task[A] | None]()
    slots = asyncio.Semaphore(at_once)
    under_way = set[asyncio.Task[A]]()

    async def read() -> None:
        await slots.acquire()
        async for request in requests:
            task = asyncio.ensure_future(answer(request))
            under_way.add(task)
            task.add_done_callback(done.put_nowait)
            await slots.acquire()

    async def read_until_drained() -> None:
        reading = asyncio.ensure_future(read())
        stop = asyncio.ensure_future(draining.wait())
        try:
            await asyncio.wait((reading, stop), return_when=asyncio.FIRST_COMPLETED)
            drained = reading.cancel()
            await asyncio.wait((reading, *under_way))
            if drained:
                message = "this process is about to end"
                raise Unavailable("DRAINING", message)
            reading.result()
        finally:
            for task in (reading, stop):
                task.cancel()
            await asyncio.wait((reading, stop))
            done.put_nowait(None)

    whole = asyncio.ensure_future(read_until_drained())
    try:
        while (task := await done.get()) is not None:
            under_way.discard(task)
            yield task.result()
            slots.release()
        whole.result()
    finally:
        left = {whole, *under_way}
        for one in left:
            one.cancel()
        await asyncio.gather(*left, return_exceptions=True)
