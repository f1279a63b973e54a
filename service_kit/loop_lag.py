"""How late the event loop is: what holds it up holds up every call."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

from service_kit.measures import Histogram

__all__ = ["watch_loop"]

_INTERVAL = 0.25
_BOUNDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


def watch_loop(stack: AsyncExitStack, clock: Callable[[], float]) -> Histogram:
    """Count how late a timer is, every 250 ms until the stack is closed; `clock` in seconds."""
    loop = asyncio.get_running_loop()
    late = Histogram(_BOUNDS)
    timer: asyncio.TimerHandle

    def wait() -> None:
        nonlocal timer
        timer = loop.call_later(_INTERVAL, tell, clock() + _INTERVAL)

    def tell(due: float) -> None:
        # uvloop's timers are whole milliseconds, and so may be early.
        late.observe(max(0.0, clock() - due))
        wait()

    def end() -> None:
        timer.cancel()

    wait()
    stack.callback(end)
    return late
