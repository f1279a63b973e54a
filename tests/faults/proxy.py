"""A TCP proxy for one connection of the system, which can be cut, held and slowed.

TCP gives no way to lose a part of a stream and go on: what is lost is lost with its
connection. So a fault in one direction holds the bytes of that direction back, and its
end either delivers them, late, or drops them with their connections.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from enum import Enum
from random import Random
from typing import Self, cast

__all__ = ["Direction", "Link", "Pipe", "Proxy", "Tap"]


class Direction(Enum):
    """Which way bytes go: from the client to the server, or back."""

    REQUESTS = "requests"
    REPLIES = "replies"


class Pipe:
    """One direction of one connection: what waits to be delivered, in order.

    `held` holds back this connection alone.
    """

    def __init__(self, proxy: "Proxy", direction: Direction) -> None:
        self.to: asyncio.Transport | None = None
        self.held = False
        self._proxy = proxy
        self._direction = direction
        self._waiting: deque[tuple[float, bytes | None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._time = asyncio.get_running_loop().time

    def send(self, data: bytes | None) -> None:
        """Deliver bytes, or the end (None), as the faults in force allow."""
        proxy = self._proxy
        delay = proxy.delay()
        if not delay and not self._waiting and self.to and not self._is_held():
            self._deliver(data)
            return
        if self._is_held():
            proxy.counts["held_bytes"] += len(data or b"")
        self._waiting.append((self._time() + delay, data))
        self.pump()

    def pump(self) -> None:
        """Deliver what is due."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting and self.to and not self._is_held():
            due, data = self._waiting[0]
            left = due - self._time()
            if left > 0:
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(left, self.pump)
                return
            self._waiting.popleft()
            self._deliver(data)

    def drop(self) -> None:
        """Forget what waits."""
        self._proxy.counts["lost_bytes"] += sum(len(data or b"") for _, data in self._waiting)
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _is_held(self) -> bool:
        return self.held or self._direction in self._proxy.held

    def _deliver(self, data: bytes | None) -> None:
        if self.to is None:
            return
        if data is None:
            self.to.close()
        elif not self.to.is_closing():
            self.to.write(data)


class _Side(asyncio.Protocol):
    """One end of a connection: hands what it reads to the pipe towards the other end."""

    def __init__(self, link: "Link", direction: Direction) -> None:
        self._link = link
        self._direction = direction

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._link.connected(self._direction, cast("asyncio.Transport", transport))

    def data_received(self, data: bytes) -> None:
        self._link.received(self._direction, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._link.pipes[self._direction].send(None)
        self._link.ended(self._direction)


class Link:
    """One connection through the proxy. `committing` is for taps to remember by."""

    def __init__(self, proxy: "Proxy") -> None:
        self.proxy = proxy
        self.committing = False
        self.pipes = {direction: Pipe(proxy, direction) for direction in Direction}
        self._open = set(Direction)
        self._transports: dict[Direction, asyncio.Transport] = {}

    @property
    def ports(self) -> tuple[int, int]:
        """The client's port, and the one of ours from which the server is asked; 0 if gone."""
        names = ((Direction.REQUESTS, "peername"), (Direction.REPLIES, "sockname"))
        client, ours = (
            end.get_extra_info(name)[1] if (end := self._transports.get(direction)) else 0
            for direction, name in names
        )
        return client, ours

    def connected(self, direction: Direction, transport: asyncio.Transport) -> None:
        """Take the end that `direction` comes from; bytes of the other one go there."""
        if self not in self.proxy.links:  # Reset before it was there.
            transport.abort()
            return
        self._transports[direction] = transport
        other = Direction.REPLIES if direction is Direction.REQUESTS else Direction.REQUESTS
        self.pipes[other].to = transport
        self.pipes[other].pump()

    def received(self, direction: Direction, data: bytes) -> None:
        """Pass bytes on, unless a tap takes them."""
        # Of a copy: a tap may be taken away by what another one does.
        if not any(tap(self, direction, data) for tap in list(self.proxy.taps)):
            self.pipes[direction].send(data)

    def ended(self, direction: Direction) -> None:
        """Forget the connection once both its ends are gone."""
        self._open.discard(direction)
        if not self._open:
            self.proxy.links.discard(self)

    def abort(self) -> None:
        """Reset both ends; what waits is lost."""
        self.proxy.counts["aborted"] += 1
        for pipe in self.pipes.values():
            pipe.drop()
        for transport in self._transports.values():
            transport.abort()
        self.proxy.links.discard(self)


Tap = Callable[[Link, Direction, bytes], bool]
"""Sees all bytes before they are passed on; True if it has dealt with them itself."""


class Proxy:
    """Listens on `port` and passes connections on to `target`, a port of the loopback.

    `target` may be changed: connections that are open stay where they are until a `reset`.
    `counts` tells what faults did: `connections`, `refused`, `aborted`, `held_bytes`,
    `lost_bytes`, `delayed`. An async context manager.
    """

    def __init__(self, name: str, target: int, random: Random) -> None:
        self.name = name
        self.port = 0
        self.counts: Counter[str] = Counter()
        self.held: set[Direction] = set()
        self.links: set[Link] = set()
        self.taps: list[Tap] = []
        self.target = target
        self._random = random
        self._slow = (0.0, 0.0)
        self._cut = False
        self._server: asyncio.Server | None = None
        self._connecting: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        self._cut = True
        for task in self._connecting:
            task.cancel()
        for link in list(self.links):
            link.abort()

    def cut(self) -> None:
        """Reset all connections, and every new one at once."""
        self._cut = True
        self.reset()

    def reset(self) -> None:
        """Reset all connections; new ones may come."""
        for link in list(self.links):
            link.abort()

    def hold(self, *directions: Direction) -> None:
        """Hold back what goes these ways, without a sign to either end."""
        self.held.update(directions)

    def slow(self, least: float, most: float) -> None:
        """Delay every chunk by so many seconds, each way."""
        self._slow = (least, most)

    def heal(self, *, lose: bool = False) -> None:
        """End all faults: deliver what was held, or with `lose` drop it with its connections.

        Taps stay: they are their owners'.
        """
        self._cut = False
        self._slow = (0.0, 0.0)
        if lose:
            self.reset()
        self.held.clear()
        for link in list(self.links):
            for pipe in link.pipes.values():
                pipe.held = False
                pipe.pump()

    def delay(self) -> float:
        """Return how late the next chunk shall be, in seconds."""
        if not self._slow[1]:
            return 0.0
        self.counts["delayed"] += 1
        return self._random.uniform(*self._slow)

    def _accept(self) -> asyncio.Protocol:
        link = Link(self)
        self.links.add(link)
        task = asyncio.ensure_future(self._connect(link))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)
        return _Side(link, Direction.REQUESTS)

    async def _connect(self, link: Link) -> None:
        self.counts["connections"] += 1
        if self._cut:
            self.counts["refused"] += 1
            link.abort()
            return
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(
                lambda: _Side(link, Direction.REPLIES), "127.0.0.1", self.target
            )
        except OSError:
            self.counts["refused"] += 1
            link.abort()
            return
