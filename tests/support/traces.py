"""Where traces are sent to: a collector that keeps every span it is given."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)

__all__ = ["Collector", "Span", "open_collector"]


@dataclass(frozen=True, slots=True)
class Span:
    """A span as it was sent; ids are in hex."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]


class Collector(TraceServiceServicer):  # type: ignore[misc]
    """Takes spans."""

    def __init__(self) -> None:
        self.url = ""
        self.spans: list[Span] = []
        self.calls = 0

    async def Export(self, request: Any, context: Any) -> Any:
        """Keep what is sent."""
        self.calls += 1
        for sent in request.resource_spans:
            service = _read(sent.resource.attributes)["service.name"]
            for scope in sent.scope_spans:
                self.spans += [
                    Span(
                        service,
                        one.name,
                        one.trace_id.hex(),
                        one.span_id.hex(),
                        one.parent_span_id.hex(),
                        _read(one.attributes),
                    )
                    for one in scope.spans
                ]
        return pb.ExportTraceServiceResponse()

    def of_trace(self, trace_id: str) -> list[Span]:
        """Return the spans of a trace."""
        return [span for span in self.spans if span.trace_id == trace_id]

    def paths(self, trace_id: str) -> set[tuple[str, ...]]:
        """Return of each span of a trace the services and names from the first down to it."""
        known = {span.span_id: span for span in self.of_trace(trace_id)}

        def path(span: Span) -> tuple[str, ...]:
            above = known.get(span.parent_id)
            own = f"{span.service.removeprefix('chairside-')}: {span.name}"
            return (*(() if above is None else path(above)), own)

        return {path(span) for span in known.values()}


def _read(attributes: Iterable[Any]) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


@asynccontextmanager
async def open_collector() -> AsyncIterator[Collector]:
    """Listen on a free port."""
    collector, server = Collector(), grpc.aio.server()
    add_TraceServiceServicer_to_server(collector, server)
    collector.url = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield collector
    finally:
        await server.stop(None)
