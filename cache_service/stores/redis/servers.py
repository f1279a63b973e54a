"""The server that has all keys, or the several of a cluster: a connection to each."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Any

import hiredis

from cache_service.coherence.ports import StoreUnavailableError
from cache_service.stores.redis.address import Locate
from cache_service.stores.redis.channels import Channels
from cache_service.stores.redis.connection import MultiplexedConnection
from cache_service.stores.redis.identity import Shard, identity_of
from cache_service.stores.redis.wire import read_info

__all__ = ["Changed", "Connect", "Hear", "Node", "OneServer", "Servers", "checked"]

Changed = Callable[[str | None], None]
"""Is told None when all servers are connected, and why when one is not any more."""
Hear = Callable[[Channels, bytes, bytes], None]
"""Is given what is published on the channels of a server."""


def checked(reply: Any) -> Any:
    """Return a reply that is no error. Raises StoreUnavailableError."""
    if isinstance(reply, hiredis.ReplyError):
        raise StoreUnavailableError(str(reply))
    return reply


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One server, its slots if it has not all, and the channels that it carries."""

    connection: MultiplexedConnection
    channels: Channels
    slots: str = ""

    async def call(self, *command: str | bytes | int) -> Any:
        """Send one command and return its reply. Raises StoreUnavailableError."""
        return checked(await self.connection.call(*command))

    async def shard(self) -> Shard | None:
        """Return who the server is if it is a primary that takes writes, else None."""
        info = read_info(await self.call("INFO", "replication"))
        if info["role"] != "master":
            return None
        # What an invalidation needs: a full server takes it, a read-only one does not.
        await self.call("DEL", self.channels.probe)
        return Shard(self.connection.run_id, info["master_replid"], self.slots)


@dataclass(frozen=True, slots=True)
class Connect:
    """Makes the connections of one process: it listens to what is published, if it hears it."""

    publisher: str
    timeout: float
    hear: Hear | None = None

    def __call__(self, locate: Locate, changed: Changed, slots: str = "") -> Node:
        """Make a node, not yet connected."""
        channels = Channels(self.publisher, slots)
        hears = self.hear is not None
        connection = MultiplexedConnection(
            locate,
            timeout=self.timeout,
            channels=channels.mine if hears else (),
            heard=partial(self.hear, channels) if self.hear else lambda _channel, _text: None,
            changed=changed,
        )
        return Node(connection, channels, slots)


class Servers(ABC):
    """All that hold the shared cache together."""

    @property
    @abstractmethod
    def nodes(self) -> Collection[Node]:
        """Those that are known."""

    @abstractmethod
    def node(self, organization_id: int) -> Node | None:
        """Return the one that has an organization's keys, if any is known."""

    @abstractmethod
    async def open(self) -> None:
        """Connect if that works now; go on trying behind if it does not."""

    @abstractmethod
    async def identity(self) -> str | None:
        """Return who the servers are if all are primaries that take writes, else None.

        Raises StoreUnavailableError.
        """

    @abstractmethod
    async def seek(self) -> bool:
        """Look for the primary again; False if there is no other, or that was just done."""

    @abstractmethod
    def refused(self, error: str) -> None:
        """Take note of an error that a server gave."""

    @property
    def connected(self) -> bool:
        """Whether all are connected, and all that is published is heard."""
        nodes = self.nodes
        return bool(nodes) and all(node.connection.connected for node in nodes)

    async def close(self) -> None:
        """Fail what waits and stop connecting."""
        await asyncio.gather(*(node.connection.close() for node in self.nodes))

    async def used_memory(self) -> int:
        """Return the bytes that they use. Raises StoreUnavailableError."""
        if not self.connected:
            message = "not connected"
            raise StoreUnavailableError(message)
        replies = await asyncio.gather(*(node.call("INFO", "memory") for node in self.nodes))
        return sum(int(read_info(reply)["used_memory"]) for reply in replies)


class OneServer(Servers):
    """The one at a fixed address, or the one that sentinels say is the primary."""

    def __init__(self, locate: Locate, connect: Connect, changed: Changed) -> None:
        self._node = connect(locate, changed)

    @property
    def nodes(self) -> tuple[Node]:
        """The one."""
        return (self._node,)

    def node(self, organization_id: int) -> Node:  # noqa: ARG002 - it has all keys
        """Return it."""
        return self._node

    async def open(self) -> None:
        """Connect if that works now; go on trying behind if it does not."""
        await self._node.connection.open()

    async def identity(self) -> str | None:
        """Return who it is if it is a primary that takes writes, else None."""
        shard = await self._node.shard()
        return None if shard is None else identity_of([shard])

    async def seek(self) -> bool:
        """Connect anew, perhaps to another; False if there is only the one address."""
        if self._node.connection.fixed:
            return False
        self._node.connection.drop()
        return True

    def refused(self, error: str) -> None:
        """Do nothing: the keeper finds out whether another server must be sought."""
