"""Virtual time: one agenda for the whole world, and an event loop for each process in it.

Nothing sleeps and nothing waits: the world goes from one appointment to the next. What
falls on the same instant comes in an order drawn by lot. A process's loop is a real
asyncio loop as far as asyncio can tell, so that the code under test runs as it is; its clock
runs at a rate of its own, and it can be stopped and let go on as SIGSTOP and SIGCONT do.
"""

from __future__ import annotations

import asyncio
from asyncio import events
from collections import deque
from collections.abc import Callable
from contextvars import Context
from heapq import heappop, heappush
from random import Random
from typing import Any

__all__ = ["Loop", "World"]

_SHORTEST = 1e-6
"""Seconds that even a timer of zero takes, as a turn of a real loop does."""
_READING = 0.01
"""Seconds in which a process has read what waits in its sockets."""
_LATENCIES = [*([0.0002] * 90), *([0.0004] * 80), *([0.001] * 50), *([0.003] * 20), *([0.01] * 10)]
_LATENCIES += [0.03, 0.03, 0.06, 0.06, 0.12, 0.2]
"""Seconds of one leg of a message; of few different lengths, so that some meet."""


class _Call:
    """Something to be called once, unless it is cancelled: asyncio's handle."""

    __slots__ = ("arguments", "callback", "context")

    def __init__(
        self, callback: Callable[..., object], arguments: tuple[Any, ...], context: Context | None
    ) -> None:
        self.callback: Callable[..., object] | None = callback
        self.arguments = arguments
        self.context = context

    def cancel(self) -> None:
        """Let it not be called."""
        self.callback = None
        self.arguments = ()

    def cancelled(self) -> bool:
        """Tell whether it will not be called."""
        return self.callback is None


class _Timer(_Call):
    """What a process itself wants to be called."""

    __slots__ = ()


class World:
    """The agenda. Everything random in a history is drawn from `random`, and so from its seed."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.now = 0.0
        self.slow = 1.0
        self.steady: float | None = None
        self.steps = 0
        self._count = 0
        self._agenda: list[tuple[float, float, int, Loop | None, _Call]] = []

    def latency(self) -> float:
        """Draw how long one leg of a message takes, in seconds, unless all are `steady`."""
        if self.steady is not None:
            return self.steady
        return _LATENCIES[int(self.random.random() * len(_LATENCIES))] * self.slow

    def at(self, when: float, callback: Callable[..., object], *arguments: Any) -> None:
        """Call this outside of all processes."""
        self.put(when, None, _Call(callback, arguments, None))

    def within(
        self, loop: Loop, when: float, callback: Callable[..., object], *arguments: Any
    ) -> None:
        """Call this inside a process: later than that if it is stopped, never if it is dead."""
        self.put(when, loop, _Call(callback, arguments, None))

    def put(self, when: float, loop: Loop | None, call: _Call) -> None:
        """Put something on the agenda."""
        self._count += 1
        heappush(self._agenda, (when, self.random.random(), self._count, loop, call))

    def run(self, until: float) -> None:
        """Let everything happen that is to happen before that moment."""
        agenda = self._agenda
        while agenda and agenda[0][0] < until:
            when = agenda[0][0]
            self.now = max(self.now, when)
            woken: list[Loop] = []
            while agenda and agenda[0][0] <= when:
                *_, loop, call = heappop(agenda)
                callback = call.callback
                if callback is None:
                    continue
                self.steps += 1
                if loop is None:
                    callback(*call.arguments)
                elif not loop.dead:
                    loop.due.append(call)
                    woken.append(loop)
            for loop in woken:
                loop.turn()
        self.now = until


class Loop(asyncio.AbstractEventLoop):
    """The event loop of one process, with its clock, `rate` times as fast as the world's."""

    def __init__(self, world: World, rate: float, complain: Callable[[str], None]) -> None:
        self.world = world
        self.rate = rate
        self.due: list[_Call] = []
        self.stopped = False
        self.dead = False
        self._complain = complain
        self._born = world.now
        self._zero = world.random.random() * 1000
        self._ready: deque[_Call] = deque()

    def time(self) -> float:
        """Return the process's own time in seconds."""
        return self._zero + (self.world.now - self._born) * self.rate

    def turn(self) -> None:
        """Run what is due, and all that comes of it at once."""
        if self.stopped or self.dead:
            return
        ready = self._ready
        ready.extend(self.due)
        self.due.clear()
        events._set_running_loop(self)
        try:
            while ready:
                call = ready.popleft()
                callback = call.callback
                if callback is not None:
                    if call.context is None:
                        callback(*call.arguments)
                    else:
                        call.context.run(callback, *call.arguments)
        finally:
            events._set_running_loop(None)

    def stop(self) -> None:
        """Stop the process: the world goes on without it."""
        self.stopped = True

    def go_on(self) -> None:
        """Let the process go on: what came meanwhile is there, but not all in one turn.

        Timers are late at once; messages of different connections come in any order.
        (A connection hands out its own in their order.)
        """
        self.stopped = False
        due, self.due = self.due, []
        world = self.world
        for call in due:
            wait = 0.0 if isinstance(call, _Timer) else min(world.latency(), _READING)
            world.put(world.now + wait * world.random.choice((0, 1)), self, call)

    def kill(self) -> None:
        """End the process where it stands."""
        self.dead = True
        self.due.clear()
        self._ready.clear()

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Any:
        """See asyncio."""
        call = _Call(callback, args, context)
        self._ready.append(call)
        return call

    def call_later(
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> Any:
        """See asyncio."""
        call = _Timer(callback, args, context)
        self.world.put(self.world.now + max(delay / self.rate, _SHORTEST), self, call)
        return call

    def call_at(
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> Any:
        """See asyncio."""
        return self.call_later(when - self.time(), callback, *args, context=context)

    def create_future(self) -> asyncio.Future[Any]:
        """See asyncio."""
        return asyncio.Future(loop=self)

    def create_task(
        self, coro: Any, *, name: str | None = None, context: Context | None = None
    ) -> asyncio.Task[Any]:
        """See asyncio."""
        return asyncio.Task(coro, loop=self, name=name, context=context)

    def get_debug(self) -> bool:
        """See asyncio."""
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Complain of errors that nobody handled; tasks may be left when all ends."""
        if "exception" in context:
            self._complain(f"{context['message']}: {context.get('exception')!r}")
