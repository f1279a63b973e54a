"""The methods that read: out of memory where that keeps the response, else composed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from google.protobuf.message import Message

from cache_service.edge.composed import Composed
from cache_service.edge.freshness import cache_info, outcome_of
from cache_service.edge.kinds import Kind
from cache_service.edge.near import NearResponses
from service_kit.calls import Context, annotate
from service_kit.wire import bytes_field

__all__ = ["Reads"]


class Reads:
    """Answers reads of every kind. `time` gives seconds since the epoch, for ages."""

    def __init__(
        self, kinds: Mapping[str, Kind], near: NearResponses, time: Callable[[], float]
    ) -> None:
        self.kinds = kinds
        """By their fields in BatchRead."""
        self.near = near
        self._time = time

    def methods(self) -> dict[str, Callable[..., Any]]:
        """Return each kind's method, and its `near_<Method>`, which is tried first."""
        found: dict[str, Callable[..., Any]] = {}
        for kind in self.kinds.values():
            found[f"near_{kind.method}"] = partial(self.near.answer, kind.number)
            found[kind.method] = self._method(kind)
        return found

    def _method(self, kind: Kind) -> Callable[[Message, Context], Awaitable[bytes]]:
        """Make a method of what composes."""

        async def answer(request: Message, context: Context) -> bytes:
            composed = await kind.compose(request)
            annotate(context, outcome=outcome_of(composed.answers).value)
            read = bytes_field(kind.number, request.SerializeToString())
            return self.finish(kind, read, composed)

        return answer

    def finish(self, kind: Kind, read: bytes, composed: Composed) -> bytes:
        """Return the response to a serialised read of what was composed, and perhaps keep it."""
        self.near.keep(kind, read, composed)
        return composed.body + cache_info(kind.cache_info, composed.answers, self._time())
