"""One stream that carries the batches: a message on it costs about half of what a call costs.

Nothing depends on it. A batch that it does not take, or loses, goes as a call of its own,
which has its repeats: where there is no stream yet or any more, where too many batches wait
on it, where a service does not know it. All of them read, so that asking twice is safe.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from itertools import count

import grpc
from google.protobuf.message import DecodeError

from cache_service.client.calling import until_reopened
from cache_service.client.errors import again, failed
from chairside.cache.v1 import cache_service_pb2 as pb
from service_kit.wire import bytes_field, varint_field

__all__ = ["TOO_LATE", "Lookups"]

TOO_LATE = failed(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
_UNDER_WAY = 16
"""Batches that the service answers at once; further ones would wait for the slowest of these."""
_FIELDS = pb.LookupRequest.DESCRIPTOR.fields_by_name
_ID, _TIMEOUT = _FIELDS["id"].number, _FIELDS["timeout"].number

Open = Callable[[AsyncIterator[bytes]], grpc.aio.StreamStreamCall[bytes, bytes]]
_Asked = asyncio.Future[pb.LookupResponse | None]


class Lookups:
    """Asks batches on one stream, which it opens when there is one to ask.

    `jitter` is in [0, 1).
    """

    def __init__(self, open_stream: Open, *, jitter: Callable[[], float]) -> None:
        self._open_stream = open_stream
        self._jitter = jitter
        self._numbers = count(1)
        self._asked: dict[int, _Asked] = {}
        self._requests: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._stream: asyncio.Task[None] | None = None
        self._failures = 0
        self._not_before = 0.0
        self._closed = False

    async def ask(self, batch: bytes, seconds: float) -> pb.LookupResponse | None:
        """Ask a serialised LookupRequest without id and timeout; None: it must go as a call.

        Raises grpc.aio.AioRpcError (DEADLINE_EXCEEDED) after `seconds`.
        """
        loop = asyncio.get_running_loop()
        if len(self._asked) >= _UNDER_WAY or not self._is_open(loop):
            return None
        number = next(self._numbers)
        asked: _Asked = loop.create_future()
        self._asked[number] = asked
        self._requests.put_nowait(varint_field(_ID, number) + batch + _timeout(seconds))
        timer = loop.call_later(seconds, _expire, asked)
        try:
            return await asked
        finally:
            timer.cancel()
            self._asked.pop(number, None)

    async def close(self) -> None:
        """End the stream; what was asked on it is not answered any more."""
        self._closed = True
        if self._stream is not None:
            self._stream.cancel()
            await asyncio.gather(self._stream, return_exceptions=True)

    def _is_open(self, loop: asyncio.AbstractEventLoop) -> bool:
        if self._stream is not None:
            return True
        if self._closed or loop.time() < self._not_before:
            return False
        self._requests = asyncio.Queue()
        self._stream = loop.create_task(self._follow(self._requests))
        return True

    async def _follow(self, requests: asyncio.Queue[bytes | None]) -> None:
        error = None
        call = self._open_stream(_each(requests))
        try:
            async for raw in call:
                reply = pb.LookupResponse.FromString(raw)
                self._failures = 0
                asked = self._asked.get(reply.id)
                if asked is not None and not asked.done():
                    asked.set_result(reply)
        except grpc.aio.AioRpcError as caught:
            error = caught
        except DecodeError:
            pass  # Whoever waits asks by a call, and is told what is wrong.
        finally:
            requests.put_nowait(None)  # gRPC waits for the next one for ever, also behind the end
            call.cancel()
            self._lost(error)

    def _lost(self, error: grpc.aio.AioRpcError | None) -> None:
        """Have all that was asked go as calls, and open no other stream for a while."""
        self._stream = None
        for asked in self._asked.values():
            if not asked.done():
                asked.set_result(None)
        self._failures += 1
        wait = until_reopened(error, self._failures, self._jitter())
        self._not_before = asyncio.get_running_loop().time() + wait


async def _each(requests: asyncio.Queue[bytes | None]) -> AsyncIterator[bytes]:
    while (request := await requests.get()) is not None:
        yield request


def _timeout(seconds: float) -> bytes:
    whole, part = divmod(int(seconds * 1e9), 1_000_000_000)
    return bytes_field(_TIMEOUT, varint_field(1, whole) + varint_field(2, part))


def _expire(asked: _Asked) -> None:
    if not asked.done():
        asked.set_exception(again(TOO_LATE))
