"""Call a gRPC method at a fixed rate, whether answers come or not, and time each call.

    python -m benchmarks.open_loop '{"address": "127.0.0.1:50051", ...}'

Arrivals are Poisson's. A call is timed from the instant at which it was due, not from that
at which it was sent: a server that stalls delays the calls behind it, and they say so. The
driver is a process of its own without asyncio or a gRPC library, so that it is not the
limit: every request is the same bytes but for the number of its stream.
"""

import gc
import json
import random
import select
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass

from benchmarks.http2 import (
    ACK,
    DATA,
    DEFAULT_WINDOW,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    INITIAL_WINDOW,
    LARGEST_WINDOW,
    PING,
    PREFACE,
    RST,
    SETTINGS,
    WINDOW,
    frame,
    frames,
    headers,
    message_of,
)

__all__ = ["Found", "Job", "arrivals", "percentile", "run"]

_GRACE = 3.0
"""Seconds after the last call was due until what is not answered never will be."""


@dataclass(frozen=True, slots=True)
class Job:
    """What to call and how often; `message` is in hex, `size` that of an answer, give or take.

    `lead` is how many seconds pass between connecting and the first second of calls.
    """

    address: str
    method: str
    message: str
    size: int
    tolerance: int
    rate: float
    seconds: float
    connections: int
    seed: int
    lead: float = 0.05


@dataclass(frozen=True, slots=True)
class Found:
    """Milliseconds of each answer, in the order in which they came, and how late calls were sent.

    `failed` calls had no answer, or one of another size. `busy` is the driver's own share of
    its core.
    """

    milliseconds: list[float]
    late: list[float]
    failed: int
    busy: float


def arrivals(rate: float, seconds: float, seed: int) -> list[float]:
    """Return when calls are due, in seconds from the start; the same ones for the same seed."""
    source = random.Random(seed)  # noqa: S311 - no secret
    found = []
    at = source.expovariate(rate)
    while at < seconds:
        found.append(at)
        at += source.expovariate(rate)
    return found


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the least of the values that so many per cent of them do not exceed."""
    ordered = sorted(values)
    rank = -int(-len(ordered) * percent // 100)  # rounded up
    return ordered[max(0, min(rank, len(ordered)) - 1)]


class _Connection:
    """One HTTP/2 connection on which the same request is made again and again."""

    def __init__(self, job: Job) -> None:
        host, _, port = job.address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=_GRACE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._headers = headers(job.address, job.method)
        self._data = message_of(bytes.fromhex(job.message))
        self._buffer = bytearray()
        self._next = 1
        self._window = DEFAULT_WINDOW
        window = INITIAL_WINDOW.to_bytes(2, "big") + LARGEST_WINDOW.to_bytes(4, "big")
        more = (LARGEST_WINDOW - DEFAULT_WINDOW).to_bytes(4, "big")
        self._out = PREFACE + frame(SETTINGS, 0, 0, window) + frame(WINDOW, 0, 0, more)
        self.open: dict[int, list[float]] = {}
        """Of each call under way when it was due, and the bytes of its answer so far."""
        self.flush()

    def call(self, due: float) -> None:
        """Make a call with the next flush."""
        self._window -= len(self._data)
        if self._window < 0:
            message = "the server lets us send nothing more"
            raise RuntimeError(message)
        self._out += frame(HEADERS, END_HEADERS, self._next, self._headers)
        self._out += frame(DATA, END_STREAM, self._next, self._data)
        self.open[self._next] = [due, 0]
        self._next += 2

    def flush(self) -> None:
        """Send what is to be sent."""
        if self._out:
            self.socket.sendall(self._out)
            self._out = b""

    def receive(self) -> Iterator[tuple[float, int]]:
        """Return when calls that ended were due, and the bytes of each one's answer."""
        received = self.socket.recv(1 << 16)
        if not received:
            message = "the server closed the connection"
            raise RuntimeError(message)
        self._buffer += received
        for kind, flags, stream, payload in frames(self._buffer):
            if kind == DATA:
                self.open[stream][1] += len(payload)
            elif kind == SETTINGS and not flags & ACK:
                self._out += frame(SETTINGS, ACK, 0)
            elif kind == PING and not flags & ACK:
                self._out += frame(PING, ACK, 0, payload)
            elif kind == WINDOW and stream == 0:
                self._window += int.from_bytes(payload, "big")
            elif kind == GOAWAY:
                message = "the server ended the connection"
                raise RuntimeError(message)
            if kind == RST or (kind in {DATA, HEADERS} and flags & END_STREAM):
                due, size = self.open.pop(stream, (0.0, 0))
                yield due, 0 if kind == RST else int(size)


def run(job: Job) -> Found:
    """Make the calls of the job, in real time."""
    with ExitStack() as stack:
        connections = [_Connection(job) for _ in range(job.connections)]
        for one in connections:
            stack.callback(one.socket.close)
        return _run(job, connections)


def _run(job: Job, connections: Sequence[_Connection]) -> Found:
    due = arrivals(job.rate, job.seconds, job.seed)
    by_socket = {one.socket: one for one in connections}
    expected = job.size + len(b"\0size")
    milliseconds, late = list[float](), list[float]()
    failed = number = 0
    clock = time.perf_counter
    begun, busy = clock() + job.lead, time.process_time()
    end = begun + job.seconds + _GRACE
    while number < len(due) or any(one.open for one in connections):
        now = clock()
        while number < len(due) and begun + due[number] <= now:
            connections[number % len(connections)].call(begun + due[number])
            late.append((now - begun - due[number]) * 1000)
            number += 1
        for one in connections:
            one.flush()
        wait = (begun + due[number] if number < len(due) else end) - clock()
        if number == len(due) and wait <= 0:
            break
        # Of select, since epoll waits for whole milliseconds only.
        ready, _, _ = select.select(by_socket, (), (), max(0.0, wait))
        now = clock()
        for its in ready:
            for since, size in by_socket[its].receive():
                if abs(size - expected) <= job.tolerance:
                    milliseconds.append((now - since) * 1000)
                else:
                    failed += 1
    failed += sum(len(one.open) for one in connections)
    return Found(milliseconds, late, failed, (time.process_time() - busy) / (clock() - begun))


def main() -> None:
    """Run the job given as JSON, and print what was found."""
    gc.disable()
    print(json.dumps(asdict(run(Job(**json.loads(sys.argv[1]))))))


if __name__ == "__main__":
    main()
