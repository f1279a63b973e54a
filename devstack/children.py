"""Child processes that never outlive us.

Each is the head of its own group (a Ctrl-C in the terminal reaches only us, and
we stop the children in order), and on Linux the kernel ends it if we are killed.
What it prints goes to a file: a pipe that nobody reads would stop it.
"""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

__all__ = ["Child", "ChildError"]

_PR_SET_PDEATHSIG = 1
_POLL_SECONDS = 0.02


class ChildError(Exception):
    """Say which child failed, and its last log lines."""


class Child:
    """One program; an async context manager that starts and stops it.

    `stop_signal` asks it to end; after `grace` seconds its whole group is killed.
    `inherit_output` leaves it our terminal instead of the log file.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        log_path: Path,
        environ: Mapping[str, str] | None = None,
        user: int | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        grace: float = 20.0,
        inherit_output: bool = False,
    ) -> None:
        self.name = name
        self.argv = [str(part) for part in argv]
        self.log_path = log_path
        self.environ = environ
        self._user = user
        self._stop_signal = stop_signal
        self._grace = grace
        self._inherit = inherit_output
        self._process: asyncio.subprocess.Process | None = None
        self._offset = 0

    @property
    def pid(self) -> int:
        """The process id; ChildError if it was never started."""
        if self._process is None:
            message = f"{self.name} was not started"
            raise ChildError(message)
        return self._process.pid

    @property
    def running(self) -> bool:
        """True from its start to its end."""
        return self._process is not None and self._process.returncode is None

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.stop()  # started but not ready, or interrupted: nothing is left behind
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start the program; its output is appended to the log file."""
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            self._offset = log.tell()
            self._process = await asyncio.create_subprocess_exec(
                *self.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=None if self._inherit else log,
                stderr=None if self._inherit else log,
                env=self.environ,
                start_new_session=True,
                user=self._user,
                group=None if self._user is None else _group_of(self._user),
                extra_groups=None if self._user is None else [],
                preexec_fn=_prctl_of_parents_death(),
            )

    async def stop(self) -> None:
        """Ask it to end and wait; kill its group if it does not. Nothing if it ended before."""
        if self._process is None:
            return
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(self._stop_signal)
            try:
                async with asyncio.timeout(self._grace):
                    await self._process.wait()
            except TimeoutError:
                pass
        await self.kill()

    async def kill(self) -> None:
        """Kill it and all that it started, at once."""
        if self._process is None:
            return
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, e.g. SIGSTOP and SIGCONT for a server that hangs."""
        os.kill(self.pid, number)

    async def wait(self) -> int:
        """Wait for its end and return the exit code."""
        if self._process is None:
            return 0
        return await self._process.wait()

    def output(self) -> str:
        """Return what it printed since it was last started."""
        with self.log_path.open("rb") as log:
            log.seek(self._offset)
            return log.read().decode(errors="replace")

    def failure(self, what: str) -> ChildError:
        """Make the error that says what happened, with the last log lines."""
        tail = "\n".join(f"    {line[:300]}" for line in self.output().splitlines()[-15:])
        return ChildError(f"{self.name} {what}; the last lines of {self.log_path}:\n{tail}")

    async def until(self, ready: Callable[[], Awaitable[bool]], seconds: float) -> None:
        """Wait until `ready` says so; ChildError if it ends first, or after so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                while not await ready():
                    if not self.running:
                        code = await self.wait()
                        what = f"ended with code {code} while starting"
                        raise self.failure(what)
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            what = f"was not ready within {seconds:g} s"
            raise self.failure(what) from None


def _group_of(user: int) -> int:
    import pwd  # noqa: PLC0415 - not on every system

    return pwd.getpwuid(user).pw_gid


def _prctl_of_parents_death() -> Callable[[], None]:
    # Looked up here and not between fork and exec, where little is safe.
    if not sys.platform.startswith("linux"):
        return lambda: None
    prctl = ctypes.CDLL(None).prctl

    def die_with_parent() -> None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)

    return die_with_parent
