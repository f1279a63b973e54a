"""Register servicers, each method behind one combined wrapper.

The wrapper counts, times, limits, sets the deadline, turns errors into rich
statuses and writes the access log's line. It is one function and not a chain of
interceptors because five ordinary ones cost a third of a hit's throughput.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from contextvars import ContextVar
from functools import partial
from math import inf
from typing import Any

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from service_kit.access_log import AccessLog, Call
from service_kit.boundary import answer_error, code_number
from service_kit.errors import (
    LARGEST_ANSWER,
    AnswerTooLarge,
    DeadlineExceeded,
    InvalidArgument,
    ResourceExhausted,
    Unavailable,
    Unimplemented,
    Violation,
)
from service_kit.leftovers import Leftovers
from service_kit.metrics import CallCounter, Metrics

__all__ = ["Calls", "Context", "annotate", "deadline", "register", "remaining"]

Context = grpc.aio.ServicerContext[Any, Any]
_Unary = Callable[[Any, Context], Awaitable[Any]]
_Near = Callable[[bytes], tuple[bytes, Mapping[str, object]] | None]
_Fast = Callable[[bytes, Context], Awaitable[bytes | None]]
_Stream = Callable[[Any, Context], Any]

_DEFAULT_DEADLINE = 10.0
_MAX_DEADLINE = 30.0
_CANCELLED, _DEADLINE_EXCEEDED = 1, 4

# On the event loop's clock; set for calls that took the slow path.
_deadline: ContextVar[float] = ContextVar("deadline")
_notes: ContextVar[dict[str, object]] = ContextVar("notes")


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
    ) -> None:
        self.metrics = metrics
        self.access_log = access_log
        self.default_deadline = default_deadline
        self.max_deadline = max_deadline
        self.max_open = max_open
        self.leftovers = Leftovers()
        self.refused = 0
        self._draining = False

    def drain(self) -> None:
        """Refuse every call from now on; those that are open go on."""
        self._draining, self.max_open = True, 0

    def open(self) -> None:
        """Count a call in; refuse it above the limit, and in the drain."""
        self.metrics.open_calls += 1
        if self.metrics.open_calls > self.max_open:
            self.refused += 1
            if self._draining:
                reason, message = "DRAINING", "this process is about to end"
                raise Unavailable(reason, message)
            reason, message = "TOO_MANY_CALLS", "this process handles as many calls as it may"
            raise ResourceExhausted(reason, message, retry_after=0.5, limit=self.max_open)

    def close(  # noqa: PLR0917 - what a call was
        self,
        counter: CallCounter,
        path: str,
        code: int,
        started: float,
        context: Context,
        notes: Mapping[str, object] | None = None,
    ) -> None:
        """Count a call out and write its line, with the notes or what was annotated."""
        self.metrics.open_calls -= 1
        seconds = time.perf_counter() - started
        counter.count(code, seconds)
        request_id = ""
        for key, value in context.invocation_metadata() or ():
            if key == "x-request-id":
                request_id = str(value)[:128]
        notes = _notes.get(None) if notes is None else notes
        self.access_log.add(Call(time.time(), path, code, seconds, request_id, notes))

    async def within_deadline(self, handler: _Unary, request: Message, context: Context) -> Any:  # noqa: ANN401 - message or bytes
        """Await the handler, at most until the deadline or its cap."""
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


def register(
    server: grpc.aio.Server, service: ServiceDescriptor, servicer: object, calls: Calls
) -> None:
    """Serve every method of `service` with the `servicer`'s method of the same name.

    A unary method is `async def Method(request, context)` and returns a message
    or its bytes; a server-streaming one is an async generator of them; so is a
    bidirectional one, whose request is an async iterator of messages. If there is
    an `async def fast_Method(raw, context)`, it is tried first with the request's bytes,
    without deadline and task: it returns bytes, or None to have `Method` called. Before
    both a `near_Method(raw)` is tried, a plain function to the response's bytes and the
    notes for the log, or None. A method that the servicer lacks is answered with
    UNIMPLEMENTED.
    """
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
    for method in service.methods:
        path = f"/{service.full_name}/{method.name}"
        parse = GetMessageClass(method.input_type).FromString
        counter = calls.metrics.counter(service.full_name, method.name)
        handler = getattr(servicer, method.name, None)
        if method.server_streaming:
            stream = _stream(
                path,
                read=partial(_all_parsed if method.client_streaming else _parsed, parse),
                handler=handler or _missing_stream(path),
                calls=calls,
                counter=counter,
            )
            handlers[method.name] = (
                grpc.stream_stream_rpc_method_handler(stream)
                if method.client_streaming
                else grpc.unary_stream_rpc_method_handler(stream)
            )
        else:
            unary = _unary(
                path,
                parse=parse,
                near=getattr(servicer, f"near_{method.name}", None),
                fast=getattr(servicer, f"fast_{method.name}", None),
                handler=handler or _missing(path),
                calls=calls,
                counter=counter,
            )
            handlers[method.name] = grpc.unary_unary_rpc_method_handler(unary)
    generic = grpc.method_handlers_generic_handler(service.full_name, handlers)
    server.add_generic_rpc_handlers((generic,))


def _unary(
    path: str,
    *,
    parse: Callable[[bytes], Message],
    near: _Near | None,
    fast: _Fast | None,
    handler: _Unary,
    calls: Calls,
    counter: CallCounter,
) -> Callable[[bytes, Context], Awaitable[bytes]]:
    async def call(raw: bytes, context: Context) -> bytes:
        started = time.perf_counter()
        code = 0
        notes: Mapping[str, object] | None = None
        try:
            calls.open()
            if near is not None and (found := near(raw)) is not None:
                response, notes = found
                return response
            if fast is not None and (answer := await fast(raw, context)) is not None:
                return answer
            # Parsed here and not by gRPC, whose own error would tell our innards.
            request = _parsed(parse, raw)
            return _sendable(await calls.within_deadline(handler, request, context))
        except asyncio.CancelledError:
            code = _cancel_code(context)
            raise
        except grpc.aio.AbortError:
            code = code_number(context.code())
            raise
        except Exception as error:  # the boundary: nothing may pass it
            code, why, abort = answer_error(error, path, context)
            annotate(context, **why)
            await abort
            raise
        finally:
            calls.close(counter, path, code, started, context, notes)

    return call


def _stream(
    path: str,
    *,
    read: Callable[[Any], Any],
    handler: _Stream,
    calls: Calls,
    counter: CallCounter,
) -> Callable[[Any, Context], AsyncIterator[bytes]]:
    async def call(raw: Any, context: Context) -> AsyncIterator[bytes]:  # noqa: ANN401 - bytes, or an iterator of them
        started = time.perf_counter()
        code = 0
        try:
            calls.open()
            async with aclosing(handler(read(raw), context)) as messages:
                async for message in messages:
                    yield message if isinstance(message, bytes) else message.SerializeToString()
            if context.cancelled():  # The requests then end as if their caller had ended them.
                code = _cancel_code(context)
        except (asyncio.CancelledError, GeneratorExit):
            code = _cancel_code(context)
            raise
        except grpc.aio.AbortError:
            code = code_number(context.code())
            raise
        except Exception as error:  # the boundary: nothing may pass it
            code, notes, abort = answer_error(error, path, context)
            annotate(context, **notes)
            await abort
            raise
        finally:
            calls.close(counter, path, code, started, context)

    return call


def _parsed(parse: Callable[[bytes], Message], raw: bytes) -> Message:
    try:
        return parse(raw)
    except DecodeError:
        raise InvalidArgument([Violation("", "the request cannot be parsed")]) from None


async def _all_parsed(
    parse: Callable[[bytes], Message], raws: AsyncIterator[bytes]
) -> AsyncIterator[Message]:
    async for raw in raws:
        yield _parsed(parse, raw)


def _sendable(response: Message | bytes) -> bytes:
    answer: bytes = response if isinstance(response, bytes) else response.SerializeToString()
    if len(answer) > LARGEST_ANSWER:
        raise AnswerTooLarge  # gRPC itself would refuse it without a word of why
    return answer


def _cancel_code(context: Context) -> int:
    # A cancel and an expired deadline look alike but for the time left.
    left: float | None = context.time_remaining()
    return _CANCELLED if left is None or left > 0 else _DEADLINE_EXCEEDED


def _missing(path: str) -> _Unary:
    async def handler(_request: Message, _context: Context) -> bytes:
        raise _not_implemented(path)

    return handler


def _missing_stream(path: str) -> _Stream:
    async def handler(_request: Message, _context: Context) -> AsyncIterator[bytes]:
        raise _not_implemented(path)
        yield b""

    return handler


def _not_implemented(path: str) -> Unimplemented:
    return Unimplemented("METHOD_NOT_IMPLEMENTED", "this version does not have it", method=path)
