"""A Valkey and its replica, which may change their roles; each connection can be cut."""

import asyncio
import signal
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from random import Random
from typing import Self

from devstack.valkey import ValkeyServer
from tests.faults.proxy import Direction, Proxy
from tests.support.waiting import eventually

__all__ = ["Valkeys"]

_SECONDS = 10.0
_OPTIONS = ("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1")


class Valkeys:
    """Two servers, one of them the primary, and the clients' proxies that lead to it.

    The replica follows through a proxy, too. An async context manager.
    """

    def __init__(self, directory: Path, random: Random) -> None:
        self.servers = [
            ValkeyServer(directory / f"valkey-{number}", options=_OPTIONS) for number in (0, 1)
        ]
        self.clients: list[Proxy] = []
        self._upstream = [
            Proxy("replication", server.port, Random(random.random()))  # noqa: S311
            for server in self.servers
        ]
        self._first = 0
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            for one in (*self.servers, *self._upstream):
                await stack.enter_async_context(one)
            await self._follow()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def primary(self) -> ValkeyServer:
        """The server that is, or ought to be, the primary."""
        return self.servers[self._first]

    @property
    def replica(self) -> ValkeyServer:
        """The other one."""
        return self.servers[1 - self._first]

    def cut_off(self) -> None:
        """Keep what changes from the replica, which does not notice."""
        self._upstream[self._first].hold(Direction.REPLIES)

    async def promote(self, proxies: Sequence[Proxy] | None = None) -> None:
        """Make the replica a primary and lead these proxies there; all: then it is the primary."""
        await self.ask(self.replica, "REPLICAOF", "NO", "ONE")
        target = self.replica.port
        for proxy in self.clients if proxies is None else proxies:
            proxy.target = target
            proxy.reset()
        if proxies is None:
            self._first = 1 - self._first

    async def demote(self) -> None:
        """Let the primary follow the replica, which is made one, with what that has."""
        await self.ask(self.replica, "REPLICAOF", "NO", "ONE")
        upstream = self._upstream[1 - self._first]
        await self.ask(self.primary, "REPLICAOF", "127.0.0.1", str(upstream.port))
        await self._synced(self.primary)

    async def restore(self) -> None:
        """Have both run, the replica follow the primary, and all clients led to that."""
        for server in self.servers:
            if server.running:
                server.signal(signal.SIGCONT)
            else:
                await server.start()
        await self.ask(self.primary, "REPLICAOF", "NO", "ONE")
        for proxy in self._upstream:
            proxy.heal(lose=True)
        for proxy in self.clients:
            if proxy.target != self.primary.port:
                proxy.target = self.primary.port
                proxy.reset()
        await self._follow()

    async def caught_up(self) -> None:
        """Wait until the replica follows."""
        await self._synced(self.replica)

    async def ask(self, server: ValkeyServer, *command: str) -> bytes:
        """Ask a server, past every proxy, and return the first line or the bulk of its answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        try:
            writer.write(b"*%d\r\n" % len(command))
            for part in command:
                writer.write(b"$%d\r\n%s\r\n" % (len(part), part.encode()))
            line = (await reader.readline()).rstrip()
            if line.startswith(b"$"):
                return await reader.readexactly(int(line[1:]))
            return line
        finally:
            writer.close()

    async def info(self, server: ValkeyServer) -> dict[str, str]:
        """Return a server's own counters."""
        text = (await self.ask(server, "INFO", "everything")).decode()
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)

    async def size(self, server: ValkeyServer) -> int:
        """Return how many keys a server has."""
        return int((await self.ask(server, "DBSIZE"))[1:])

    async def _follow(self) -> None:
        upstream = self._upstream[self._first]
        await self.ask(self.replica, "REPLICAOF", "127.0.0.1", str(upstream.port))

    async def _synced(self, server: ValkeyServer) -> None:
        async def synced() -> bool:
            with suppress(OSError, asyncio.IncompleteReadError):
                return (await self.info(server)).get("master_link_status") == "up"
            return False

        await eventually(synced, seconds=_SECONDS)
