"""The life of a process, in this one."""

import asyncio
import os
import signal
from contextlib import AsyncExitStack
from typing import ClassVar

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from structlog.testing import capture_logs

from devstack.ports import free_port
from service_kit import process
from service_kit.process import Application, Runtime, StartError
from service_kit.settings import ProcessSettings
from tests.support.grpc_server import SERVICE

State = health_pb2.HealthCheckResponse


class Settings(ProcessSettings):
    """A process on free ports."""

    prefix: ClassVar[str] = "CHAIRSIDE_CACHE_"
    listen: str = "127.0.0.1:0"
    metrics_listen: str = "127.0.0.1:0"
    access_log: bool = False


class Slow:
    """Answer when told to."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.go_on = asyncio.Event()

    async def GetSchedule(self, _request: object, _context: object) -> bytes:
        """Wait for the word."""
        self.entered.set()
        await self.go_on.wait()
        return b"done"


async def _address(logs: list[dict[str, object]]) -> str:
    while not (found := [line for line in logs if line["event"] == "serving"]):  # noqa: ASYNC110 - a log has no event
        await asyncio.sleep(0.01)
    return str(found[0]["listen"])


async def test_health_serves_once_ready_and_not_while_draining() -> None:
    """A call in flight ends; open Watch streams end themselves; then the process ends."""
    slow = Slow()
    opened, ready, closed = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def build(stack: AsyncExitStack, runtime: Runtime) -> Application:
        stack.callback(closed.set)

        async def become_ready() -> None:
            opened.set()
            await ready.wait()

        assert not runtime.draining.is_set()
        return Application([(SERVICE, slow)], become_ready)

    port = free_port()
    with capture_logs() as logs:
        life = asyncio.create_task(
            process.serve("cache", Settings(listen=f"127.0.0.1:{port}"), build)
        )
        await opened.wait()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            health = health_pb2_grpc.HealthStub(channel)
            names = ("", SERVICE.full_name, "grpc.health.v1.Health")
            for name in names[:2]:
                answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
                assert answer.status == State.NOT_SERVING
            watch = health.Watch(health_pb2.HealthCheckRequest())
            assert (await watch.read()).status == State.NOT_SERVING
            ready.set()
            assert (await watch.read()).status == State.SERVING
            assert await _address(logs) == f"127.0.0.1:{port}"
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await health.Check(health_pb2.HealthCheckRequest(service="nobody"))
            assert caught.value.code() is grpc.StatusCode.NOT_FOUND
            call = channel.unary_unary(f"/{SERVICE.full_name}/GetSchedule")(b"")
            await slow.entered.wait()
            os.kill(os.getpid(), signal.SIGTERM)
            assert (await watch.read()).status == State.NOT_SERVING
            assert await watch.read() is grpc.aio.EOF
            assert not closed.is_set()
            slow.go_on.set()
            assert await call == b"done"
        await life
    assert closed.is_set()


async def test_a_signal_during_the_start_ends_the_process() -> None:
    """What was built is closed, though it never got ready."""
    opened, closed = asyncio.Event(), asyncio.Event()

    async def build(stack: AsyncExitStack, _runtime: Runtime) -> Application:
        stack.callback(closed.set)

        async def never() -> None:
            opened.set()
            await asyncio.Event().wait()

        return Application([(SERVICE, object())], never)

    with capture_logs() as logs:
        life = asyncio.create_task(process.serve("cache", Settings(), build))
        await opened.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        await life
    assert closed.is_set()
    assert "serving" not in [line["event"] for line in logs]


async def test_a_port_in_use_is_one_clear_line() -> None:
    """Two processes never share a port without a word."""

    async def build(_stack: AsyncExitStack, _runtime: Runtime) -> Application:
        return Application([(SERVICE, object())])

    taken = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    port = taken.add_insecure_port("127.0.0.1:0")
    await taken.start()
    try:
        with pytest.raises(StartError, match=r"CHAIRSIDE_CACHE_LISTEN: .* cannot be bound"):
            await process.serve("cache", Settings(listen=f"127.0.0.1:{port}"), build)
    finally:
        await taken.stop(None)


async def test_metrics_are_served_on_their_own_port() -> None:
    """GET /metrics answers in Prometheus' format, other paths with 404."""

    async def build(_stack: AsyncExitStack, _runtime: Runtime) -> Application:
        return Application([(SERVICE, object())])

    with capture_logs() as logs:
        life = asyncio.create_task(process.serve("cache", Settings(), build))
        await _address(logs)
        port = next(line["metrics_port"] for line in logs if line["event"] == "serving")
        for path, expected in [("/metrics", b"grpc_server_handled_total"), ("/x", b"404")]:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert expected in await reader.read()
            writer.close()
            await writer.wait_closed()
        os.kill(os.getpid(), signal.SIGTERM)
        await life
