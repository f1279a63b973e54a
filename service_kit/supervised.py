"""One worker, as its supervisor sees it."""

import asyncio
import signal
import socket
import subprocess
from asyncio import StreamReader, StreamWriter
from collections.abc import Mapping, Sequence

from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from service_kit.line import Said, ask, hear
from service_kit.starting import StartError

__all__ = ["Supervised"]


class Supervised:
    """A process that was started and is heard until it ends. `metrics` are the last it told."""

    def __init__(
        self, process: subprocess.Popen[bytes], reader: StreamReader, writer: StreamWriter
    ) -> None:
        loop = asyncio.get_running_loop()
        self.pid = process.pid
        self.metrics: list[Metric] = []
        self.reason = ""
        self._process = process
        self._writer = writer
        self._began = loop.time()
        self._ready: asyncio.Future[bool] = loop.create_future()
        self._asked: asyncio.Future[None] | None = None
        self._life = asyncio.create_task(self._hear(reader), name=f"worker {self.pid}")

    @classmethod
    async def start(cls, command: Sequence[str], environ: Mapping[str, str]) -> "Supervised":
        """Start a worker: its line's number is added to the command. Raises OSError.

        Spawned and never forked: gRPC does not survive that. A Ctrl-C reaches every process
        of the terminal; the worker's are blocked, as its end is decided by us alone.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            reader, writer = await asyncio.open_connection(sock=ours)
            blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            try:
                process = subprocess.Popen(  # noqa: ASYNC220, S603 - a millisecond; our own program
                    [*command, str(theirs.fileno())],
                    env=environ,
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                )
            except BaseException:
                writer.close()
                raise
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        return cls(process, reader, writer)

    @property
    def age(self) -> float:
        """Seconds since its start."""
        return asyncio.get_running_loop().time() - self._began

    async def ready(self) -> None:
        """Wait until it serves; StartError, with its own reason, if it ends first."""
        if not await asyncio.shield(self._ready):
            code = await self.ended()
            raise StartError(self.reason or f"a worker ended with code {code} while starting")

    async def ended(self) -> int:
        """Wait for its end and return its exit code."""
        await asyncio.shield(self._life)
        return self._process.wait()

    async def answers(self, seconds: float) -> bool:
        """Ask for its metrics, and tell whether it answered in time."""
        if self._life.done():
            return False
        if self._asked is None or self._asked.done():  # else it still owes the answer
            self._asked = asyncio.get_running_loop().create_future()
            ask(self._writer)
        await asyncio.wait((self._asked,), timeout=seconds)
        return self._asked.done()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, unless it has ended."""
        self._process.send_signal(number)

    async def _hear(self, reader: StreamReader) -> None:
        async for said, text in hear(reader):
            match said:
                case Said.READY:
                    self._ready.set_result(True)
                case Said.FAILED:
                    self.reason = text
                case Said.METRICS:
                    self.metrics = list(text_string_to_metric_families(text))
                    if self._asked is not None:
                        self._asked.set_result(None)
        if not self._ready.done():
            self._ready.set_result(False)
        await asyncio.to_thread(self._process.wait)
        self._writer.close()
