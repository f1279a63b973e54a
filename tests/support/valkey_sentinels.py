"""A real primary with a replica, and three real sentinels that watch them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis.asyncio
from redis.exceptions import RedisError

from devstack import binaries
from devstack.children import Child
from devstack.ports import free_port
from devstack.valkey import ValkeyServer
from tests.support.waiting import eventually

__all__ = ["Watched", "watched"]

_CONFIG = """
port {port}
bind 127.0.0.1
dir {directory}
sentinel monitor shop 127.0.0.1 {primary} 2
sentinel down-after-milliseconds shop 300
sentinel failover-timeout shop 1000
"""


class _Sentinel(Child):
    """One sentinel that watches a primary called `shop`."""

    def __init__(self, directory: Path, primary: int) -> None:
        self.port = free_port()
        config = directory / f"sentinel-{self.port}.conf"
        config.write_text(_CONFIG.format(port=self.port, directory=directory, primary=primary))
        argv: list[str | Path] = [binaries.valkey(), config, "--sentinel"]
        super().__init__("a sentinel", argv, log_path=config.with_suffix(".log"), grace=5.0)

    async def primary(self) -> dict[str, Any]:
        """Return what it says of the primary; nothing if it does not answer."""
        with suppress(OSError, RedisError, KeyError):
            async with redis.asyncio.from_url(f"redis://127.0.0.1:{self.port}") as client:
                masters: Any = await client.sentinel_masters()
            return dict(masters["shop"])
        return {}


@dataclass(frozen=True, slots=True)
class Watched:
    """A primary with its replica, the sentinels that watch it, and the setting."""

    primary: ValkeyServer
    replica: ValkeyServer
    sentinels: list[_Sentinel]
    url: str

    async def failed_over(self) -> bool:
        """Tell whether every sentinel says that the replica is the primary."""
        said = await asyncio.gather(*(one.primary() for one in self.sentinels))
        return all(one.get("port") == self.replica.port for one in said)


@asynccontextmanager
async def watched(directory: Path) -> AsyncIterator[Watched]:
    """Start all of it and wait until the sentinels know of each other and of the replica."""
    async with AsyncExitStack() as stack:
        primary = await stack.enter_async_context(ValkeyServer(directory / "primary"))
        of = ("--replicaof", f"127.0.0.1 {primary.port}", "--repl-diskless-sync-delay", "0")
        replica = await stack.enter_async_context(ValkeyServer(directory / "replica", options=of))
        sentinels = [
            await stack.enter_async_context(_Sentinel(directory, primary.port)) for _ in range(3)
        ]
        hosts = ",".join(f"127.0.0.1:{one.port}" for one in sentinels)

        async def ready() -> bool:
            state = await sentinels[0].primary()
            return (state.get("num-slaves"), state.get("num-other-sentinels")) == (1, 2)

        await eventually(ready, seconds=20)
        yield Watched(primary, replica, sentinels, f"redis+sentinel://{hosts}/shop")
