"""One connection's bytes: commands out, replies and publications in."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, cast

import hiredis

from cache_service.coherence.ports import StoreUnavailableError
from cache_service.stores.redis.address import Command

__all__ = ["Wire", "packed", "read_info"]


class Wire(asyncio.Protocol):
    """Replies in the order of the commands; a lost connection fails all that wait.

    What is published comes between them, and `heard` is given its channel and its text.
    """

    def __init__(self, lost: Callable[[Wire], None], heard: Callable[[bytes, bytes], None]) -> None:
        self.waiting: deque[asyncio.Future[Any]] = deque()
        self.transport: asyncio.Transport | None = None
        self.heard_at = 0.0
        self.subscribed: list[bytes] = []
        self._time = asyncio.get_running_loop().time
        self._reader = hiredis.Reader()
        self._lost = lost
        self._heard = heard
        self._answered = 0
        # Of each write: when the patience of its calls ends, and the number of its last call.
        self._writes: deque[tuple[float, int]] = deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Give each reply to the command that waits longest."""
        self.heard_at = self._time()
        reader = self._reader
        reader.feed(data)
        try:
            while (reply := reader.gets()) is not False:
                if isinstance(reply, hiredis.PushNotification):
                    self._pushed(reply)
                    continue
                future = self.waiting.popleft()
                self._answered += 1
                if not future.done():
                    future.set_result(reply)
        except (hiredis.ProtocolError, IndexError):
            self.abort()

    def _pushed(self, push: Sequence[Any]) -> None:
        if push[0] == b"smessage":
            self._heard(push[1], push[2])
        elif push[0] == b"ssubscribe":
            self.subscribed.append(push[1])
        elif push[0] == b"sunsubscribe":
            self.abort()  # Its slot went to another server: what is published is not heard here.

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail all that waits."""
        self.transport = None
        self._lost(self)
        while self.waiting:
            future = self.waiting.popleft()
            if not future.done():
                future.set_exception(StoreUnavailableError(f"connection lost: {exc or 'closed'}"))

    def abort(self) -> None:
        """End the connection at once."""
        if self.transport is not None:
            self.transport.abort()

    def wrote(self, due: float) -> None:
        """Take note that all that waits was written, and until when it waits."""
        self._writes.append((due, self._answered + len(self.waiting)))

    def due(self) -> float | None:
        """Return until when the oldest call waits; None if none does."""
        while self._writes and self._writes[0][1] <= self._answered:
            self._writes.popleft()
        return self._writes[0][0] if self._writes else None

    def give_up(self) -> None:
        """Fail the calls of the oldest write; their replies will be thrown away."""
        _, last = self._writes.popleft()
        for future in islice(self.waiting, last - self._answered):
            if not future.done():
                future.set_exception(StoreUnavailableError("no answer in time"))


def packed(command: Command) -> bytes:
    """Return a command as it goes over the wire."""
    whole: bytes = hiredis.pack_command(command)  # type: ignore[arg-type]
    return whole


def read_info(reply: bytes) -> dict[str, str]:
    """Read the answer of INFO."""
    return dict(line.split(":", 1) for line in reply.decode().splitlines() if ":" in line)
