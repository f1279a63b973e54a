"""Calls of bidirectional streams."""

from collections.abc import Callable
from typing import Any

import grpc

__all__ = ["first_answer"]


async def first_answer(open_: Callable[..., Any], raw: bytes) -> bytes:
    """Return the first answer of a stream to one message.

    A refusal that meets the message on its way is gRPC's own INTERNAL error: then again.
    """
    for again in (True, True, False):
        call = open_(iter([raw]), timeout=20)
        try:
            answer: bytes = await call.read()
        except grpc.aio.AioRpcError as error:
            if not (again and error.details() == "Internal error from Core"):
                raise
        else:
            call.cancel()
            return answer
    raise AssertionError
