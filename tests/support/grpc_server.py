"""A server in this process, with servicers of the tests' own."""

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from chairside.cache.v1 import cache_service_pb2
from service_kit.access import Access
from service_kit.access_log import AccessLog
from service_kit.boundary import refuse_unknown_methods
from service_kit.calls import Calls
from service_kit.metrics import Metrics
from service_kit.rpc import register
from service_kit.status import DETAILS_KEY

__all__ = ["SERVICE", "Served", "calls_of_nobody", "details_of", "serve_here"]

SERVICE = cache_service_pb2.DESCRIPTOR.services_by_name["CacheService"]


@dataclass(frozen=True, slots=True)
class Served:
    """What a test asks and looks at."""

    address: str
    channel: grpc.aio.Channel
    calls: Calls
    metrics: Metrics
    log: io.BytesIO

    async def call(self, method: str, request: bytes = b"", timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - the call's own deadline
        """Call a unary method of the cache service with bytes."""
        path = f"/{SERVICE.full_name}/{method}"
        answer: bytes = await self.channel.unary_unary(path)(request, timeout=timeout)
        return answer


@asynccontextmanager
async def serve_here(
    servicer: object,
    *,
    default_deadline: float = 5.0,
    max_deadline: float = 30.0,
    most: int = 1000,
    access: Access | None = None,
) -> AsyncIterator[Served]:
    """Serve `servicer` as the cache service on a free port; the log is written at the end."""
    metrics, log = Metrics(), io.BytesIO()
    async with AccessLog(log) as access_log:
        calls = Calls(
            metrics,
            access_log,
            default_deadline=default_deadline,
            max_deadline=max_deadline,
            max_open=most,
        )
        server = grpc.aio.server()
        register(server, SERVICE, servicer, calls, access)
        refuse_unknown_methods(server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            address = f"127.0.0.1:{port}"
            async with grpc.aio.insecure_channel(address) as channel:
                yield Served(address, channel, calls, metrics, log)
        finally:
            await server.stop(None)
            await calls.leftovers.settle(5)


def calls_of_nobody() -> Calls:
    """Make what calls have in common where nobody looks at it."""
    return Calls(Metrics(), AccessLog(None))


def details_of(error: grpc.aio.AioRpcError) -> dict[str, Message]:
    """Return an error's details by the names of their types."""
    metadata = dict(error.trailing_metadata() or ())
    assert DETAILS_KEY in metadata, f"gRPC's own: {error!r}"
    status = status_pb2.Status.FromString(metadata[DETAILS_KEY])  # type: ignore[arg-type]
    assert status.code == error.code().value[0]
    found: dict[str, Message] = {}
    for packed in status.details:
        name = packed.type_url.rpartition(".")[2]
        found[name] = getattr(error_details_pb2, name)()
        packed.Unpack(found[name])
    return found
