"""Errors as they crossed the wire, in a form to compare."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

import grpc
from google.rpc import error_details_pb2 as details

from tests.support.grpc_server import details_of

__all__ = ["Failure", "failure", "read_failure"]


@dataclass
class Failure:
    """An error as it crossed the wire."""

    code: str
    reason: str
    metadata: dict[str, str]
    fields: list[str]
    retry: bool
    resource: str
    precondition: str


async def failure(call: Awaitable[Any]) -> Failure:
    """Await a call that must fail, and read its rich status."""
    try:
        response = await call
    except grpc.aio.AioRpcError as error:
        return read_failure(error)
    message = f"the call succeeded: {response}"
    raise AssertionError(message)


def read_failure(error: grpc.aio.AioRpcError) -> Failure:
    """Read the rich status of an error."""
    found: dict[str, Any] = details_of(error)
    info = found["ErrorInfo"]
    assert info.domain == "chairside"
    wrong = found.get("BadRequest", details.BadRequest()).field_violations
    failed = found.get("PreconditionFailure", details.PreconditionFailure()).violations
    return Failure(
        error.code().name,
        info.reason,
        dict(info.metadata),
        [violation.field for violation in wrong],
        "RetryInfo" in found,
        found.get("ResourceInfo", details.ResourceInfo()).resource_type,
        failed[0].type if failed else "",
    )
