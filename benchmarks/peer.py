"""One connection of an attacker."""

import socket
from contextlib import suppress

from benchmarks import http2
from benchmarks.http2 import frame

__all__ = ["Peer"]

_MOST_UNSENT = 1 << 20
_CHUNK = 16_384
_LARGEST_STREAM = 2**31 - 1
_BODIES = 8
"""Messages that may be on their way at once."""


class Peer:
    """A connection; what it is told it throws away, but for what it must know to go on."""

    def __init__(self, address: str, greeting: bytes) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=5)
        self.socket.setblocking(False)  # noqa: FBT003 - of the library
        self._unsent = bytearray(greeting)
        self._silent = not greeting
        self._told = bytearray()
        self._stream = 1
        self._window = self._initial = http2.DEFAULT_WINDOW
        self._windows: dict[int, int] = {}
        self._bodies: dict[int, memoryview] = {}

    @property
    def full(self) -> bool:
        """Whether the server does not take what it was sent."""
        return len(self._unsent) > _MOST_UNSENT or len(self._bodies) >= _BODIES

    def next_stream(self) -> int:
        """Number a new stream. Raises OSError when there are no more numbers."""
        if self._stream > _LARGEST_STREAM:
            raise ConnectionResetError
        self._stream += 2
        return self._stream - 2

    def send(self, data: bytes = b"") -> None:
        """Send that, as far as the server takes it, and the rest later. Raises OSError."""
        self._unsent += data
        with suppress(BlockingIOError):
            while self._unsent:
                del self._unsent[: self.socket.send(self._unsent)]

    def post(self, stream: int, body: bytes) -> None:
        """Send that as the DATA of a stream, as the server's windows let it. Raises OSError."""
        self._bodies[stream] = memoryview(body)
        self._windows.setdefault(stream, self._initial)
        self._pour()

    def hear(self) -> None:
        """Take what there is, and answer as a client must to be kept. Raises OSError."""
        with suppress(BlockingIOError):
            while True:
                heard = self.socket.recv(1 << 16)
                if not heard:
                    raise ConnectionResetError
                self._told += heard
        for kind, flags, stream, payload in http2.frames(self._told):
            if not self._silent:
                self._heed(kind, flags, stream, payload)
        self._pour()

    def _heed(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == http2.SETTINGS and not flags & http2.ACK:
            self._set(payload)
            self.send(frame(http2.SETTINGS, http2.ACK, 0))
        elif kind == http2.PING and not flags & http2.ACK:
            self.send(frame(http2.PING, http2.ACK, 0, payload))
        elif kind == http2.WINDOW and stream in self._windows:
            self._windows[stream] += int.from_bytes(payload, "big")
        elif kind == http2.WINDOW and stream == 0:
            self._window += int.from_bytes(payload, "big")
        elif kind == http2.GOAWAY:
            raise ConnectionResetError
        elif kind == http2.RST or (
            kind in {http2.DATA, http2.HEADERS} and flags & http2.END_STREAM
        ):
            self._windows.pop(stream, None)
            self._bodies.pop(stream, None)

    def _set(self, settings: bytes) -> None:
        for at in range(0, len(settings), 6):
            if int.from_bytes(settings[at : at + 2], "big") == http2.INITIAL_WINDOW:
                initial = int.from_bytes(settings[at + 2 : at + 6], "big")
                for stream in self._windows:
                    self._windows[stream] += initial - self._initial
                self._initial = initial

    def _pour(self) -> None:
        for stream, body in list(self._bodies.items()):
            left = body
            while left and (room := min(_CHUNK, self._window, self._windows[stream])) > 0:
                piece, left = left[:room], left[room:]
                self._window -= len(piece)
                self._windows[stream] -= len(piece)
                self.send(frame(http2.DATA, 0 if left else http2.END_STREAM, stream, bytes(piece)))
            if left:
                self._bodies[stream] = left
            else:
                del self._bodies[stream]
