"""Traces by OpenTelemetry; imported only where they are wanted.

Only what belongs to a call is traced: a lease that is renewed three times a second would
drown it. The texts of exceptions are left out, which may hold what no trace should.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine

from service_kit.calls import Calls, Metadata, forwarded
from service_kit.metrics import CODES
from service_kit.traced_calls import TracedCalls
from service_kit.tracing import POSTGRES
from service_kit.version import VERSION

__all__ = ["Tracing"]

_CLOSING_SECONDS = 2.0
_LONGEST_STATEMENT = 4000
# What a server's span counts as an error: the rest is its caller's affair.
_ERRORS = frozenset(
    map(
        CODES.index,
        ("UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"),
    )
)
_HEADERS = ("traceparent", "tracestate")


class _Execution(Protocol):
    """SQLAlchemy's object of one statement, which may be given a span."""

    span: trace.Span


class Tracing:
    """Makes spans and sends them behind, as OTEL_* variables say."""

    def __init__(self, service: str) -> None:
        self._exporter = OTLPSpanExporter()
        resource = Resource.create()
        ours = {"service.version": VERSION}
        if str(resource.attributes["service.name"]).startswith("unknown_service"):
            ours["service.name"] = service
        provider = TracerProvider(resource=resource.merge(Resource(ours)))
        provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._provider = provider
        self._tracer = provider.get_tracer("chairside", VERSION)
        self._propagator = TraceContextTextMapPropagator()

        self.calls: type[Calls] = type("Calls", (TracedCalls,), {"tracing": self})
        """What a server counts and logs its calls with."""

    async def close(self) -> None:
        """Send what is left, for two seconds at most."""
        closing = asyncio.ensure_future(asyncio.to_thread(self._provider.shutdown))
        await asyncio.wait({closing}, timeout=_CLOSING_SECONDS)
        if not closing.done():
            self._exporter.shutdown()
        await closing

    @contextmanager
    def span(
        self,
        name: str,
        attributes: Mapping[str, str | int] | None = None,
        *,
        outgoing: bool = False,
        alone: bool = False,
    ) -> Iterator[None]:
        """Trace what is within as a part of the call at hand; `alone`: also without a call."""
        if not (alone or trace.get_current_span().get_span_context().is_valid):
            yield
            return
        with self._tracer.start_as_current_span(
            name,
            kind=SpanKind.CLIENT if outgoing else SpanKind.INTERNAL,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except BaseException as error:
                span.set_status(Status(StatusCode.ERROR, type(error).__name__))
                raise

    def begin(self, path: str, metadata: Metadata) -> trace.Span:
        """Begin the span of a call, a part of its caller's trace; to be ended by the caller.

        It is the present one for the rest of the call's task, which is the call's own.
        """
        carrier = {key: value for key, value in metadata if key in _HEADERS}
        span = self._tracer.start_span(
            path.removeprefix("/"),
            self._propagator.extract(carrier),
            SpanKind.SERVER,
            {"rpc.system.name": "grpc", "rpc.method": path.removeprefix("/")},
        )
        otel_context.attach(trace.set_span_in_context(span))
        return span

    @staticmethod
    def tell(code: int, notes: Mapping[str, object]) -> None:
        """Add to the call's span what it came to: its status and what the log says of it."""
        span = trace.get_current_span()
        span.set_attribute("rpc.response.status_code", CODES[code])
        for key, value in notes.items():
            span.set_attribute(f"chairside.{key}", value if isinstance(value, int) else str(value))
        if code in _ERRORS:
            span.set_status(Status(StatusCode.ERROR))

    def headers(self) -> list[tuple[str, str]]:
        """Return what a call that is made now carries, so that it becomes a part of the trace."""
        carrier = dict(forwarded())
        self._propagator.inject(carrier)
        return list(carrier.items())

    def follow(self, engine: AsyncEngine) -> None:
        """Trace the statements that calls run through an engine."""
        event.listen(engine.sync_engine, "before_cursor_execute", self._statement_begins)
        event.listen(engine.sync_engine, "after_cursor_execute", _statement_ends)
        event.listen(engine.sync_engine, "handle_error", _statement_failed)

    def _statement_begins(
        self,
        _connection: object,
        _cursor: object,
        statement: str,
        _parameters: object,
        execution: _Execution,
        _many: object,
    ) -> None:
        if trace.get_current_span().get_span_context().is_valid:
            # Values are bound, and so not in the text.
            execution.span = self._tracer.start_span(
                statement.split(None, 1)[0].upper(),
                kind=SpanKind.CLIENT,
                attributes={**POSTGRES, "db.query.text": statement[:_LONGEST_STATEMENT]},
            )


def _statement_ends(
    _connection: object,
    _cursor: object,
    _statement: str,
    _parameters: object,
    execution: _Execution,
    _many: object,
) -> None:
    if (span := getattr(execution, "span", None)) is not None:
        span.end()


def _statement_failed(failure: ExceptionContext) -> None:
    if (span := getattr(failure.execution_context, "span", None)) is not None:
        span.set_status(Status(StatusCode.ERROR, type(failure.original_exception).__name__))
        span.end()
