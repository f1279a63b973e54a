"""Calls with a deadline, repeated where that is safe."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import grpc

from cache_service.client.errors import retry_delay
from chairside.cache.v1 import cache_service_pb2

__all__ = ["Calls", "pause", "until_reopened"]

_SERVICE = cache_service_pb2.DESCRIPTOR.services_by_name["CacheService"].full_name
_ATTEMPTS = 3
"""A service in trouble is asked three times as often at the most."""
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 5.0
"""Between streams; where there is none, or why one ended is not known, each is so long."""
_MOST_FAILURES = 8
"""As far as they are counted: pauses double, and have reached the longest by then."""
_SPREAD = 0.25
"""Pauses are longer by up to this part, so that those who failed together do not return so."""


def pause(error: grpc.aio.AioRpcError, attempt: int, jitter: float) -> float | None:
    """Return the seconds until the next attempt; None if there is to be none.

    UNAVAILABLE and a refusal of excess did nothing, and are repeated; the latter only as
    the service invites. CANCELLED is what gRPC makes of a call that reaches a process while
    it stops. (Who cancels a call himself gets no such error.) `jitter` is in [0, 1).
    """
    invited = retry_delay(error)
    if error.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}:
        seconds = _FIRST_PAUSE * 2 ** (attempt - 1) if invited is None else invited
    elif error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and invited is not None:
        seconds = invited
    else:
        return None
    return seconds * (1 + _SPREAD * jitter)


def until_reopened(error: grpc.aio.AioRpcError | None, failures: int, jitter: float) -> float:
    """Return after how many seconds a stream is opened again that failed so often in a row."""
    wait = None if error is None else pause(error, min(failures, _MOST_FAILURES), jitter)
    return _LONGEST_PAUSE if wait is None else min(_LONGEST_PAUSE, wait)


class Channel(Protocol):
    """Makes methods of a channel, from bytes to bytes."""

    def unary_unary(self, method: str, /) -> Callable[..., Awaitable[bytes]]:
        """Return one, that is called with a request and a timeout."""


class Calls:
    """Unary calls of the cache service over one channel, from bytes to bytes.

    All of its methods may be repeated: they read, or what they do twice is as if done once.
    A retryPolicy of gRPC's own would not do: it knows no RetryInfo.
    """

    def __init__(
        self,
        channel: Channel,
        *,
        sleep: Callable[[float], Awaitable[None]],
        jitter: Callable[[], float],
    ) -> None:
        self._channel = channel
        self._sleep = sleep
        self._jitter = jitter
        self._methods: dict[str, Callable[..., Awaitable[bytes]]] = {}

    async def call(self, method: str, request: bytes, seconds: float) -> bytes:
        """Call within `seconds`, which the service is told; raises grpc.aio.AioRpcError.

        The error is that of the last attempt, given at once if the next could not begin in time.
        """
        callable_ = self._methods.get(method)
        if callable_ is None:
            callable_ = self._channel.unary_unary(f"/{_SERVICE}/{method}")
            self._methods[method] = callable_
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        attempt = 1
        while True:
            try:
                return await callable_(request, timeout=max(0.0, end - loop.time()))
            except grpc.aio.AioRpcError as error:
                wait = pause(error, attempt, self._jitter())
                if wait is None or attempt == _ATTEMPTS or loop.time() + wait >= end:
                    raise
            await self._sleep(wait)
            attempt += 1
