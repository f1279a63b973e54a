"""The channel to the service, with TLS and a token where those are needed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any

import grpc

from chairside.cache.v1 import cache_service_pb2 as pb
from service_kit.tls import TlsFiles

__all__ = ["Link"]

_CONFIG = (
    '{"loadBalancingConfig": [{"round_robin": {}}],'
    ' "connectionScaling": {"maxConnectionsPerSubchannel": 8}}'
)
_OPTIONS = (
    # Both ends must agree on pings, else the server ends the connection for too many.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # A name of several addresses is several processes: all are used, and those replaced by
    # others are found again soon, for each end of a connection asks the name anew.
    # Of an address fifty calls at once are a connection's: with more it is another one.
    ("grpc.service_config", _CONFIG),
    ("grpc.dns_min_time_between_resolutions_ms", 5_000),
)
_LOOK_SECONDS = 1.0
_GRACE_SECONDS = 30.0
"""For calls of a channel that another took the place of: as long as the service lets one last."""
_SERVICE = pb.DESCRIPTOR.services_by_name["CacheService"].full_name


class Link:
    """A channel that is made anew when the files of its TLS are renewed; calls under way go on.

    `metadata` gives what each call is sent with, besides the token. `clock` gives seconds that
    only go forward. Raises TlsError if the files cannot be used.
    """

    def __init__(
        self,
        target: str,
        *,
        tls: TlsFiles | None,
        token: str,
        metadata: Callable[[], Sequence[tuple[str, str]]],
        clock: Callable[[], float],
    ) -> None:
        self._target = target
        self._tls = tls
        self._clock = clock
        self._looked_at = clock()
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()
        self._passed_on = metadata
        self._methods: dict[str, Any] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._channel = self._made(None if tls is None else tls.read().channel())

    def unary_unary(self, path: str) -> Callable[..., grpc.aio.UnaryUnaryCall[bytes, bytes]]:
        """Return a method, as a channel does."""
        return partial(self._call, path)

    def watch(self) -> grpc.aio.UnaryStreamCall[pb.WatchRequest, pb.WatchResponse]:
        """Open a stream of what is invalidated."""
        self._look()
        call: grpc.aio.UnaryStreamMultiCallable[pb.WatchRequest, pb.WatchResponse]
        call = self._channel.unary_stream(
            f"/{_SERVICE}/Watch", pb.WatchRequest.SerializeToString, pb.WatchResponse.FromString
        )
        return call(pb.WatchRequest(), metadata=self._metadata)

    def lookup(self, requests: AsyncIterator[bytes]) -> grpc.aio.StreamStreamCall[bytes, bytes]:
        """Open a stream of batches."""
        self._look()
        call: grpc.aio.StreamStreamMultiCallable[bytes, bytes]
        call = self._channel.stream_stream(f"/{_SERVICE}/Lookup")
        return call(requests, metadata=self._metadata)

    async def close(self) -> None:
        """End all calls."""
        await self._channel.close()
        for task in list(self._closing):
            task.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)

    def _call(
        self, path: str, request: bytes, timeout: float
    ) -> grpc.aio.UnaryUnaryCall[bytes, bytes]:
        self._look()
        method = self._methods.get(path)
        if method is None:
            method = self._methods[path] = self._channel.unary_unary(path)
        call: grpc.aio.UnaryUnaryCall[bytes, bytes]
        metadata = (*self._metadata, *self._passed_on())
        call = method(request, timeout=timeout, metadata=metadata)
        return call

    def _look(self) -> None:
        """Take renewed files, looking once a second at most."""
        if self._tls is None or (now := self._clock()) < self._looked_at + _LOOK_SECONDS:
            return
        self._looked_at = now
        pems = self._tls.renewed()
        if pems is None:
            return
        former, self._channel = self._channel, self._made(pems.channel())
        self._methods.clear()
        task = asyncio.ensure_future(former.close(_GRACE_SECONDS))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _made(self, credentials: grpc.ChannelCredentials | None) -> grpc.aio.Channel:
        if credentials is None:
            return grpc.aio.insecure_channel(self._target, options=_OPTIONS)
        # Not from gRPC's pool of connections, where one of the former files would be found.
        options = (*_OPTIONS, ("grpc.use_local_subchannel_pool", 1))
        return grpc.aio.secure_channel(self._target, credentials, options)
