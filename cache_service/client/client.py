"""Calls to the cache service: one channel, explicit timeouts, no silent retries."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

import grpc
from google.protobuf.json_format import Parse

from chairside.cache.v1 import cache_service_pb2 as messages
from chairside.cache.v1.cache_service_pb2_grpc import CacheServiceStub
from chairside.cache.v1.events_pb2 import Event

if TYPE_CHECKING:
    # A type of the stubs' own: at run time there is one stub for both kinds of channel.
    from chairside.cache.v1.cache_service_pb2_grpc import CacheServiceAsyncStub

__all__ = ["CacheClient"]

_EVENTS_PER_CALL = 1000
_OPTIONS = (
    # Both ends must agree on pings, else the server ends the connection for too many.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)


class CacheClient:
    """Typed calls of the cache service at `target` (host:port).

    Timeouts are in seconds. A call that fails raises grpc.aio.AioRpcError, whose
    trailing metadata carry the rich status.
    """

    def __init__(self, target: str) -> None:
        self._channel = grpc.aio.insecure_channel(target, options=_OPTIONS)
        self._stub: CacheServiceAsyncStub = CacheServiceStub(self._channel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the channel; calls under way are cancelled."""
        await self._channel.close()

    async def invalidate(self, events: Sequence[str], timeout: float) -> None:  # noqa: ASYNC109 - of the RPC
        """Invalidate what events touch, given as the JSON that the outbox holds.

        Returns once no default read can be older than they are.
        """
        for at in range(0, len(events), _EVENTS_PER_CALL):
            parsed = [Parse(event, Event()) for event in events[at : at + _EVENTS_PER_CALL]]
            await self._stub.Invalidate(messages.InvalidateRequest(events=parsed), timeout=timeout)

    async def get_availability(
        self,
        request: messages.GetAvailabilityRequest,
        timeout: float,  # noqa: ASYNC109 - of the RPC
    ) -> messages.GetAvailabilityResponse:
        """Read free slots."""
        return await self._stub.GetAvailability(request, timeout=timeout)

    async def get_analytics(
        self,
        request: messages.GetAnalyticsRequest,
        timeout: float,  # noqa: ASYNC109 - of the RPC
    ) -> messages.GetAnalyticsResponse:
        """Read a report."""
        return await self._stub.GetAnalytics(request, timeout=timeout)
