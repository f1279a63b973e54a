"""grpc.health.v1 for "" and each service: NOT_SERVING until ready, and from the drain on.

Not grpcio's own servicer: that one starts as SERVING, and its open Watch streams
hold a stopping server for the whole grace.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable

from grpc_health.v1 import health_pb2

from service_kit.calls import Context
from service_kit.errors import NotFound

__all__ = ["SERVICE", "Health"]

SERVICE = health_pb2.DESCRIPTOR.services_by_name["Health"]

_Response = health_pb2.HealthCheckResponse


class Health:
    """Answer for the whole process and for each of its services alike."""

    def __init__(self, services: Iterable[str]) -> None:
        self._names = frozenset(("", *services))
        self._serving = False
        self._drained = False
        self._changed = asyncio.Event()

    def set_serving(self) -> None:
        """Answer SERVING from now on, unless the drain has begun."""
        self._serving = not self._drained
        self._change()

    def drain(self) -> None:
        """Answer NOT_SERVING for good, and end the open streams."""
        self._serving = False
        self._drained = True
        self._change()

    async def Check(  # noqa: N802 - named by the proto
        self, request: health_pb2.HealthCheckRequest, _context: Context
    ) -> health_pb2.HealthCheckResponse:
        """Return the state now; NOT_FOUND for a service that is not here."""
        if request.service not in self._names:
            resource = "service"
            raise NotFound(resource, request.service)
        return _Response(status=self._status(request.service))

    async def Watch(  # noqa: N802 - named by the proto
        self, request: health_pb2.HealthCheckRequest, _context: Context
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """Send the state now and at each change; the stream ends with the drain."""
        while True:
            changed = self._changed
            yield _Response(status=self._status(request.service))
            if self._drained:
                return
            await changed.wait()

    def _status(self, service: str) -> int:
        if service not in self._names:
            return int(_Response.SERVICE_UNKNOWN)
        return int(_Response.SERVING if self._serving else _Response.NOT_SERVING)

    def _change(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
