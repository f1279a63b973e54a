"""The line between a worker and its supervisor.

It is a pair of sockets of which each has one, so nobody else can reach it. The
supervisor sends a byte to ask for the worker's metrics. The worker says each thing in
a message: what it is and how long, then its text. When the line ends, so has the
other process: a worker without a supervisor drains.
"""

import asyncio
import socket
import struct
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from enum import IntEnum

import structlog

__all__ = ["Line", "Said", "ask", "hear"]

_QUESTION = b"?"
_HEAD = struct.Struct("!BI")


class Said(IntEnum):
    """What a worker says."""

    READY = 1
    FAILED = 2  # with the reason why it cannot start
    METRICS = 3  # with all of them, as Prometheus reads them


def ask(writer: StreamWriter) -> None:
    """Ask a worker for its metrics."""
    writer.write(_QUESTION)


async def hear(reader: StreamReader) -> AsyncIterator[tuple[Said, str]]:
    """Yield what a worker says, until it has ended."""
    with suppress(OSError, asyncio.IncompleteReadError):
        while True:
            kind, size = _HEAD.unpack(await reader.readexactly(_HEAD.size))
            yield Said(kind), (await reader.readexactly(size)).decode()


class Line:
    """A worker's end."""

    def __init__(self, reader: StreamReader, writer: StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, descriptor: int) -> "Line":
        """Take the socket that was inherited as `descriptor`."""
        return cls(*await asyncio.open_connection(sock=socket.socket(fileno=descriptor)))

    def ready(self) -> None:
        """Say that this worker serves."""
        self._say(Said.READY)

    async def failed(self, reason: str) -> None:
        """Say why it cannot start."""
        self._say(Said.FAILED, reason.encode())
        with suppress(OSError):
            await self._writer.drain()

    @asynccontextmanager
    async def answering(
        self, metrics: Callable[[], bytes], gone: Callable[[], None]
    ) -> AsyncIterator[None]:
        """Answer with the `metrics` while the context lasts; `gone` if the supervisor is."""
        task = asyncio.create_task(self._answer(metrics, gone), name="supervisor's line")
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _answer(self, metrics: Callable[[], bytes], gone: Callable[[], None]) -> None:
        log = structlog.get_logger("service_kit.line")
        with suppress(OSError):
            while await self._reader.read(len(_QUESTION)):
                try:
                    self._say(Said.METRICS, metrics())
                except Exception:  # one that cannot be collected ends no worker
                    log.exception("metrics that cannot be told")
        log.warning("the supervisor is gone")
        gone()

    def _say(self, kind: Said, text: bytes = b"") -> None:
        self._writer.write(_HEAD.pack(kind, len(text)) + text)
