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

__all__ = ["Found", "Job", "arrivals", "frames", "percentile", "run"]

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST, _SETTINGS, _PING, _GOAWAY, _WINDOW = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _ACK, _END_HEADERS = 1, 1, 4
_INITIAL_WINDOW = 4
_LARGEST_WINDOW, _DEFAULT_WINDOW = 2**31 - 1, 65_535
_HEAD = 9
_LEAD = 0.05
_GRACE = 3.0
"""Seconds after the last call was due until what is not answered never will be."""


@dataclass(frozen=True, slots=True)
class Job:
    """What to call and how often; `message` is in hex, `size` that of an answer, give or take."""

    address: str
    method: str
    message: str
    size: int
    tolerance: int
    rate: float
    seconds: float
    connections: int
    seed: int


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


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return (
        len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload
    )


def frames(buffer: bytearray) -> Iterator[tuple[int, int, int, bytes]]:
    """Take every whole frame out of the buffer: kind, flags, stream and payload."""
    at = 0
    while len(buffer) - at >= _HEAD:
        end = at + _HEAD + int.from_bytes(buffer[at : at + 3], "big")
        if len(buffer) < end:
            break
        stream = int.from_bytes(buffer[at + 5 : at + _HEAD], "big")
        yield buffer[at + 3], buffer[at + 4], stream, bytes(buffer[at + _HEAD : end])
        at = end
    del buffer[:at]


def _literal(text: str) -> bytes:
    raw = text.encode()
    if len(raw) > 126:  # noqa: PLR2004 - of HPACK: a length in one byte
        raise ValueError(text)
    return bytes((len(raw),)) + raw


def _headers(job: Job) -> bytes:
    """Write the request's headers for HPACK without its tables and its Huffman code."""
    return b"".join(
        (
            b"\x83\x86",  # :method POST, :scheme http
            b"\x04" + _literal(job.method),  # :path
            b"\x01" + _literal(job.address),  # :authority
            b"\x0f\x10" + _literal("application/grpc"),  # content-type
            b"\x00" + _literal("te") + _literal("trailers"),
        )
    )


class _Connection:
    """One HTTP/2 connection on which the same request is made again and again."""

    def __init__(self, job: Job) -> None:
        host, _, port = job.address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=_GRACE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._headers = _headers(job)
        message = bytes.fromhex(job.message)
        self._data = b"\0" + len(message).to_bytes(4, "big") + message
        self._buffer = bytearray()
        self._next = 1
        self._window = _DEFAULT_WINDOW
        window = _INITIAL_WINDOW.to_bytes(2, "big") + _LARGEST_WINDOW.to_bytes(4, "big")
        more = (_LARGEST_WINDOW - _DEFAULT_WINDOW).to_bytes(4, "big")
        self._out = _PREFACE + _frame(_SETTINGS, 0, 0, window) + _frame(_WINDOW, 0, 0, more)
        self.open: dict[int, list[float]] = {}
        """Of each call under way when it was due, and the bytes of its answer so far."""
        self.flush()

    def call(self, due: float) -> None:
        """Make a call with the next flush."""
        self._window -= len(self._data)
        if self._window < 0:
            message = "the server lets us send nothing more"
            raise RuntimeError(message)
        self._out += _frame(_HEADERS, _END_HEADERS, self._next, self._headers)
        self._out += _frame(_DATA, _END_STREAM, self._next, self._data)
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
            if kind == _DATA:
                self.open[stream][1] += len(payload)
            elif kind == _SETTINGS and not flags & _ACK:
                self._out += _frame(_SETTINGS, _ACK, 0)
            elif kind == _PING and not flags & _ACK:
                self._out += _frame(_PING, _ACK, 0, payload)
            elif kind == _WINDOW and stream == 0:
                self._window += int.from_bytes(payload, "big")
            elif kind == _GOAWAY:
                message = "the server ended the connection"
                raise RuntimeError(message)
            if kind == _RST or (kind in {_DATA, _HEADERS} and flags & _END_STREAM):
                due, size = self.open.pop(stream, (0.0, 0))
                yield due, 0 if kind == _RST else int(size)


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
    begun, busy = clock() + _LEAD, time.process_time()
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
