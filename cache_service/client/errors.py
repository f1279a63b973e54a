"""The one error of the client: `grpc.aio.AioRpcError`, wherever it comes from."""

from __future__ import annotations

import grpc
from google.rpc import error_details_pb2, status_pb2

from service_kit.status import DETAILS_KEY

__all__ = ["again", "failed", "of_status", "reason_of", "retry_delay"]

_CODES = {code.value[0]: code for code in grpc.StatusCode}


def failed(code: grpc.StatusCode, details: str, status: bytes = b"") -> grpc.aio.AioRpcError:
    """Make the error that a call would have ended with; `status` is a `google.rpc.Status`."""
    trailing = grpc.aio.Metadata()
    if status:
        trailing.add(DETAILS_KEY, status)
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailing, details)


def of_status(status: status_pb2.Status) -> grpc.aio.AioRpcError:
    """Make the error that a read of a batch would have ended with alone."""
    code = _CODES.get(status.code, grpc.StatusCode.UNKNOWN)
    return failed(code, status.message, status.SerializeToString())


def again(error: grpc.aio.AioRpcError) -> grpc.aio.AioRpcError:
    """Return an equal error: one that many raise would gather the tracebacks of all."""
    return grpc.aio.AioRpcError(
        error.code(), error.initial_metadata(), error.trailing_metadata(), error.details()
    )


def reason_of(error: grpc.aio.AioRpcError) -> str:
    """Return the reason that the service gave; empty: the error is gRPC's own."""
    info = error_details_pb2.ErrorInfo()
    return info.reason if _unpacked(error, info) else ""


def retry_delay(error: grpc.aio.AioRpcError) -> float | None:
    """Return after how many seconds the service invites a repeat; None: it does not say."""
    info = error_details_pb2.RetryInfo()
    if not _unpacked(error, info):
        return None
    return info.retry_delay.seconds + info.retry_delay.nanos / 1e9


def _unpacked(
    error: grpc.aio.AioRpcError,
    detail: error_details_pb2.ErrorInfo | error_details_pb2.RetryInfo,
) -> bool:
    for key, value in error.trailing_metadata() or ():
        if key == DETAILS_KEY and isinstance(value, bytes):
            status = status_pb2.Status.FromString(value)
            return any(packed.Unpack(detail) for packed in status.details)
    return False
