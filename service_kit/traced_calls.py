"""Calls, each with a span: in place of `Calls` where traces are wanted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, ClassVar

from service_kit.calls import C, Calls, Context, Metadata, noted
from service_kit.metrics import CallCounter

if TYPE_CHECKING:
    from service_kit.otel import Tracing

__all__ = ["TracedCalls"]


class TracedCalls(Calls):
    """Does as `Calls` does, within the spans of `tracing`, which a subclass has."""

    tracing: ClassVar[Tracing]

    def served(self, path: str, call: type[C]) -> type[C]:
        """Return a class of calls that are traced."""
        tracing = self.tracing
        base: Any = call

        class Traced(base):  # type: ignore[misc]  # of which there is one for each method
            __slots__ = ()

            async def unary_unary(self, raw: bytes, context: Context) -> Any:  # noqa: ANN401 - bytes
                span = tracing.begin(path, self.metadata)
                try:
                    return await super().unary_unary(raw, context)
                finally:
                    span.end()

            async def unary_stream(self, raw: Any, context: Context) -> AsyncIterator[bytes]:  # noqa: ANN401 - bytes, or an iterator of them
                span = tracing.begin(path, self.metadata)
                try:
                    async with aclosing(super().unary_stream(raw, context)) as messages:
                        async for message in messages:
                            yield message
                finally:
                    span.end()

            stream_stream = unary_stream

        return Traced

    def close(
        self,
        counter: CallCounter,
        code: int,
        started: float,
        metadata: Metadata,
        notes: Mapping[str, object] | None = None,
    ) -> None:
        """Count a call out, and tell its span what it came to."""
        notes = noted() if notes is None else notes
        self.tracing.tell(code, notes or {})
        # The trace that the line tells is this one's, also where its caller has none.
        metadata = (*metadata, *self.tracing.headers())
        super().close(counter, code, started, metadata, notes)
