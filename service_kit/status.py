"""Turn a ServiceError into what crosses the wire: a code, a text and rich details.

The details travel in the trailing metadata `grpc-status-details-bin`. gRPC drops
a call whose metadata exceeds 8 to 16 KB, so everything here is cut to fit: an
error that is too long must not become another error.
"""

from urllib.parse import quote

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from service_kit.errors import FailedPrecondition, InvalidArgument, NotFound, ServiceError

__all__ = ["DETAILS_KEY", "DOMAIN", "code_of", "status_of", "text_of", "trailing_metadata"]

DOMAIN = "chairside"
DETAILS_KEY = "grpc-status-details-bin"

_TEXT_BYTES = 1000
_VALUE_BYTES = 300
_VIOLATIONS_BYTES = 2500


def code_of(error: ServiceError) -> grpc.StatusCode:
    """Return the status code that the error names."""
    return grpc.StatusCode[error.status]


def text_of(error: ServiceError) -> str:
    """Return the message, cut to what a header can carry."""
    return _cut(error.message, _TEXT_BYTES)


def trailing_metadata(error: ServiceError) -> tuple[tuple[str, bytes], ...]:
    """Return the metadata that carries the error's `google.rpc.Status`."""
    return ((DETAILS_KEY, status_of(error).SerializeToString()),)


def status_of(error: ServiceError) -> status_pb2.Status:
    """Return the error's `google.rpc.Status`, for a message that carries it itself."""
    status = status_pb2.Status(code=code_of(error).value[0], message=text_of(error))
    for detail in _details(error):
        packed = Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def _details(error: ServiceError) -> list[Message]:
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN)
    for key, value in error.metadata.items():
        info.metadata[key] = _cut(value, _VALUE_BYTES)
    details: list[Message] = [info]
    if isinstance(error, InvalidArgument):
        details.append(_bad_request(error))
    elif isinstance(error, NotFound):
        details.append(
            error_details_pb2.ResourceInfo(
                resource_type=error.resource_type,
                resource_name=_cut(error.resource_name, _VALUE_BYTES),
                description=text_of(error),
            )
        )
    elif isinstance(error, FailedPrecondition):
        failure = error_details_pb2.PreconditionFailure()
        failure.violations.add(
            type=error.reason,
            subject=_cut(error.subject, _VALUE_BYTES),
            description=text_of(error),
        )
        details.append(failure)
    if error.retry_after is not None:
        seconds, nanos = divmod(round(error.retry_after * 1_000_000_000), 1_000_000_000)
        delay = Duration(seconds=seconds, nanos=nanos)
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    return details


def _bad_request(error: InvalidArgument) -> error_details_pb2.BadRequest:
    request = error_details_pb2.BadRequest()
    room = _VIOLATIONS_BYTES
    for index, (field, description) in enumerate(error.violations):
        name, text = _cut(field, _VALUE_BYTES), _cut(description, _VALUE_BYTES)
        room -= len(name.encode()) + len(text.encode()) + 8
        if room < 0:
            rest = len(error.violations) - index
            request.field_violations.add(description=f"{rest} more fields are wrong")
            break
        request.field_violations.add(field=name, description=text)
    return request


def _cut(text: str, most: int) -> str:
    # Measured as gRPC sends it: what is not plain ASCII takes three bytes for each byte.
    if len(quote(text, safe=" ;:,.!?'\"()[]{}<>=+-*/_#&@$")) <= most:
        return text
    kept = text[:most]
    while len(quote(kept, safe=" ;:,.!?'\"()[]{}<>=+-*/_#&@$")) > most - 3:
        kept = kept[: len(kept) * 9 // 10]
    return kept + "..."
