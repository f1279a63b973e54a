"""One connection to Redis on which all calls of the process are multiplexed.

A pooled redis-py call costs about 190 microseconds here, a multiplexed one about 80, and
a round trip to Redis is most of what a cached read adds to the bare RPC. It also keeps a
cancelled caller from dropping a connection: its reply is read and thrown away. What other
processes publish comes on it, too, in the order in which Redis did things.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import hiredis

from cache_service.coherence.ports import StoreUnavailableError
from cache_service.coherence.waiting import retrieved
from cache_service.stores.redis.address import Command, Locate
from cache_service.stores.redis.wire import Wire, packed, read_info

__all__ = ["MultiplexedConnection"]

_LONGEST_PAUSE = 1.0
_LONGEST_FAILOVER = 0.2
"""Where another server may be the primary at any moment."""


class MultiplexedConnection:
    """Sends commands as they come, all of one turn of the loop in one write.

    While it is not connected, a call fails at once with StoreUnavailableError and one
    task goes on trying to connect, every 50 ms at first and every second at last, or every
    200 ms where the server may be another then. A call waits `timeout` seconds from its
    writing; if the server was silent for so long, the connection is dropped, so that whoever
    comes next fails at once instead of waiting too. While the server sends, it waits once
    more as long, and then fails alone. `changed` is told None when it is connected, and why
    when it is not any more.

    `locate` says where the server is now, before each connecting. The connection is
    subscribed to `channels`, and `heard` is given what is published on them.
    """

    def __init__(
        self,
        locate: Locate,
        *,
        timeout: float,
        channels: Sequence[str] = (),
        heard: Callable[[bytes, bytes], None] = lambda _channel, _text: None,
        changed: Callable[[str | None], None] = lambda _why: None,
    ) -> None:
        self._locate = locate
        self._channels = channels
        self._heard = heard
        self._timeout = timeout
        self.run_id = ""
        """The server's name for its own life, of the present connection or of the last."""
        self._changed = changed
        self._wire: Wire | None = None
        self._out: list[bytes] = []
        self._watch: asyncio.TimerHandle | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def fixed(self) -> bool:
        """Whether there is only one address to connect to."""
        return self._locate.fixed

    @property
    def connected(self) -> bool:
        """Whether calls have somewhere to go."""
        return self._wire is not None

    async def open(self) -> None:
        """Connect if that works now; go on trying behind if it does not."""
        try:
            await self._connect()
        except (OSError, StoreUnavailableError, TimeoutError) as error:
            self._changed(str(error) or type(error).__name__)
            self._reconnect()

    async def close(self) -> None:
        """Fail what waits and stop connecting."""
        self._closed = True
        if self._connecting is not None:
            self._connecting.cancel()
            with suppress(asyncio.CancelledError):
                await self._connecting
        if self._watch is not None:
            self._watch.cancel()
        if self._wire is not None:
            self._wire.abort()
        await self._locate.close()

    def drop(self) -> None:
        """Connect anew, perhaps to somewhere else."""
        if self._wire is not None:
            self._wire.abort()

    def post(self, *command: str | bytes | int) -> None:
        """Send one command and wait for nothing; it may be lost with the connection."""
        if self._wire is not None:
            self.send(packed(command)).add_done_callback(retrieved)

    async def call(self, *command: str | bytes | int) -> Any:
        """Send one command and return its reply; an error reply is returned, not raised."""
        return await self.send(packed(command))

    def send(self, command: bytes) -> asyncio.Future[Any]:
        """Send one command that is packed, and return what becomes of it, as `call` does."""
        wire = self._wire
        if wire is None:
            message = "not connected"
            raise StoreUnavailableError(message)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        if not self._out:
            loop.call_soon(self._flush)
        self._out.append(command)
        wire.waiting.append(future)
        return future

    def _flush(self) -> None:
        out, self._out = self._out, []
        if self._wire is None or self._wire.transport is None:
            return
        self._wire.transport.write(b"".join(out))
        # Counted from here: a loop that was busy meanwhile is not the server's fault.
        loop = asyncio.get_running_loop()
        self._wire.wrote(loop.time() + self._timeout)
        if self._watch is None:
            self._watch = loop.call_later(self._timeout, self._check)

    def _check(self) -> None:
        """Fail calls that waited too long, and drop the connection if all is silent.

        One timer watches all calls: a timer for each costs more than packing the call.
        """
        self._watch = None
        wire, loop = self._wire, asyncio.get_running_loop()
        now = loop.time()
        while wire is not None and (due := wire.due()) is not None:
            silent = wire.heard_at + self._timeout
            at = due if now < due else min(silent, due + self._timeout)
            if now < at:
                self._watch = loop.call_later(at - now, self._check)
                return
            if now >= silent:
                wire.abort()
                return
            wire.give_up()

    def _lost(self, wire: Wire) -> None:
        if wire is not self._wire:
            return  # It never greeted: whoever connects sees that.
        self._wire = None
        self._out.clear()
        self._changed("connection lost")
        if not self._closed:
            self._reconnect()

    def _reconnect(self) -> None:
        if self._connecting is None or self._connecting.done():
            self._connecting = asyncio.ensure_future(self._keep_connecting())

    async def _keep_connecting(self) -> None:
        pause = 0.05
        while self._wire is None:
            with suppress(OSError, StoreUnavailableError, TimeoutError):
                await self._connect()
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE if self.fixed else _LONGEST_FAILOVER)

    async def _connect(self) -> None:
        """Connect and greet; calls may come only once the greeting was answered."""
        loop = asyncio.get_running_loop()
        wire = Wire(self._lost, self._heard)
        address = await self._locate()
        # In a thread, and not of the server's time: the usual authorities alone take 50 ms.
        context = await asyncio.to_thread(address.tls.context) if address.tls else None
        async with asyncio.timeout(self._timeout):
            if address.path:
                await loop.create_unix_connection(lambda: wire, address.path)
            else:
                await loop.create_connection(lambda: wire, address.host, address.port, ssl=context)
            try:
                for command in address.greeting:
                    await self._greet(wire, command)
                await self._subscribe(wire)
                self.run_id = read_info(await self._greet(wire, ("INFO", "server")))["run_id"]
            except BaseException:
                wire.abort()
                raise
        if wire.transport is None:  # It went as soon as it came: `_lost` did not know it yet.
            message = "connection lost while connecting"
            raise StoreUnavailableError(message)
        self._wire = wire
        self._changed(None)

    async def _subscribe(self, wire: Wire) -> None:
        """Subscribe; the answers come as pushes, so that of a PING after them tells."""
        if self._channels and wire.transport is not None:
            command: Command = ("SSUBSCRIBE", *self._channels)
            wire.transport.write(packed(command))
            await self._greet(wire, ("PING",))
            if len(wire.subscribed) != len(self._channels):
                message = "SSUBSCRIBE refused"
                raise StoreUnavailableError(message)

    async def _greet(self, wire: Wire, command: Command) -> Any:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        wire.waiting.append(future)
        if wire.transport is not None:
            wire.transport.write(packed(command))
        reply = await future
        if isinstance(reply, hiredis.ReplyError):
            message = f"{command[0]!s} refused: {reply}"
            raise StoreUnavailableError(message)
        return reply
