"""Run programs as a newcomer does, and read what they print."""

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from devstack.services import ServiceProcess

__all__ = ["ROOT", "Ran", "grpcurl", "run", "scrape"]

ROOT = Path(__file__).resolve().parent.parent.parent
_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Ran:
    """How a program ended, and what it printed."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Read what it printed; it must have succeeded."""
        assert self.code == 0, self.err
        return json.loads(self.out)


async def run(
    arguments: Sequence[str], environ: Mapping[str, str] | None = None, seconds: float = _SECONDS
) -> Ran:
    """Run a program in the project's folder until it ends."""
    process = await asyncio.create_subprocess_exec(
        *arguments,
        cwd=ROOT,
        env=environ,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(seconds):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Ran(process.returncode, out.decode(), err.decode())


async def grpcurl(*arguments: str, data: object = None, seconds: int = 30) -> Ran:
    """Run the grpcurl of this installation, knowing of the protos what reflection tells."""
    program = Path(sys.executable).with_name("grpcurl")
    sent = [] if data is None else ["-d", json.dumps(data)]
    return await run([str(program), "-plaintext", "-max-time", str(seconds), *sent, *arguments])


async def scrape(process: ServiceProcess) -> str:
    """Return a service's metrics in Prometheus' text format."""

    def read() -> str:
        with urlopen(f"http://127.0.0.1:{process.metrics_port}/metrics", timeout=5) as answer:
            return str(answer.read().decode())

    return await asyncio.to_thread(read)
