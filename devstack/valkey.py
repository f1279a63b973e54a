"""A Valkey of our own on a port of the loopback, which keeps nothing on disk unless told."""

import asyncio
from contextlib import suppress
from pathlib import Path

from devstack import binaries
from devstack.children import Child
from devstack.ports import free_port

__all__ = ["ValkeyServer"]

_START_SECONDS = 20.0


class ValkeyServer(Child):
    """Run Valkey; it is empty after each start, unless that is told to load its last dump.

    `port` 0 takes a free one, which stays the same over `restart`. `options` are
    further command line options, such as `--maxmemory`, `64mb`.
    """

    def __init__(self, directory: Path, *, port: int = 0, options: tuple[str, ...] = ()) -> None:
        self.port = port or free_port()
        self.directory = directory
        argv: list[str | Path] = [
            binaries.valkey(),
            *("--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(directory)),
            *("--save", "", "--appendonly", "no", *options),
        ]
        super().__init__("Valkey", argv, log_path=directory / "valkey.log", grace=5.0)

    @property
    def url(self) -> str:
        """The URL of its database 0."""
        return f"redis://127.0.0.1:{self.port}/0"

    async def start(self, *, from_dump: bool = False) -> None:
        """Start it and wait until it answers; `from_dump` loads what a SAVE wrote."""
        self.directory.mkdir(parents=True, exist_ok=True)
        if not from_dump:
            (self.directory / "dump.rdb").unlink(missing_ok=True)
        await super().start()
        await self.until(self._answers, _START_SECONDS)

    async def restart(self) -> None:
        """Start it again, after a `stop` or `kill`, on the same port."""
        await self.stop()
        await self.start()

    async def _answers(self) -> bool:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                writer.write(b"PING\r\n")
                return await reader.readline() == b"+PONG\r\n"
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
        return False
