"""Wait for a condition instead of for a time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import grpc

__all__ = ["eventually", "in_time"]

_POLL_SECONDS = 0.01

T = TypeVar("T")


async def eventually(condition: Callable[[], Awaitable[T]], *, seconds: float = 30.0) -> T:
    """Ask again and again until the answer is true, and return it; AssertionError if it is late.

    What the condition asserts may fail until then: the last failure is the one reported.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    failure: AssertionError | None = None
    while True:
        try:
            found = await condition()
        except AssertionError as error:
            failure = error
        else:
            if found:
                return found
            failure = None
        if loop.time() >= end:
            message = f"not within {seconds:g} s"
            raise AssertionError(message) from failure
        await asyncio.sleep(_POLL_SECONDS)


async def in_time(call: Callable[[], Awaitable[T]]) -> T:
    """Call until the answer comes within the call's own deadline, three times at most.

    What a service keeps of the deadline for the way of its answer, a busy machine may use up.
    """
    for again in (True, True, False):
        try:
            return await call()
        except grpc.aio.AioRpcError as error:
            if not again or error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
                raise
    raise AssertionError
