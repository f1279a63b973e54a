"""Answer a stream of requests on a stream of answers, several at once."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar

from service_kit.errors import Unavailable

__all__ = ["exchange"]

Q = TypeVar("Q")
A = TypeVar("A")


async def exchange(
    requests: AsyncIterator[Q],
    answer: Callable[[Q], A | Coroutine[Any, Any, A]],
    *,
    at_once: int,
    draining: asyncio.Event,
) -> AsyncGenerator[A, None]:
    """Yield answers as they are done, until the requests end and all are answered.

    What `answer` returns is the answer, or a coroutine of it if that takes its time. At most
    `at_once` are under way, or wait to be taken: meanwhile no further request is read. When
    `draining` is set, no more is read at all, and Unavailable (DRAINING) comes behind the
    answers under way. Closed, it leaves no task. `answer` and the requests may raise: that
    ends the exchange, behind what is done.
    """
    loop = asyncio.get_running_loop()
    done = asyncio.Queue[asyncio.Future[A] | None]()
    slots = asyncio.Semaphore(at_once)
    under_way = set[asyncio.Future[Any]]()

    async def read() -> None:
        await slots.acquire()
        async for request in requests:
            found = answer(request)
            if isinstance(found, Coroutine):
                task = loop.create_task(found)
                under_way.add(task)
                task.add_done_callback(done.put_nowait)
            else:
                known = loop.create_future()
                known.set_result(found)
                done.put_nowait(known)
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
        while (one := await done.get()) is not None:
            under_way.discard(one)
            yield one.result()
            slots.release()
        whole.result()
    finally:
        left: set[asyncio.Future[Any]] = {whole, *under_way}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
