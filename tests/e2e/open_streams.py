"""Streams of one caller that stay open: its Watch of a shop and of all, and its Lookup."""

from __future__ import annotations

from typing import Any

import grpc

from chairside.cache.v1 import cache_service_pb2 as pb
from tests.e2e.asked import of_shop
from tests.e2e.secured import TOKENS, Secured
from tests.support.contract import CACHE
from tests.support.grpc_server import details_of

__all__ = ["OpenStreams"]


class OpenStreams:
    """Opens them over the secured system, where the caller may do all of it."""

    def __init__(self, secured: Secured, caller: str) -> None:
        channel, path = secured.channel(CACHE), f"/{CACHE.full_name}"
        metadata = [("authorization", f"Bearer {TOKENS[caller]}")]
        self.watches: list[Any] = [
            channel.unary_stream(f"{path}/Watch")(
                pb.WatchRequest(organization_id=one).SerializeToString(), metadata=metadata
            )
            for one in (int(secured.mine["organization"]), 0)
        ]
        self._lookup: Any = channel.stream_stream(f"{path}/Lookup")(metadata=metadata)
        read = next(of_shop(CACHE.methods_by_name["GetSchedule"], secured.mine))
        batch = pb.LookupRequest(reads=[pb.BatchRead(get_schedule=read)])
        self._batch = batch.SerializeToString()

    async def looked_up(self) -> str:
        """Ask once more on the stream; return the code of the batch, or of its read."""
        await self._lookup.write(self._batch)
        answer = pb.LookupResponse.FromString(await self._lookup.read())
        status = answer.error if answer.HasField("error") else answer.results[0].error
        return next(code.name for code in grpc.StatusCode if code.value[0] == status.code)

    async def ended(self) -> list[str]:
        """Listen until both watches have ended; return with which codes, and why."""
        return [await _end_of(watch) for watch in self.watches]

    def cancel(self) -> None:
        """Close what is open."""
        for call in (*self.watches, self._lookup):
            call.cancel()


async def _end_of(watch: Any) -> str:
    try:
        while await watch.read() is not grpc.aio.EOF:
            pass
    except grpc.aio.AioRpcError as error:
        info: Any = details_of(error)["ErrorInfo"]
        return f"{error.code().name} {info.reason}"
    return "OK"
