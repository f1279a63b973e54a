"""Reads made in one tick of the event loop go out as one call.

The call is the price: a hundred reads in one BatchGet cost little more than one. So a read
waits for the end of the tick in which it is made, and no longer, with one future and neither
a task nor a timer of its own. Alone in its tick it goes as its own method.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc

from cache_service.client.calling import Calls
from cache_service.client.errors import again, failed, of_status, reason_of
from cache_service.client.near import Asked, Near
from cache_service.client.reads import Read
from chairside.cache.v1 import cache_service_pb2 as pb
from service_kit.wire import bytes_field, varint_field

__all__ = ["MOST_READS", "Joiner"]

MOST_READS = 128
"""Reads of one batch: half of what the contract allows, so that of a crowd the service answers
one half while the other is dealt out here."""

_WITH_TAGS = varint_field(2, 1)
_TOO_LATE = failed(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
_CLOSED = failed(grpc.StatusCode.CANCELLED, "the client is closed")
_UNREADABLE = failed(grpc.StatusCode.INTERNAL, "the answer cannot be read")


@dataclass(slots=True, eq=False)
class _Waiting:
    """A read that somebody waits for, and what the near cache keeps its answer under."""

    read: Read
    raw: bytes
    seconds: float
    asked: Asked | None
    future: asyncio.Future[Any]

    def fail(self, error: grpc.aio.AioRpcError) -> None:
        if not self.future.done():
            self.future.set_exception(again(error))


class Joiner:
    """Sends reads joined by tick. A caller that goes away cancels nothing of the others."""

    def __init__(self, calls: Calls, near: Near) -> None:
        self._calls = calls
        self._near = near
        self._waiting: list[_Waiting] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def add(
        self, read: Read, raw: bytes, seconds: float, asked: Asked | None
    ) -> asyncio.Future[Any]:
        """Send a request's bytes at the end of this tick; the future gets its own response.

        It fails with grpc.aio.AioRpcError, as the method itself would, after `seconds` at
        the latest. `asked` says under what the near cache may keep the answer.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        waiting = self._waiting
        if not waiting:
            loop.call_soon(self._flush)
        waiting.append(_Waiting(read, raw, seconds, asked, future))
        return future

    async def close(self) -> None:
        """Cancel the calls under way; whoever waits for one gets CANCELLED."""
        self._closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        if self._closed:
            for one in waiting:
                one.fail(_CLOSED)
            return
        for slow in (False, True):
            group = [one for one in waiting if one.read.slow is slow and not one.future.done()]
            for at in range(0, len(group), MOST_READS):
                self._start(group[at : at + MOST_READS])

    def _start(self, group: list[_Waiting]) -> None:
        task = asyncio.create_task(self._answer(group))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if len(group) == 1:
            # Nobody else waits for it: who goes away takes the call along.
            group[0].future.add_done_callback(lambda future: future.cancelled() and task.cancel())

    async def _answer(self, group: list[_Waiting]) -> None:
        loop = asyncio.get_running_loop()
        seconds = max(one.seconds for one in group)
        timers = [
            loop.call_later(one.seconds, one.fail, _TOO_LATE)
            for one in group
            if one.seconds < seconds
        ]
        failure = _UNREADABLE
        try:
            if len(group) == 1 and group[0].asked is None:
                await self._alone(group[0])
            else:
                await self._together(group, loop.time() + seconds)
        except grpc.aio.AioRpcError as error:
            failure = error
        except asyncio.CancelledError:
            failure = _CLOSED
            raise
        finally:
            for timer in timers:
                timer.cancel()
            for one in group:
                one.fail(failure)

    async def _alone(self, one: _Waiting) -> None:
        answer = await self._calls.call(one.read.name, one.raw, one.seconds)
        if not one.future.done():
            one.future.set_result(one.read.parse(answer))

    async def _together(self, group: Sequence[_Waiting], end: float) -> None:
        parts = [bytes_field(1, bytes_field(one.read.number, one.raw)) for one in group]
        if any(one.asked is not None for one in group):
            parts.append(_WITH_TAGS)
        left = end - asyncio.get_running_loop().time()
        try:
            answer = await self._calls.call("BatchGet", b"".join(parts), left)
        except grpc.aio.AioRpcError as error:
            if len(group) == 1 or reason_of(error) != "ANSWER_TOO_LARGE":
                raise
            # Each of them may still be small enough.
            middle = len(group) // 2
            await self._together(group[:middle], end)
            await self._together(group[middle:], end)
            return
        self._deal(group, pb.BatchGetResponse.FromString(answer))

    def _deal(self, group: Sequence[_Waiting], reply: pb.BatchGetResponse) -> None:
        results: Iterable[Any] = reply.results
        for one, result in zip(group, results, strict=True):
            field = one.read.field
            if not result.HasField(field):
                one.fail(of_status(result.error))
                continue
            answer = getattr(result, field)
            if one.asked is not None:
                self._near.put(one.asked, answer, result.tags, reply.process)
            if not one.future.done():
                one.future.set_result(answer)
