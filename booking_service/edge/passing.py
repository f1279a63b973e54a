"""Answer with the error that another service answered with."""

from typing import NoReturn

import grpc

from service_kit.calls import Context
from service_kit.errors import DeadlineExceeded, ResourceExhausted, Unavailable
from service_kit.status import DETAILS_KEY

__all__ = ["pass_on"]


async def pass_on(error: grpc.aio.AioRpcError, context: Context, seconds: float) -> NoReturn:
    """Give the cache service's own error on as it is, with code, text and details.

    An error without details comes from gRPC and not from the service, and is given
    some: the service cannot be reached, is overloaded or needed more than `seconds`.
    """
    for key, value in error.trailing_metadata() or ():
        if key == DETAILS_KEY:
            details = ((DETAILS_KEY, value),)
            await context.abort(error.code(), error.details() or "", details)
    code = error.code()
    if code is grpc.StatusCode.UNAVAILABLE:
        reason, message = "CACHE_SERVICE_UNAVAILABLE", "the cache service cannot be reached"
        raise Unavailable(reason, message) from error
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        reason, message = "CACHE_SERVICE_BUSY", "the cache service has too much to do"
        raise ResourceExhausted(reason, message) from error
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        raise DeadlineExceeded(seconds) from error
    raise error
