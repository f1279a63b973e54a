"""What a process does first, alone or as a supervisor: ports, signals, who may call."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from service_kit.callers import Callers, CallersError
from service_kit.metrics_server import serve_metrics
from service_kit.settings import ProcessSettings, split_address

__all__ = ["StartError", "before", "cannot_listen", "open_callers", "open_metrics", "stop_signal"]

_LOOK_SECONDS = 1.0


class StartError(Exception):
    """Say in one line why the process cannot start."""


def cannot_listen(settings: ProcessSettings) -> StartError:
    """Make the error of a port that is not to be had."""
    return StartError(f"{settings.prefix}LISTEN: {settings.listen} cannot be bound; is it in use?")


async def open_metrics(
    stack: AsyncExitStack, render: Callable[[], Awaitable[bytes]], settings: ProcessSettings
) -> int:
    """Serve the metrics until the stack is closed; returns the port. Raises StartError."""
    host, port = split_address(settings.metrics_listen)
    try:
        return await stack.enter_async_context(serve_metrics(render, host, port))
    except OSError as error:
        message = f"{settings.prefix}METRICS_LISTEN: {settings.metrics_listen}: {error.strerror}"
        raise StartError(message) from None


async def open_callers(stack: AsyncExitStack, settings: ProcessSettings) -> Callers | None:
    """Read who may call, and look for changes until the stack is closed; None: anybody may."""
    if settings.callers is None:
        return None
    try:
        callers = Callers(settings.callers)
    except CallersError as error:
        message = f"{settings.prefix}CALLERS: {error}"
        raise StartError(message) from None

    async def look() -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            callers.renew()

    task = asyncio.create_task(look(), name="callers")
    stack.callback(task.cancel)
    return callers


def stop_signal(stack: AsyncExitStack) -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set, until the stack is closed."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
        stack.callback(loop.remove_signal_handler, number)
    return stop


async def before(stop: asyncio.Event, work: Awaitable[None]) -> bool:
    """Await `work`, and return True if it was done first; `stop` ends it."""
    task = asyncio.ensure_future(work)
    waiting = asyncio.ensure_future(stop.wait())
    await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not task.done():
        task.cancel()
        await asyncio.wait((task,))
        return False
    task.result()
    return True
