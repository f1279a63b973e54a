"""Connections to the shared cache: two legs, each in order, that may be held or cut."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from tests.model.clockwork import Loop, World

__all__ = ["Leg", "Wire"]


class Served(Protocol):
    """What a wire leads to."""

    run_id: str

    def take(self, wire: Wire, request: Callable[..., None], *arguments: Any) -> None:
        """Do what was asked, now or when it can."""


class Leg:
    """One direction: what is sent arrives in order, late, or never if it is cut before.

    While it is held, nothing arrives; when it is let go, all that was on its way does.
    """

    def __init__(self, world: World, loop: Loop | None) -> None:
        self._world = world
        self._loop = loop
        self._sent: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._arrived = 0
        self._last = 0.0
        self.held = False
        self.cut = False

    def send(self, deliver: Callable[..., None], *arguments: Any) -> None:
        """Send: `deliver(*arguments)` is called on the other side, in this leg's process."""
        if self.cut:
            return
        self._sent.append((deliver, arguments))
        self._last = max(self._last, self._world.now + self._world.latency())
        self._go(self._last, self._arrive)

    def let_go(self) -> None:
        """Hold nothing any more."""
        self.held = False
        self._go(self._world.now, self._deliver)

    def _go(self, when: float, call: Callable[[], None]) -> None:
        if self._loop is None:
            self._world.at(when, call)
        else:
            self._world.within(self._loop, when, call)

    def _arrive(self) -> None:
        self._arrived += 1
        self._deliver()

    def _deliver(self) -> None:
        while self._arrived and not self.held:
            self._arrived -= 1
            deliver, arguments = self._sent.popleft()
            if not self.cut:
                deliver(*arguments)


class Wire:
    """One connection of a process to a server of the shared cache."""

    def __init__(
        self, world: World, loop: Loop, server: Served, lost: Callable[[Wire], None]
    ) -> None:
        self.world = world
        self.loop = loop
        self.server = server
        self.run_id = server.run_id
        self.up = Leg(world, None)
        self.down = Leg(world, loop)
        self.heard: Callable[..., None] = _nothing
        self.publisher = ""
        self.heard_at = world.now
        self.dead = False
        self._lost = lost

    def request(self, ask: Callable[..., None], *arguments: Any) -> None:
        """Send a request, from within the process."""
        self.up.send(self._reach, ask, arguments)

    def reply(self, deliver: Callable[..., None], *arguments: Any) -> None:
        """Send something to the process, from within the server."""
        self.down.send(self._come, deliver, arguments)

    def cut(self) -> None:
        """Cut it: what is on its way is lost; the process learns of it a little later."""
        self.up.cut = self.down.cut = True
        self.world.within(self.loop, self.world.now + self.world.latency(), self._notice)

    def abort(self) -> None:
        """Close it from within the process: what was sent may still take effect."""
        self.down.cut = True
        self.up.cut = self.world.random.random() < 0.5
        self._notice()

    def hold(self, *, up: bool, down: bool) -> None:
        """Let nothing through for a while, one way or both."""
        self.up.held = self.up.held or up
        self.down.held = self.down.held or down

    def let_go(self) -> None:
        """Let everything through again."""
        self.up.let_go()
        self.down.let_go()

    def _reach(self, ask: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        self.server.take(self, ask, *arguments)

    def _come(self, deliver: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        self.heard_at = self.world.now
        deliver(*arguments)

    def _notice(self) -> None:
        if not self.dead:
            self.dead = True
            self._lost(self)


def _nothing(*_arguments: Any) -> None:
    """Hear nothing."""
