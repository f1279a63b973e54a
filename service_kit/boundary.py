"""The error boundary: whatever a handler raises leaves it as a rich status.

The text of an unexpected exception never crosses the wire (it may hold a
connection string); an incident number does, under which the log has it.
"""

import secrets
from collections.abc import Awaitable, Mapping
from typing import Any

import grpc
import structlog

from service_kit.errors import ServiceError, Unimplemented
from service_kit.status import code_of, text_of, trailing_metadata

__all__ = ["answer_error", "code_number", "known_error", "refuse_unknown_methods"]

_UNKNOWN = 2


def answer_error(
    error: Exception, path: str, context: grpc.aio.ServicerContext[Any, Any]
) -> tuple[int, Mapping[str, object], Awaitable[None]]:
    """Return the number of the status code, fields for the access log, and the abort to await."""
    known = known_error(error, path)
    code = code_of(known)
    abort = context.abort(code, text_of(known), trailing_metadata(known))
    return code.value[0], {"reason": known.reason}, abort


def known_error(error: Exception, path: str) -> ServiceError:
    """Return what a caller may see of an error; an unexpected one is logged, with its text."""
    if isinstance(error, ServiceError):
        return error
    incident = secrets.token_hex(6)
    structlog.get_logger("service_kit.boundary").error(
        "unexpected error", method=path, incident=incident, exc_info=error
    )
    return ServiceError(
        "INTERNAL",
        "INTERNAL",
        f"unexpected error; the log has it as incident {incident}",
        metadata={"incident": incident},
    )


def code_number(code: object) -> int:
    """Return the number of a status code, which grpc.aio gives as number or member."""
    if isinstance(code, grpc.StatusCode):
        return int(code.value[0])
    return code if isinstance(code, int) else _UNKNOWN


class _UnknownMethods(grpc.GenericRpcHandler):
    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> "grpc.RpcMethodHandler[Any, Any]":
        path = handler_call_details.method

        async def refuse(_requests: object, context: grpc.aio.ServicerContext[Any, Any]) -> None:
            error = Unimplemented("UNKNOWN_METHOD", "there is no such method here", method=path)
            await answer_error(error, path, context)[2]

        return grpc.stream_stream_rpc_method_handler(refuse)


def refuse_unknown_methods(server: grpc.aio.Server) -> None:
    """Answer every other method with UNIMPLEMENTED and a reason; to be registered last."""
    server.add_generic_rpc_handlers((_UnknownMethods(),))
