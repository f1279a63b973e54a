"""The typed client: every method of the contract."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from google.protobuf.json_format import Parse
from google.protobuf.message import Message

from cache_service.client.calling import Calls
from cache_service.client.joining import Joiner
from cache_service.client.link import Link
from cache_service.client.lookups import Lookups
from cache_service.client.near import Near
from cache_service.client.reading import Reader
from cache_service.client.reads import READS
from cache_service.client.remembered import Tokens
from cache_service.client.watching import Watcher
from chairside.cache.v1 import cache_service_pb2 as pb
from chairside.cache.v1.events_pb2 import Event
from service_kit.clock import elapsed
from service_kit.tls import TlsFiles

__all__ = ["CacheClient"]

_EVENTS_PER_CALL = 1000
_Response = TypeVar("_Response", bound=Message)


class CacheClient(Reader):
    """Typed calls of the cache service at `target` (host:port, or any gRPC target).

    Of a name with several addresses (`dns:///name:port`) all are used in turn.

    Every call has a deadline, `timeout` in seconds or the client's own, and raises
    grpc.aio.AioRpcError, whose trailing metadata carry the rich status; the contract says
    which. UNAVAILABLE is retried within the deadline, and so are a CANCELLED that is not the
    caller's, and RESOURCE_EXHAUSTED where the service says when: every method may be repeated.

    Reads of one tick of the event loop go out as one call. A read with a `max_staleness` of
    at least `near_lease` seconds may be answered by the client itself (SOURCE_NEAR): its
    answer was, at some moment within the last `near_lease` seconds, not older than anything
    acknowledged before that moment. `near_ttl` bounds in seconds how long one is kept, and
    `near_bytes` the memory; 0 keeps none. See docs/client.md.

    With `tls` it connects so, and takes files that are renewed; raises TlsError if they cannot
    be used now. `token` says who it is, where the service tells its callers apart.
    `metadata` gives what each call is sent with besides, as an x-request-id and a traceparent:
    reads that go out as one call have that of the first of them, on the stream they have none.

    Answers are for reading only: what the client answers itself is shared by all who asked
    within the same hundredth of a second. Copy one before you change it.
    """

    def __init__(
        self,
        target: str,
        *,
        timeout: float = 10.0,
        near_bytes: int = 16 * 1024 * 1024,
        near_lease: float = 1.0,
        near_ttl: float = 5.0,
        tls: TlsFiles | None = None,
        token: str = "",
        metadata: Callable[[], Sequence[tuple[str, str]]] = tuple,
    ) -> None:
        self._link = Link(target, tls=tls, token=token, metadata=metadata, clock=elapsed)
        self._calls = Calls(self._link, sleep=asyncio.sleep, jitter=random.random)
        near = Near(near_bytes, lease=near_lease, ttl=near_ttl, clock=elapsed)
        watcher = Watcher(near, self._link.watch, clock=elapsed, jitter=random.random)
        joiner = Joiner(self._calls, Lookups(self._link.lookup, jitter=random.random), near)
        super().__init__(near, watcher, joiner, Tokens(elapsed), timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def near_entries(self) -> int:
        """How many answers are kept here."""
        return len(self._near)

    async def close(self) -> None:
        """Close the channel and the stream; reads under way fail with CANCELLED."""
        await self._watcher.close()
        await self._joiner.close()
        await self._link.close()

    def saw(self, organization_id: int, token: bytes) -> None:
        """Remember the token of a mutation or of an error that this process was given.

        Reads of that organization that ask for no consistency of their own carry it for a
        minute, unless its mutation was applied when it was given, which every read sees
        anyway. More than one at a time cannot be carried: such reads go to the database.
        """
        self._tokens.saw(organization_id, token)

    def batch_get(
        self, request: pb.BatchGetRequest, timeout: float | None = None
    ) -> Coroutine[Any, Any, pb.BatchGetResponse]:
        """Read up to 256 at once, each with its own outcome: one that fails fails alone.

        Seldom needed: plain reads of one tick are joined by themselves.
        """
        if self._tokens:
            carrying = pb.BatchGetRequest()
            carrying.CopyFrom(request)
            for one in carrying.reads:
                if (field := one.WhichOneof("read")) is not None:
                    read = getattr(one, field)
                    read.MergeFromString(self._demanded(READS[field], read))
            request = carrying
        return self._call("BatchGet", request, pb.BatchGetResponse, timeout)

    def invalidate(
        self, request: pb.InvalidateRequest, timeout: float | None = None
    ) -> Coroutine[Any, Any, pb.InvalidateResponse]:
        """Drop every answer that events, tags or a scope touch; return once that is done.

        No default read that starts afterwards is older than the database was before.
        """
        return self._call("Invalidate", request, pb.InvalidateResponse, timeout)

    async def invalidate_events(self, events: Sequence[str], timeout: float | None = None) -> None:  # noqa: ASYNC109 - of all its RPCs
        """Invalidate what events touch, any number, given as the JSON that the outbox holds."""
        loop = asyncio.get_running_loop()
        end = loop.time() + (self._timeout if timeout is None else timeout)
        for at in range(0, len(events), _EVENTS_PER_CALL):
            parsed = [Parse(event, Event()) for event in events[at : at + _EVENTS_PER_CALL]]
            await self.invalidate(pb.InvalidateRequest(events=parsed), end - loop.time())

    def warm(
        self, request: pb.WarmRequest, timeout: float | None = None
    ) -> Coroutine[Any, Any, pb.WarmResponse]:
        """Fill the availability of barbers ahead of the first reader."""
        return self._call("Warm", request, pb.WarmResponse, timeout)

    def explain(
        self, request: pb.ExplainRequest, timeout: float | None = None
    ) -> Coroutine[Any, Any, pb.ExplainResponse]:
        """Tell of every entry that a read touches why it hits or misses now.

        The read is explained as it is given, without a token of the client's own.
        """
        return self._call("Explain", request, pb.ExplainResponse, timeout)

    def get_stats(
        self, request: pb.GetStatsRequest, timeout: float | None = None
    ) -> Coroutine[Any, Any, pb.GetStatsResponse]:
        """Read what the process that answers has counted since it started."""
        return self._call("GetStats", request, pb.GetStatsResponse, timeout)

    def _call(
        self, method: str, request: Message, response: type[_Response], timeout: float | None
    ) -> Coroutine[Any, Any, _Response]:
        """Call with the request as it is now."""
        raw, seconds = request.SerializeToString(), self._timeout if timeout is None else timeout

        async def answer() -> _Response:
            return response.FromString(await self._calls.call(method, raw, seconds))

        return answer()
