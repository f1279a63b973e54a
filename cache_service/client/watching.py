"""The stream that feeds the near cache: what was told, and up to when all of it was.

A stream opened at t whose heartbeat says "open for e" has told of everything acknowledged
before t + e. The server measures e by its own clock, whose rate may differ from ours by the
margin, so that counts as t + e less the margin's part of e. That part grows with the
stream's age, so every now and then a successor is opened beside it. The old one goes on
until it has told of everything up to when the successor was first heard: what happened
before the successor was registered, only the old one tells.

One stream serves all organizations: a shop's invalidations are few, and what is told of
what is not kept costs a look into a dict.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import grpc

from cache_service.client.calling import until_reopened
from cache_service.client.near import Near
from cache_service.coherence.lease import LEASE_SECONDS, MARGIN_SECONDS
from chairside.cache.v1 import cache_service_pb2 as pb

__all__ = ["Watcher"]

_MARGIN = MARGIN_SECONDS / LEASE_SECONDS
_RENEWED_AFTER = 5
"""Times the near cache's lease: the margin's part then stays below a sixth of it."""

Open = Callable[[], grpc.aio.UnaryStreamCall[pb.WatchRequest, pb.WatchResponse]]


class _Stream:
    """One stream: when it was opened, when first heard, and up to when it has told all."""

    def __init__(self, opened_at: float) -> None:
        self.opened_at = opened_at
        self.heard_at: float | None = None
        self.told_until = opened_at
        self.process = ""
        self.task: asyncio.Task[None] | None = None


class Watcher:
    """Keeps a stream open from the first `start` on, and a lost one empties `near`.

    `clock` gives seconds that only go forward; `jitter` is in [0, 1).
    """

    def __init__(
        self,
        near: Near,
        open_stream: Open,
        *,
        clock: Callable[[], float],
        jitter: Callable[[], float],
    ) -> None:
        self._near = near
        self._open_stream = open_stream
        self._clock = clock
        self._jitter = jitter
        self._current: _Stream | None = None
        self._successor: _Stream | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._again: asyncio.TimerHandle | None = None
        self._failures = 0
        self._closed = False

    def start(self) -> None:
        """Open the stream, unless one is open or about to be."""
        if self._current is None and self._again is None and not self._closed:
            self._current = self._opened()

    async def close(self) -> None:
        """End the streams."""
        self._closed = True
        if self._again is not None:
            self._again.cancel()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _opened(self) -> _Stream:
        stream = _Stream(self._clock())  # before it is asked for
        stream.task = asyncio.create_task(self._follow(stream))
        self._tasks.add(stream.task)
        stream.task.add_done_callback(self._tasks.discard)
        return stream

    async def _follow(self, stream: _Stream) -> None:
        error = None
        call = self._open_stream()
        try:
            async for message in call:
                if message.everything:
                    self._near.forget()
                if message.tags:
                    self._near.told(message.organization_id, message.tags)
                if message.HasField("elapsed"):
                    elapsed = message.elapsed.seconds + message.elapsed.nanos / 1e9
                    self._beat(stream, elapsed, message.process)
        except grpc.aio.AioRpcError as caught:
            error = caught
        finally:
            call.cancel()
            self._ended(stream, error)

    def _beat(self, stream: _Stream, elapsed: float, process: str) -> None:
        if stream.heard_at is None:
            stream.heard_at, stream.process = self._clock(), process
        stream.told_until = stream.opened_at + elapsed * (1 - _MARGIN)
        if stream is not self._current:
            return
        self._failures = 0
        successor = self._successor
        if successor is None and elapsed >= self._near.lease * _RENEWED_AFTER:
            self._successor = self._opened()
        elif (
            successor is not None
            and successor.heard_at is not None
            and successor.heard_at <= stream.told_until
        ):
            self._current, self._successor = successor, None
            _cancel(stream)
            stream = successor
        self._near.watched(stream.process, stream.told_until)

    def _ended(self, stream: _Stream, error: grpc.aio.AioRpcError | None) -> None:
        if stream is self._successor:
            self._successor = None  # the next heartbeat of the current one tries again
        if stream is not self._current:
            return
        self._near.lost()
        self._current = None
        if self._successor is not None:
            _cancel(self._successor)
            self._successor = None
        if self._closed:
            return
        self._failures += 1
        wait = until_reopened(error, self._failures, self._jitter())
        self._again = asyncio.get_running_loop().call_later(wait, self._reopen)

    def _reopen(self) -> None:
        self._again = None
        self.start()


def _cancel(stream: _Stream) -> None:
    if stream.task is not None:
        stream.task.cancel()
