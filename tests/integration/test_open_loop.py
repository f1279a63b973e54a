"""The driver of the latency benchmark against a real gRPC server."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc

from benchmarks.open_loop import Found, Job, arrivals, run

_ANSWER = b"x" * 325
_RATE, _SECONDS, _SEED = 400.0, 0.5, 7
_METHOD = "/chairside.test.Service/Method"

Handler = Callable[[bytes, grpc.aio.ServicerContext], Awaitable[bytes]]


class _Handlers(grpc.GenericRpcHandler):
    def __init__(self, handler: Handler) -> None:
        self._handler = grpc.unary_unary_rpc_method_handler(handler)

    def service(self, details: Any) -> Any:
        return self._handler if details.method == _METHOD else None


@asynccontextmanager
async def _server(handler: Handler) -> AsyncIterator[str]:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_Handlers(handler),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


async def _drive(address: str, size: int = len(_ANSWER)) -> Found:
    message = b"question".hex()
    job = Job(address, _METHOD, message, size, 16, _RATE, _SECONDS, 4, _SEED)
    return await asyncio.to_thread(run, job)


def _due() -> list[float]:
    return arrivals(_RATE, _SECONDS, _SEED)


async def test_calls_that_a_stalled_server_keeps_waiting_count_from_when_they_were_due() -> None:
    """A server that answers nothing until the last call came delays each by all that time."""
    due, came, all_came = _due(), list[bytes](), asyncio.Event()

    async def stalled(request: bytes, _context: Any) -> bytes:
        came.append(request)
        if len(came) == len(due):
            all_came.set()
        await all_came.wait()
        return _ANSWER

    async with _server(stalled) as address:
        found = await _drive(address)
    assert set(came) == {b"question"}
    assert len(came) == len(found.milliseconds) == len(found.late) == len(due)
    assert found.failed == 0
    waited = sorted((due[-1] - at) * 1000 for at in due)
    assert all(
        took >= least for took, least in zip(sorted(found.milliseconds), waited, strict=True)
    )


async def test_an_error_is_not_an_answer() -> None:
    """Every second call fails; only the others are timed."""
    calls = 0

    async def failing(_request: bytes, context: Any) -> bytes:
        nonlocal calls
        calls += 1
        if calls % 2:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many")
        return _ANSWER

    async with _server(failing) as address:
        found = await _drive(address)
    assert len(found.milliseconds) == calls // 2
    assert found.failed == calls - calls // 2
    assert calls == len(_due())


async def test_an_answer_of_another_size_is_not_the_answer() -> None:
    """What has other bytes than expected counts as failed."""

    async def short(_request: bytes, _context: Any) -> bytes:
        return _ANSWER

    async with _server(short) as address:
        found = await _drive(address, size=2 * len(_ANSWER))
    assert (found.milliseconds, found.failed) == ([], len(_due()))
