"""What is common to the calls of a process: limits, deadlines, what is counted and logged."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from math import inf
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message

from service_kit.access_log import REQUEST_ID, TRACEPARENT, AccessLog, Metadata
from service_kit.errors import DeadlineExceeded, ResourceExhausted, ServiceError, Unavailable
from service_kit.leftovers import Leftovers
from service_kit.metrics import CallCounter, Metrics

__all__ = [
    "Calls",
    "Context",
    "Metadata",
    "annotate",
    "deadline",
    "forwarded",
    "noted",
    "remaining",
]

Context = grpc.aio.ServicerContext[Any, Any]
_Unary = Callable[[Any, Context], Awaitable[Any]]
C = TypeVar("C")

_DEFAULT_DEADLINE = 10.0
_MAX_DEADLINE = 30.0

# On the event loop's clock; set for calls that took the slow path.
_deadline: ContextVar[float] = ContextVar("deadline")
_notes: ContextVar[dict[str, object]] = ContextVar("notes")
_metadata: ContextVar[Metadata] = ContextVar("metadata", default=())

_PASSED_ON = frozenset({REQUEST_ID, TRACEPARENT, "tracestate"})


def remaining(context: Context, margin: float = 0.0) -> float:
    """Return the seconds left of the call's deadline or its cap, less `margin`; never below 0.

    Deadlines do not propagate: pass this to every outgoing call.
    """
    end = _deadline.get(None)
    if end is not None:
        return max(0.0, end - asyncio.get_running_loop().time() - margin)
    left: float | None = context.time_remaining()
    return max(0.0, (_DEFAULT_DEADLINE if left is None else min(left, _MAX_DEADLINE)) - margin)


def deadline() -> float:
    """Return when the call at hand ends, on the event loop's clock; infinite outside of one."""
    return _deadline.get(inf)


def annotate(_context: Context, **fields: object) -> None:
    """Add fields to the call's line in the access log, such as the kind of a hit."""
    if (notes := _notes.get(None)) is None:
        _notes.set(fields)
    else:
        notes.update(fields)


def noted() -> Mapping[str, object] | None:
    """Return what was annotated of the call at hand; None if nothing was."""
    return _notes.get(None)


def forwarded() -> list[tuple[str, str]]:
    """Return what the call at hand passes on to those it makes: whose request and trace it is.

    Nothing outside of a call.
    """
    return [(key, str(value)) for key, value in _metadata.get() if key in _PASSED_ON]


class Calls:
    """Know what is common to the calls of a process: metrics, log, limits (in seconds, calls)."""

    def __init__(
        self,
        metrics: Metrics,
        access_log: AccessLog,
        *,
        default_deadline: float = _DEFAULT_DEADLINE,
        max_deadline: float = _MAX_DEADLINE,
        max_open: int = 1000,
        max_watches: int = 1000,
    ) -> None:
        self.metrics = metrics
        self.access_log = access_log
        self._ended = access_log.add
        metrics.count_late.append(access_log.count)
        self.default_deadline = default_deadline
        self.max_deadline = max_deadline
        self.max_open = max_open
        self.max_watches = max_watches
        self.leftovers = Leftovers()
        self.refused = 0
        self._draining = False

    def served(self, _path: str, call: type[C]) -> type[C]:
        """Return what makes the calls of a method: `call` itself, unless something is added."""
        return call

    def drain(self) -> None:
        """Refuse every call from now on; those that are open go on."""
        self._draining, self.max_open = True, 0

    def open(self) -> None:
        """Count a call in; refuse it above the limit, and in the drain."""
        metrics = self.metrics
        metrics.open_calls += 1
        if metrics.open_calls - metrics.open_watches > self.max_open:
            raise self._refused("TOO_MANY_CALLS", "calls", self.max_open)

    def open_watch(self) -> None:
        """Count in a call that is only told of what happens: those have a limit of their own."""
        self.metrics.open_calls += 1
        self.metrics.open_watches += 1
        if self._draining or self.metrics.open_watches > self.max_watches:
            raise self._refused("TOO_MANY_WATCHES", "watches", self.max_watches)

    def _refused(self, reason: str, what: str, limit: int) -> ServiceError:
        self.refused += 1
        if self._draining:
            reason, message = "DRAINING", "this process is about to end"
            return Unavailable(reason, message)
        message = f"this process handles as many {what} as it may"
        return ResourceExhausted(reason, message, retry_after=0.5, limit=limit)

    def close(
        self,
        counter: CallCounter,
        code: int,
        started: float,
        metadata: Metadata,
        notes: Mapping[str, object] | None = None,
    ) -> None:
        """Take note that a call has ended, with the notes or what was annotated."""
        self.metrics.open_calls -= 1
        notes = _notes.get(None) if notes is None else notes
        self._ended((counter, code, started, time.perf_counter(), metadata, notes))

    async def within_deadline(
        self, handler: _Unary, request: Message, context: Context, metadata: Metadata
    ) -> Any:  # noqa: ANN401 - message or bytes
        """Await the handler, at most until the deadline or its cap."""
        _metadata.set(metadata)
        now = asyncio.get_running_loop().time()
        left: float | None = context.time_remaining()
        if left is not None and left <= self.max_deadline:
            # gRPC itself cancels us then, and the client no longer waits: no timer of ours.
            _deadline.set(now + left)
            return await handler(request, context)
        allowed = self.default_deadline if left is None else self.max_deadline
        _deadline.set(now + allowed)
        if _notes.get(None) is None:
            _notes.set({})  # shared with the task, whose own settings we would not see
        # In a task: its cleaning up (two seconds, with a frozen server) keeps no caller waiting.
        task = asyncio.ensure_future(handler(request, context))
        try:
            done, _ = await asyncio.wait((task,), timeout=allowed)
        except asyncio.CancelledError:
            self.leftovers.cancel(task)
            raise
        if not done:
            self.leftovers.cancel(task)
            raise DeadlineExceeded(allowed)
        return task.result()
