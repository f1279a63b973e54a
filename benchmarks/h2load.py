"""Drive a gRPC method at full speed with h2load, and read every call's latency.

h2load knows HTTP only, so it counts a gRPC error as a success: whoever calls this
compares the bytes of the answers, and the server's own counts.
"""

import asyncio
import re
import shutil
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import BenchmarkError

__all__ = ["DriverError", "Round", "drive", "frame", "program"]

_DATA = re.compile(r"\((\d+)\) data$", re.MULTILINE)
_HEADERS = ("content-type: application/grpc", "te: trailers")
_HTTP_OK = "200"


class DriverError(BenchmarkError):
    """Say why the driver cannot run, or which answers were missing."""


@dataclass(frozen=True, slots=True)
class Round:
    """What one run saw: calls a second, the median latency in seconds, bytes of the answers.

    `steady` is the rate until four fifths were answered. Each connection has as many calls, so
    that those of a worker which the kernel gave more of them end while the others idle.
    """

    rate: float
    steady: float
    latency: float
    data_bytes: int


def program() -> str:
    """Return h2load's path. Raises DriverError if it is not installed."""
    path = shutil.which("h2load")
    if path is None:
        message = "h2load is missing: install it (Debian and Ubuntu: nghttp2-client)"
        raise DriverError(message)
    return path


def frame(message: bytes) -> bytes:
    """Return a message as gRPC frames it: uncompressed, length in four bytes."""
    return b"\0" + len(message).to_bytes(4, "big") + message


async def drive(
    address: str,
    method: str,
    message: bytes,
    *,
    calls: int,
    connections: int = 4,
    streams: int = 8,
) -> Round:
    """Call `method` (`/package.Service/Method`) so often, `connections * streams` at once.

    Raises DriverError unless every call was answered with HTTP status 200.
    """
    with tempfile.TemporaryDirectory(prefix="chairside-h2load-") as name:
        body, log = Path(name) / "frame.bin", Path(name) / "calls.tsv"
        body.write_bytes(frame(message))
        process = await asyncio.create_subprocess_exec(
            program(),
            *("-c", str(connections), "-m", str(streams), "-n", str(calls)),
            *("-d", str(body), f"--log-file={log}"),
            *(part for header in _HEADERS for part in ("-H", header)),
            f"http://{address}{method}",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output = (await process.communicate())[0].decode()
        data = _DATA.search(output)
        if process.returncode != 0 or data is None:
            message_of_failure = f"h2load ended with code {process.returncode}: {output}"
            raise DriverError(message_of_failure)
        return _read(log.read_text(), calls, int(data[1]))


def _read(log: str, calls: int, data_bytes: int) -> Round:
    """Read h2load's log: for each call its start, HTTP status and duration, in microseconds."""
    rows = [line.split("\t") for line in log.splitlines()]
    answered = [(int(row[0]), int(row[2])) for row in rows if row[1] == _HTTP_OK]
    if len(answered) != calls:
        message = f"only {len(answered)} of {calls} calls were answered"
        raise DriverError(message)
    begun = min(start for start, _ in answered)
    ends = sorted(start + duration for start, duration in answered)
    most = max(1, calls * 4 // 5)
    return Round(
        rate=calls / (ends[-1] - begun) * 1e6,
        steady=most / (ends[most - 1] - begun) * 1e6,
        latency=statistics.median(duration for _, duration in answered) / 1e6,
        data_bytes=data_bytes,
    )
