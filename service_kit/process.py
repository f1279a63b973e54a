"""The life of a process: start, serve, drain.

Health says NOT_SERVING until the application is ready and again from the first
SIGTERM or SIGINT on; then calls in flight may end within the grace, streams end
themselves (`Runtime.draining`), and the logs are flushed.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc
import structlog
import uvloop
from google.protobuf.descriptor import ServiceDescriptor
from grpc_reflection.v1alpha import reflection

from service_kit import health, logs
from service_kit.access import Access
from service_kit.access_log import AccessLog, standard_output
from service_kit.boundary import refuse_unknown_methods
from service_kit.callers import Right
from service_kit.calls import Calls
from service_kit.clock import Clock, SystemClock, elapsed
from service_kit.common_measures import FILES_REFUSED, LINES_DROPPED, LOOP_LAG
from service_kit.errors import LARGEST_ANSWER
from service_kit.line import Line
from service_kit.listening import listen
from service_kit.loop_lag import watch_loop
from service_kit.metrics import Metrics, collect_process
from service_kit.rpc import register
from service_kit.settings import ProcessSettings, SettingsError, describe
from service_kit.starting import StartError, before, open_callers, open_metrics, stop_signal
from service_kit.tracing import open_tracing

if TYPE_CHECKING:
    # Made at run time only where it is wanted, by open_tracing.
    from service_kit.otel import Tracing

__all__ = ["Application", "Runtime", "StartError", "run", "run_worker", "serve", "server_options"]

_OWN_CALLS = 200  # room for health and reflection above the limit for calls
_LEFTOVER_SECONDS = 5.0
_TURN_AWAY_SECONDS, _QUIET_SECONDS = 1.0, 0.05


@dataclass(frozen=True, slots=True)
class Runtime:
    """What an application is built with. `draining` is set when streams must end.

    `tracing` is None unless calls are traced.
    """

    clock: Clock
    metrics: Metrics
    draining: asyncio.Event
    tracing: Tracing | None = None


@dataclass(frozen=True, slots=True)
class Application:
    """What a process serves: descriptors with their servicers.

    `ready` is awaited after the port is open and before health says SERVING. `rights` has
    what each method takes, and `itemised` those that judge their requests themselves; they
    are needed where callers are told apart.
    """

    services: Sequence[tuple[ServiceDescriptor, object]]
    ready: Callable[[], Awaitable[None]] | None = None
    rights: Mapping[str, Right] = field(default_factory=dict)
    itemised: Collection[str] = ()


Build = Callable[[AsyncExitStack, Runtime], Awaitable[Application]]


async def serve(
    name: str, settings: ProcessSettings, build: Build, line: Line | None = None
) -> None:
    """Serve what `build` makes until SIGTERM or SIGINT; then drain.

    `build` enters what must be closed into the stack it is given; that is closed
    after the last call ended. A worker, which has a `line` to its supervisor, shares
    its port with others, tells the supervisor its metrics and that it is ready, and
    ends with it. Raises StartError if a port cannot be bound.
    """
    log = structlog.get_logger(f"{name}.process")
    async with AsyncExitStack() as stack:
        stop = stop_signal(stack)
        metrics = Metrics()
        metrics.add(collect_process)
        late = watch_loop(stack, elapsed)
        if line is None:
            log.info("settings", service=name, **describe(settings))
            metrics_port = await open_metrics(stack, metrics.rendered, settings)
        else:
            await stack.enter_async_context(line.answering(metrics.render, stop.set))
        stream = standard_output() if settings.access_log else None
        access_log = await stack.enter_async_context(AccessLog(stream))
        metrics.add(lambda: (LOOP_LAG.of(late), LINES_DROPPED.of(access_log.dropped)))
        tracing = await stack.enter_async_context(open_tracing(f"chairside-{name}", os.environ))
        clock = SystemClock(settings.clock_start)
        runtime = Runtime(clock, metrics, asyncio.Event(), tracing)
        application = await build(stack, runtime)
        calls = (Calls if tracing is None else tracing.calls)(
            metrics,
            access_log,
            default_deadline=settings.default_deadline,
            max_deadline=settings.max_deadline,
            max_open=settings.max_open_calls,
        )
        callers = await open_callers(stack, settings)
        access = None
        if callers is not None:
            access = Access(callers, application.rights, application.itemised)
        server, state = _make_server(application, settings, calls, access, shared=line is not None)
        files = settings.tls_files
        address = listen(server, settings, files)
        renewed = [one for one in (files, callers) if one is not None]
        metrics.add(lambda: [FILES_REFUSED.of(sum(one.refused for one in renewed))])
        await server.start()
        try:
            if application.ready is not None and not await before(stop, application.ready()):
                return
            state.set_serving()
            if line is None:
                log.info("serving", service=name, listen=address, metrics_port=metrics_port)
            else:
                line.ready()
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


def run_worker(name: str, settings: ProcessSettings, build: Build, descriptor: int) -> int:
    """Run a worker whose line is `descriptor`, as `run` does; what is wrong is told there."""

    async def main() -> int:
        line = await Line.open(descriptor)
        try:
            await serve(name, settings, build, line)
        except (SettingsError, StartError) as error:
            await line.failed(str(error))
            return 2
        return 0

    logs.configure(settings.log_level, worker=os.getpid())
    return uvloop.run(main())


def _make_server(
    application: Application,
    settings: ProcessSettings,
    calls: Calls,
    access: Access | None,
    *,
    shared: bool,
) -> tuple[grpc.aio.Server, health.Health]:
    server = grpc.aio.server(
        options=server_options(shared=shared),
        maximum_concurrent_rpcs=settings.max_open_calls + _OWN_CALLS,
    )
    names = [descriptor.full_name for descriptor, _ in application.services]
    state = health.Health(names)
    for descriptor, servicer in application.services:
        register(server, descriptor, servicer, calls, access)
    # Health answers anybody, and also when nothing else may: at the limit, and in the drain.
    own = Calls(calls.metrics, calls.access_log, max_open=settings.max_open_calls + _OWN_CALLS)
    register(server, health.SERVICE, state, own)
    if settings.reflection:
        reflection.enable_server_reflection(
            [*names, health.SERVICE.full_name, reflection.SERVICE_NAME], server
        )
    refuse_unknown_methods(server)
    return server, state


def server_options(*, shared: bool = False) -> list[tuple[str, int]]:
    """Return the channel options of our servers; `shared` by workers on one port."""
    return [
        # Else a second process would share the port without a word.
        ("grpc.so_reuseport", int(shared)),
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
