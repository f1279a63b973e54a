"""Register servicers, each method behind one combined wrapper.

The wrapper counts, times, limits, sets the deadline, turns errors into rich
statuses and writes the access log's line. It is one function and not a chain of
interceptors because five ordinary ones cost a third of a hit's throughput.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from functools import partial
from typing import Any, cast

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from service_kit.access import Access, Guard
from service_kit.boundary import answer_error, code_number
from service_kit.callers import Caller
from service_kit.calls import Calls, Context, Metadata, annotate
from service_kit.errors import (
    LARGEST_ANSWER,
    AnswerTooLarge,
    InvalidArgument,
    Unimplemented,
    Violation,
)
from service_kit.metrics import CallCounter

__all__ = ["register"]

_Unary = Callable[[Any, Context], Awaitable[Any]]
_Found = tuple[bytes, Mapping[str, object]] | None
_Near = Callable[[bytes, Caller | None], _Found]
_Fast = Callable[[bytes, Caller | None], Awaitable[_Found]]
_Stream = Callable[[Any, Context], Any]

_CANCELLED, _DEADLINE_EXCEEDED = 1, 4


def register(
    server: grpc.aio.Server,
    service: ServiceDescriptor,
    servicer: object,
    calls: Calls,
    access: Access | None = None,
) -> None:
    """Serve every method of `service` with the `servicer`'s method of the same name.

    A unary method is `async def Method(request, context)` and returns a message
    or its bytes; a server-streaming one is an async generator of them; so is a
    bidirectional one, whose request is an async iterator of messages. If there is
    an `async def fast_Method(raw, caller)`, it is tried first with the request's bytes,
    without deadline and task: it returns the response's bytes and the notes for the log, or
    None to have `Method` called. Before both a `near_Method(raw, caller)` is tried, a plain
    function to the same. A method that the servicer lacks is answered with UNIMPLEMENTED.

    With `access` each call is judged before anything answers it. What is near or fast is
    tried before the request is read, and so must itself return None for what the caller may
    not see; `caller` is None if anybody may see anything.
    """
    methods: dict[str, type[_Call]] = {}
    for method in service.methods:
        path = f"/{service.full_name}/{method.name}"
        parse = GetMessageClass(method.input_type).FromString
        counter = calls.metrics.counter(service.full_name, method.name)
        handler = getattr(servicer, method.name, None)
        guard = None if access is None else access.guard(method)
        if method.server_streaming:
            made = _stream(
                path,
                read=partial(_all_parsed if method.client_streaming else _parsed, parse),
                many=method.client_streaming,
                handler=handler or _missing_stream(path),
                calls=calls,
                counter=counter,
                guard=guard,
            )
        else:
            made = _unary(
                path,
                parse=parse,
                near=getattr(servicer, f"near_{method.name}", None),
                fast=getattr(servicer, f"fast_{method.name}", None),
                handler=handler or _missing(path),
                calls=calls,
                counter=counter,
                guard=guard,
            )
        methods[path] = calls.served(path, made)
    server.add_generic_rpc_handlers((_Methods(methods),))


class _Call:
    """One call, as the handler that gRPC asks for: so it has the metadata at hand.

    gRPC makes Python objects of all of it for this question, and again whenever a context
    is asked: that costs 2 % of a call.
    """

    __slots__ = ("metadata",)

    request_streaming = False
    response_streaming = False
    request_deserializer = None
    response_serializer = None

    metadata: Metadata
    """What its client sent with it; given once it is made, since an initialiser costs more."""


class _Methods(grpc.GenericRpcHandler):
    """Makes the calls of a service, each of its method's class, by path."""

    def __init__(self, methods: Mapping[str, type[_Call]]) -> None:
        self._call = methods.get

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        made = self._call(handler_call_details.method)
        if made is None:
            return None
        call = made()
        call.metadata = handler_call_details.invocation_metadata
        return cast("grpc.RpcMethodHandler[Any, Any]", call)


def _unary(
    path: str,
    *,
    parse: Callable[[bytes], Message],
    near: _Near | None,
    fast: _Fast | None,
    handler: _Unary,
    calls: Calls,
    counter: CallCounter,
    guard: Guard | None,
) -> type[_Call]:
    open_, close = calls.open, calls.close

    class Call(_Call):
        __slots__ = ()

        async def unary_unary(self, raw: bytes, context: Context) -> bytes:
            started = time.perf_counter()
            code = 0
            notes: Mapping[str, object] | None = None
            try:
                open_()
                caller = None if guard is None else guard.admit(self.metadata, context)
                found = None if near is None else near(raw, caller)
                if found is None and fast is not None:
                    found = await fast(raw, caller)
                if found is not None:
                    response, notes = found
                    if caller is not None:
                        notes = {**notes, "caller": caller.name}
                    return response
                # Parsed here and not by gRPC, whose own error would tell our innards.
                request = _parsed(parse, raw)
                if guard is not None and caller is not None:
                    guard.judge(caller, request, context)
                return _sendable(
                    await calls.within_deadline(handler, request, context, self.metadata)
                )
            except BaseException as error:  # the boundary: nothing may pass it
                code, abort = _ended_by(error, path, context)
                if abort is not None:
                    await abort
                raise
            finally:
                close(counter, code, started, self.metadata, notes)

    return Call


def _stream(
    path: str,
    *,
    read: Callable[[Any], Any],
    many: bool,
    handler: _Stream,
    calls: Calls,
    counter: CallCounter,
    guard: Guard | None,
) -> type[_Call]:
    open_ = calls.open if many else calls.open_watch

    class Call(_Call):
        __slots__ = ()

        request_streaming = many
        response_streaming = True

        async def unary_stream(self, raw: Any, context: Context) -> AsyncIterator[bytes]:  # noqa: ANN401 - bytes, or an iterator of them
            started = time.perf_counter()
            code = 0
            try:
                open_()
                caller = None if guard is None else guard.admit(self.metadata, context)
                asked = read(raw)
                if guard is not None and caller is not None:
                    guard.judge(caller, asked, context)
                    guard.follow(caller, self.metadata, context)
                async with aclosing(handler(asked, context)) as messages:
                    async for message in messages:
                        yield message if isinstance(message, bytes) else message.SerializeToString()
                if context.cancelled():  # The requests then end as if their caller had ended them.
                    code = _cancel_code(context)
            except BaseException as error:  # the boundary: nothing may pass it
                code, abort = _ended_by(error, path, context)
                if abort is not None:
                    await abort
                raise
            finally:
                if not many:
                    calls.metrics.open_watches -= 1
                calls.close(counter, code, started, self.metadata)

        stream_stream = unary_stream

    return Call


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


def _ended_by(
    error: BaseException, path: str, context: Context
) -> tuple[int, Awaitable[None] | None]:
    """Return the code of a call that an error ended, and what tells its caller if nobody has."""
    if isinstance(error, (asyncio.CancelledError, GeneratorExit)):
        return _cancel_code(context), None
    if isinstance(error, grpc.aio.AbortError):
        return code_number(context.code()), None
    if not isinstance(error, Exception):
        return 0, None  # the process ends
    code, why, abort = answer_error(error, path, context)
    annotate(context, **why)
    return code, abort


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
