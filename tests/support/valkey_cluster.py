"""A real Redis Cluster of three primaries on the loopback, with replicas if they are wanted."""

import asyncio
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any, Self

import redis.asyncio
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import RedisError

from devstack.ports import free_port
from devstack.valkey import ValkeyServer
from tests.support.waiting import eventually

__all__ = ["PRIMARIES", "ValkeyCluster"]

PRIMARIES = 3
_NODE_TIMEOUT = 0.5
"""Seconds of silence after which the others hold a primary to be down, and replace it."""
_OPTIONS = (
    *("--cluster-enabled", "yes", "--cluster-node-timeout", str(round(_NODE_TIMEOUT * 1000))),
    *("--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0"),
)
_SECONDS = 20.0


class ValkeyCluster:
    """Starts the servers and puts them together; an async context manager.

    `replicas` are for each primary. `servers` has the primaries first, in the order of
    their slots, then their first replicas in the same order.
    """

    def __init__(self, directory: Path, *, replicas: int = 0) -> None:
        self._buses = [free_port() for _ in range(PRIMARIES * (1 + replicas))]
        self.servers = [
            ValkeyServer(directory / f"{number}", options=(*_OPTIONS, "--cluster-port", str(bus)))
            for number, bus in enumerate(self._buses)
        ]
        self._clients = [redis.asyncio.from_url(server.url) for server in self.servers]
        self._stack = AsyncExitStack()

    @property
    def url(self) -> str:
        """The setting; it names the second and the third primary."""
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in self.servers[1:PRIMARIES])
        return f"redis+cluster://{hosts}"

    def shard(self, organization_id: int) -> int:
        """Return which primary, at first, has an organization's keys."""
        slot = key_slot(b"%d" % organization_id)
        return next(at for at in range(PRIMARIES) if slot in _slots(at))

    async def flush(self) -> None:
        """Empty the primaries."""
        for client in self._clients[:PRIMARIES]:
            await client.flushall()

    async def call(self, server: int, *command: str | int) -> Any:
        """Send one command to a server."""
        return await self._clients[server].execute_command(*command)

    async def failed_over(self, primary: int) -> bool:
        """Tell whether all that run say that a primary's replica has its slots, and serve."""
        replica = primary + PRIMARIES
        with suppress(OSError, RedisError):
            for number, server in enumerate(self.servers):
                if server.running:
                    owners = [one[2][1] for one in await self.call(number, "CLUSTER", "SLOTS")]
                    if self.servers[replica].port not in owners:
                        return False
                    info = await self.call(number, "CLUSTER", "INFO")
                    if b"cluster_state:ok" not in info:
                        return False
            return True
        return False

    async def __aenter__(self) -> Self:
        for server in self.servers:
            # What a cluster of before in the same directory knew of itself.
            (server.directory / "nodes.conf").unlink(missing_ok=True)
        async with AsyncExitStack() as stack:
            for client in self._clients:
                stack.push_async_callback(client.aclose)
            await asyncio.gather(*map(stack.enter_async_context, self.servers))
            await self._join()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _join(self) -> None:
        for number in range(PRIMARIES):
            slots = _slots(number)
            await self.call(number, "CLUSTER", "ADDSLOTSRANGE", slots[0], slots[-1])
            await self.call(number, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for server, bus in zip(self.servers[1:], self._buses[1:], strict=True):
            await self.call(0, "CLUSTER", "MEET", "127.0.0.1", server.port, bus)
        names = [(await self.call(at, "CLUSTER", "MYID")).decode() for at in range(PRIMARIES)]

        async def all_met() -> bool:
            known = [await self.call(at, "CLUSTER", "NODES") for at in range(len(self.servers))]
            return all(
                len(one.splitlines()) == len(known) and b"handshake" not in one for one in known
            )

        await eventually(all_met, seconds=_SECONDS)
        for replica in range(PRIMARIES, len(self.servers)):
            await self.call(replica, "CLUSTER", "REPLICATE", names[replica % PRIMARIES])

        async def all_well() -> bool:
            for at in range(len(self.servers)):
                if b"cluster_state:ok" not in await self.call(at, "CLUSTER", "INFO"):
                    return False
            for at in range(PRIMARIES, len(self.servers)):
                if b"master_link_status:up" not in await self._replication(at):
                    return False
            return True

        await eventually(all_well, seconds=_SECONDS)

    async def _replication(self, at: int) -> bytes:
        # As the server writes it; the client would make a dictionary of it.
        reply: bytes = await self.call(at, "EVAL", "return redis.call('INFO', 'replication')", 0)
        return reply


def _slots(primary: int) -> range:
    each = REDIS_CLUSTER_HASH_SLOTS / PRIMARIES
    return range(round(primary * each), round((primary + 1) * each))
