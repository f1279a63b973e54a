"""Reads made in one tick of the event loop go out as one call.

The call is the price: a hundred reads in one BatchGet cost little more than one. So a read
waits for the end of the tick in which it is made, and no longer, with one future and neither
a task nor a timer of its own. Alone in its tick it goes as its own method; else the batch
goes on a stream, or as a call where there is none. Reports always go as calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc

from cache_service.client.calling import Calls
from cache_service.client.errors import again, failed, of_status, reason_of
from cache_service.client.lookups import TOO_LATE, Lookups
from cache_service.client.near import Asked, Near
from cache_service.client.reads import Read
from chairside.cache.v1 import cache_service_pb2 as pb
from service_kit.wire import bytes_field, varint_field

__all__ = ["MOST_READS", "Joiner"]

_Reply = pb.BatchGetResponse | pb.LookupResponse

MOST_READS = 128
"""Reads of one batch: half of what the contract allows, so that of a crowd the service answers
one half while the other is dealt out here."""

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

    def __init__(self, calls: Calls, lookups: Lookups, near: Near) -> None:
        self._calls = calls
        self._lookups = lookups
        self._near = near
        self._loop: asyncio.AbstractEventLoop | None = None
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
        loop = self._loop
        if loop is None:  # Kept, since to ask for it is a system call, by the hundred.
            loop = self._loop = asyncio.get_running_loop()
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
        await self._lookups.close()

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        if self._closed:
            for one in waiting:
                one.fail(_CLOSED)
            return
        fast: list[_Waiting] = []
        slow: list[_Waiting] = []
        for one in waiting:
            if not one.future.done():
                (slow if one.read.slow else fast).append(one)
        for group in (fast, slow):
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
            loop.call_later(one.seconds, one.fail, TOO_LATE)
            for one in group
            if one.seconds < seconds
        ]
        failure: grpc.aio.AioRpcError | None = _UNREADABLE
        try:
            if len(group) == 1 and group[0].asked is None:
                await self._alone(group[0])
            else:
                await self._together(group, loop.time() + seconds)
            failure = None
        except grpc.aio.AioRpcError as error:
            failure = error
        except asyncio.CancelledError:
            failure = _CLOSED
            raise
        finally:
            for timer in timers:
                timer.cancel()
            if failure is not None:
                for one in group:
                    one.fail(failure)

    async def _alone(self, one: _Waiting) -> None:
        answer = await self._calls.call(one.read.name, one.raw, one.seconds)
        if not one.future.done():
            one.future.set_result(one.read.parse(answer))

    async def _together(self, group: Sequence[_Waiting], end: float) -> None:
        try:
            reply = await self._reply(group, end)
        except grpc.aio.AioRpcError as error:
            if len(group) == 1 or reason_of(error) != "ANSWER_TOO_LARGE":
                raise
            # Each of them may still be small enough.
            middle = len(group) // 2
            await self._together(group[:middle], end)
            await self._together(group[middle:], end)
            return
        self._deal(group, reply)

    async def _reply(self, group: Sequence[_Waiting], end: float) -> _Reply:
        loop = asyncio.get_running_loop()
        # One that waits alone takes its call along, and a slow one must not hold back others.
        if len(group) > 1 and not group[0].read.slow:
            reply = await self._lookups.ask(_batch(group, _LOOKUP), end - loop.time())
            if reply is not None:
                if reply.HasField("error"):
                    raise of_status(reply.error)
                return reply
        raw = _batch(group, _CALL)
        answer = await self._calls.call("BatchGet", raw, end - loop.time())
        return pb.BatchGetResponse.FromString(answer)

    def _deal(self, group: Sequence[_Waiting], reply: _Reply) -> None:
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


def _fields(request: type[pb.BatchGetRequest | pb.LookupRequest]) -> tuple[int, bytes]:
    """Return the number of the reads, and the field that asks for tags."""
    fields = request.DESCRIPTOR.fields_by_name
    return fields["reads"].number, varint_field(fields["with_tags"].number, 1)


_CALL, _LOOKUP = _fields(pb.BatchGetRequest), _fields(pb.LookupRequest)


def _batch(group: Sequence[_Waiting], fields: tuple[int, bytes]) -> bytes:
    number, with_tags = fields
    parts = [bytes_field(number, bytes_field(one.read.number, one.raw)) for one in group]
    if any(one.asked is not None for one in group):
        parts.append(with_tags)
    return b"".join(parts)
