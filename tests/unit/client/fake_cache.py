"""A cache service that answers as a test tells it to, and a client of it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from types import SimpleNamespace
from typing import Any

from google.protobuf.duration_pb2 import Duration

from cache_service.client import CacheClient
from chairside.cache.v1 import cache_service_pb2 as pb
from chairside.cache.v1 import types_pb2
from service_kit.calls import Context
from service_kit.errors import ServiceError, Unavailable
from service_kit.exchange import exchange
from service_kit.status import status_of
from tests.support.batching import batch_get
from tests.support.grpc_server import serve_here

__all__ = ["FakeCache", "Stream", "ask", "client_of", "slots_of"]

Answer = Callable[[Any], Awaitable[Any]]


class Stream:
    """One open Watch: what a test says goes out on it."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[pb.WatchResponse | None] = asyncio.Queue()
        self.ended = asyncio.Event()

    def beat(self, elapsed: float, process: str = "p1") -> None:
        """Send a heartbeat."""
        span = Duration()
        span.FromNanoseconds(int(elapsed * 1e9))
        self.messages.put_nowait(pb.WatchResponse(elapsed=span, process=process))

    def tell(self, *tags: str, organization_id: int = 1) -> None:
        """Tell of invalidated tags."""
        self.messages.put_nowait(pb.WatchResponse(tags=tags, organization_id=organization_id))

    def tell_everything(self) -> None:
        """Say that anything may be old."""
        self.messages.put_nowait(pb.WatchResponse(everything=True))

    def end(self) -> None:
        """End it as a server without a lease does."""
        self.messages.put_nowait(None)


class FakeCache:
    """Answers reads by `answer`, alone and in batches, and keeps what it was asked.

    `gate` holds back every answer while it is not set; `process` and `tags` are what a
    batch says of its answers. Without `lookup` it is a service that has no such stream; each
    one opened is in `lookups`, and ends when that is set, with what is under way on it.
    """

    def __init__(self, *, lookup: bool = True) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.seconds: list[float | None] = []
        self.ends: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.answer: Answer = self.echo
        self.process = "p1"
        self.tags: Callable[[Any], list[str]] = lambda _request: ["organization", "day"]
        self.streams: list[Stream] = []
        self.lookups: list[asyncio.Event] = []
        if lookup:
            self.Lookup = self._lookup

    @property
    def methods(self) -> list[str]:
        """The methods called, in order."""
        return [name for name, _ in self.calls]

    async def echo(self, request: Any) -> Any:
        """Answer with the service asked for as the one barber's id."""
        return slots_of(getattr(request, "service_id", 0))

    async def _take(self, method: str, request: Any, context: Context) -> None:
        self.calls.append((method, request))
        left: float | None = context.time_remaining()
        if method == "Lookup":
            left = request.timeout.ToTimedelta().total_seconds()
        self.seconds.append(left)
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.ends.append("cancelled")
            raise

    async def GetAvailability(self, request: Any, context: Context) -> Any:
        """Answer one read."""
        await self._take("GetAvailability", request, context)
        return await self.answer(request)

    async def GetAnalytics(self, request: Any, context: Context) -> Any:
        """Answer one report with nothing in it."""
        await self._take("GetAnalytics", request, context)
        return pb.GetAnalyticsResponse()

    async def Invalidate(self, request: Any, context: Context) -> Any:
        """Invalidate nothing."""
        await self._take("Invalidate", request, context)
        await self.answer(request)
        return pb.InvalidateResponse(tags_invalidated=len(request.events))

    async def BatchGet(self, request: Any, context: Context) -> Any:
        """Answer many reads, each with its own outcome."""
        await self._take("BatchGet", request, context)
        return await self.batch(request, context)

    async def _lookup(
        self, requests: AsyncIterator[Any], context: Context
    ) -> AsyncIterator[pb.LookupResponse]:
        """Answer batches as they come, until the test ends it."""
        end = asyncio.Event()
        self.lookups.append(end)
        ending = asyncio.ensure_future(end.wait())

        async def answer(request: Any) -> pb.LookupResponse:
            answering = asyncio.ensure_future(self._looked_up(request, context))
            try:
                await asyncio.wait((answering, ending), return_when=asyncio.FIRST_COMPLETED)
                if not answering.done():
                    raise Unavailable("GONE", "gone", retry_after=0.01)
                return answering.result()
            finally:
                answering.cancel()

        answers = exchange(requests, answer, at_once=16, draining=asyncio.Event())
        try:
            async with aclosing(answers):
                async for one in answers:
                    yield one
        finally:
            ending.cancel()

    async def _looked_up(self, request: Any, context: Context) -> pb.LookupResponse:
        await self._take("Lookup", request, context)
        try:
            found = await self.batch(request, context)
        except ServiceError as error:
            return pb.LookupResponse(id=request.id, error=status_of(error))
        return pb.LookupResponse(id=request.id, results=found.results, process=found.process)

    async def batch(self, request: Any, context: Context) -> pb.BatchGetResponse:
        """Answer a batch, however it came."""
        inner = SimpleNamespace(GetAvailability=self._inner, GetAnalytics=self._report)
        reply = await batch_get(inner, request, context)
        if request.with_tags:
            reply.process = self.process
            for read, result in zip(request.reads, reply.results, strict=True):
                if not result.HasField("error"):
                    result.tags.extend(self.tags(read.get_availability))
        return reply

    async def _inner(self, request: Any, _context: Context) -> Any:
        return await self.answer(request)

    async def _report(self, _request: Any, _context: Context) -> Any:
        return pb.GetAnalyticsResponse()

    async def Watch(self, request: Any, context: Context) -> AsyncIterator[pb.WatchResponse]:
        """Send what the test says."""
        stream = Stream()
        self.streams.append(stream)
        try:
            while (message := await stream.messages.get()) is not None:
                yield message
            raise Unavailable("NO_LEASE", "gone", retry_after=0.01)
        finally:
            stream.ended.set()


@asynccontextmanager
async def client_of(fake: FakeCache, **settings: Any) -> AsyncIterator[CacheClient]:
    """Serve the fake, and connect a client."""
    async with serve_here(fake) as served, CacheClient(served.address, **settings) as client:
        yield client


def ask(
    service_id: int = 1, *, staleness: float | None = None, organization_id: int = 1
) -> pb.GetAvailabilityRequest:
    """Make a read that differs from others by its service."""
    request = pb.GetAvailabilityRequest(organization_id=organization_id, service_id=service_id)
    if staleness is not None:
        request.consistency.max_staleness.FromNanoseconds(int(staleness * 1e9))
    return request


def slots_of(barber_id: int, **info: Any) -> pb.GetAvailabilityResponse:
    """Make an answer that tells which it is by a barber's id."""
    return pb.GetAvailabilityResponse(
        barbers=[types_pb2.BarberAvailability(barber_id=barber_id)],
        cache_info=types_pb2.CacheInfo(source=types_pb2.SOURCE_REDIS, **info),
    )
