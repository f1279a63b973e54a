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
from service_kit.limits import Limits, server_options
from service_kit.line import Line
from service_kit.listening import listen
from service_kit.loop_lag import watch_loop
from service_kit.memory import give_back, settle
from service_kit.metrics import Metrics, collect_process
from service_kit.rpc import register
from service_kit.settings import ProcessSettings, SettingsError, describe
from service_kit.starting import StartError, before, open_callers, open_metrics, stop_signal
from service_kit.tls import TlsFiles
from service_kit.tracing import open_tracing

if TYPE_CHECKING:
    # Made at run time only where it is wanted, by open_tracing.
    from service_kit.otel import Tracing

__all__ = ["Application", "Runtime", "StartError", "run", "run_worker", "serve"]

_OWN_CALLS = 200  # room for health and reflection above the limit for calls
_LEFTOVER_SECONDS = 5.0
_TURN_AWAY_SECONDS, _QUIET_SECONDS = 1.0, 0.05
_TOLD_SECONDS = 2.0


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
    are needed where callers are told apart. `files` are what it reads anew besides those that
    the process listens with.
    """

    services: Sequence[tuple[ServiceDescriptor, object]]
    ready: Callable[[], Awaitable[None]] | None = None
    rights: Mapping[str, Right] = field(default_factory=dict)
    itemised: Collection[str] = ()
    files: Sequence[TlsFiles] = ()


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
        give_back(stack)
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
            max_watches=settings.max_watches,
        )
        callers = await open_callers(stack, settings)
        access = None
        if callers is not None:
            access = Access(callers, application.rights, application.itemised)
        server, state = _make_server(application, settings, calls, access, shared=line is not None)
        files = settings.tls_files
        address = listen(server, settings, files)
        renewed = [one for one in (files, callers, *application.files) if one is not None]
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
            await _stop(server, metrics, settings.drain)
            await calls.leftovers.settle(_LEFTOVER_SECONDS)
            log.info("stopped", service=name)


def run(main: Callable[[], Coroutine[Any, Any, None]], log_level: str = "INFO") -> int:
    """Run a process on uvloop and return its exit code; 2 if settings or ports are wrong."""
    logs.configure(log_level)
    settle()
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
    settle()
    return uvloop.run(main())


def _make_server(
    application: Application,
    settings: ProcessSettings,
    calls: Calls,
    access: Access | None,
    *,
    shared: bool,
) -> tuple[grpc.aio.Server, health.Health]:
    # No maximum_concurrent_rpcs: calls that never say what they ask count there, and as many of
    # them had everybody else refused, health too, for as long as their callers liked.
    limits = Limits(
        streams=settings.max_streams,
        connections=settings.max_connections,
        message=settings.max_message_bytes,
        age=settings.max_connection_age,
        idle=settings.max_connection_idle,
    )
    server = grpc.aio.server(options=server_options(limits, shared=shared))
    names = [descriptor.full_name for descriptor, _ in application.services]
    state = health.Health(names)
    for descriptor, servicer in application.services:
        register(server, descriptor, servicer, calls, access)
    # Health answers anybody, and also when nothing else may: at the limit, and in the drain.
    own = Calls(
        calls.metrics,
        calls.access_log,
        max_open=settings.max_open_calls + _OWN_CALLS,
        max_watches=settings.max_watches + _OWN_CALLS,
    )
    register(server, health.SERVICE, state, own)
    if settings.reflection:
        reflection.enable_server_reflection(
            [*names, health.SERVICE.full_name, reflection.SERVICE_NAME], server
        )
    refuse_unknown_methods(server)
    return server, state


async def _turn_away(calls: Calls, seconds: float) -> None:
    # A server that stops answers what arrives before its clients know with a bare CANCELLED.
    # So they are told first, with when to retry: until none came for a while, or so many seconds.
    calls.drain()
    loop = asyncio.get_running_loop()
    end, before = loop.time() + seconds, -1
    while calls.refused != before and loop.time() < end:
        before = calls.refused
        await asyncio.sleep(_QUIET_SECONDS)


async def _stop(server: grpc.aio.Server, metrics: Metrics, seconds: float) -> None:
    # Calls may go on for so long. What else is open once they are over has been told to end, or
    # never said what it asks, and whoever has not read their answer soon will not: cut them off.
    loop = asyncio.get_running_loop()
    stopping = asyncio.ensure_future(server.stop(seconds))
    patience = loop.time() + _TOLD_SECONDS
    while not stopping.done():
        await asyncio.wait((stopping,), timeout=_QUIET_SECONDS)
        if metrics.open_calls > metrics.open_watches:
            patience = loop.time() + _TOLD_SECONDS
        elif loop.time() > patience:
            await server.stop(None)
    await stopping
