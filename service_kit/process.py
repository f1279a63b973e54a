"""The life of a process: start, serve, drain.

Health says NOT_SERVING until the application is ready and again from the first
SIGTERM or SIGINT on; then calls in flight may end within the grace, streams end
themselves (`Runtime.draining`), and the logs are flushed.
"""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import grpc
import structlog
import uvloop
from google.protobuf.descriptor import ServiceDescriptor
from grpc_reflection.v1alpha import reflection

from service_kit import health, logs
from service_kit.access_log import AccessLog, standard_output
from service_kit.boundary import refuse_unknown_methods
from service_kit.clock import Clock, SystemClock
from service_kit.errors import LARGEST_ANSWER
from service_kit.metrics import Metrics
from service_kit.metrics_server import serve_metrics
from service_kit.rpc import Calls, register
from service_kit.settings import ProcessSettings, SettingsError, describe, split_address

__all__ = ["Application", "Runtime", "StartError", "run", "serve", "server_options"]

_OWN_CALLS = 200  # room for health and reflection above the limit for calls
_LEFTOVER_SECONDS = 5.0
_TURN_AWAY_SECONDS, _QUIET_SECONDS = 1.0, 0.05


class StartError(Exception):
    """Say in one line why the process cannot start."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """What an application is built with. `draining` is set when streams must end."""

    clock: Clock
    metrics: Metrics
    draining: asyncio.Event


@dataclass(frozen=True, slots=True)
class Application:
    """What a process serves: descriptors with their servicers.

    `ready` is awaited after the port is open and before health says SERVING.
    """

    services: Sequence[tuple[ServiceDescriptor, object]]
    ready: Callable[[], Awaitable[None]] | None = None


Build = Callable[[AsyncExitStack, Runtime], Awaitable[Application]]


async def serve(name: str, settings: ProcessSettings, build: Build) -> None:
    """Serve what `build` makes until SIGTERM or SIGINT; then drain.

    `build` enters what must be closed into the stack it is given; that is closed
    after the last call ended. Raises StartError if a port cannot be bound.
    """
    log = structlog.get_logger(f"{name}.process")
    async with AsyncExitStack() as stack:
        stop = _stop_signal(stack)
        log.info("settings", service=name, **describe(settings))
        metrics = Metrics()
        stream = standard_output() if settings.access_log else None
        access_log = await stack.enter_async_context(AccessLog(stream))
        metrics_port = await _open_metrics(stack, metrics, settings)
        runtime = Runtime(SystemClock(settings.clock_start), metrics, asyncio.Event())
        application = await build(stack, runtime)
        calls = Calls(
            metrics,
            access_log,
            default_deadline=settings.default_deadline,
            max_deadline=settings.max_deadline,
            max_open=settings.max_open_calls,
        )
        server, state, port = _make_server(application, settings, calls)
        await server.start()
        try:
            if application.ready is not None and not await _before(stop, application.ready()):
                return
            state.set_serving()
            host = split_address(settings.listen)[0]
            log.info("serving", service=name, listen=f"{host}:{port}", metrics_port=metrics_port)
            await stop.wait()
        finally:
            log.info("draining", service=name, seconds=settings.drain)
            runtime.draining.set()
            state.drain()
            await _turn_away(calls, min(_TURN_AWAY_SECONDS, settings.drain))
            await server.stop(settings.drain)
            await calls.leftovers.settle(_LEFTOVER_SECONDS)
            log.info("stopped", service=name)


def run(main: Callable[[], Coroutine[Any, Any, None]], log_level: str = "INFO") -> int:
    """Run a process on uvloop and return its exit code; 2 if settings or ports are wrong."""
    logs.configure(log_level)
    try:
        uvloop.run(main())
    except (SettingsError, StartError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def _make_server(
    application: Application, settings: ProcessSettings, calls: Calls
) -> tuple[grpc.aio.Server, health.Health, int]:
    server = grpc.aio.server(
        options=server_options(), maximum_concurrent_rpcs=settings.max_open_calls + _OWN_CALLS
    )
    names = [descriptor.full_name for descriptor, _ in application.services]
    state = health.Health(names)
    for descriptor, servicer in application.services:
        register(server, descriptor, servicer, calls)
    # Health answers when nothing else may: at the limit, and in the drain.
    own = Calls(calls.metrics, calls.access_log, max_open=settings.max_open_calls + _OWN_CALLS)
    register(server, health.SERVICE, state, own)
    reflection.enable_server_reflection(
        [*names, health.SERVICE.full_name, reflection.SERVICE_NAME], server
    )
    refuse_unknown_methods(server)
    try:
        port = server.add_insecure_port(settings.listen)
    except RuntimeError:
        port = 0
    if port == 0:
        message = f"{settings.prefix}LISTEN: {settings.listen} cannot be bound; is it in use?"
        raise StartError(message)
    return server, state, port


def server_options() -> list[tuple[str, int]]:
    """Return the channel options of our servers."""
    return [
        # Else a second process would share the port without a word.
        ("grpc.so_reuseport", 0),
        # Not 100: of 300 calls at once on one channel that lasted 50 ms each, 79 to 179
        # then failed with a bare UNAVAILABLE (a refused stream), of 900 with 1,000 none.
        # What is too much is told by `max_open_calls`, with a reason and when to retry.
        ("grpc.max_concurrent_streams", 1000),
        ("grpc.max_receive_message_length", 4 * 1024 * 1024),
        ("grpc.max_send_message_length", LARGEST_ANSWER),
        # Clients may ping every 10 s; a client that is gone is noticed within a minute.
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.keepalive_time_ms", 45_000),
        ("grpc.keepalive_timeout_ms", 10_000),
    ]


async def _turn_away(calls: Calls, seconds: float) -> None:
    # A server that stops answers what arrives before its clients know with a bare CANCELLED.
    # So they are told first, with when to retry: until none came for a while, or so many seconds.
    calls.drain()
    loop = asyncio.get_running_loop()
    end, before = loop.time() + seconds, -1
    while calls.refused != before and loop.time() < end:
        before = calls.refused
        await asyncio.sleep(_QUIET_SECONDS)


async def _open_metrics(stack: AsyncExitStack, metrics: Metrics, settings: ProcessSettings) -> int:
    host, port = split_address(settings.metrics_listen)
    try:
        return await stack.enter_async_context(serve_metrics(metrics, host, port))
    except OSError as error:
        message = f"{settings.prefix}METRICS_LISTEN: {settings.metrics_listen}: {error.strerror}"
        raise StartError(message) from None


def _stop_signal(stack: AsyncExitStack) -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
        stack.callback(loop.remove_signal_handler, number)
    return stop


async def _before(stop: asyncio.Event, ready: Awaitable[None]) -> bool:
    # True if ready came first; a signal during the start ends it.
    task = asyncio.ensure_future(ready)
    waiting = asyncio.ensure_future(stop.wait())
    await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not task.done():
        task.cancel()
        await asyncio.wait((task,))
        return False
    task.result()
    return True
