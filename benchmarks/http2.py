"""HTTP/2 as far as a driver or an attacker needs it, which no library may slow down or tame."""

from collections.abc import Iterator

__all__ = [
    "ACK",
    "DATA",
    "DEFAULT_WINDOW",
    "END_HEADERS",
    "END_STREAM",
    "GOAWAY",
    "HEADERS",
    "INITIAL_WINDOW",
    "LARGEST_WINDOW",
    "PING",
    "PREFACE",
    "RST",
    "SETTINGS",
    "WINDOW",
    "frame",
    "frames",
    "headers",
    "literal",
    "message_of",
]

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST, SETTINGS, PING, GOAWAY, WINDOW = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4
INITIAL_WINDOW = 4
"""The setting."""
LARGEST_WINDOW, DEFAULT_WINDOW = 2**31 - 1, 65_535
_HEAD = 9


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Write one frame."""
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


def literal(text: str) -> bytes:
    """Write a text for HPACK, without its Huffman code."""
    raw = text.encode()
    if len(raw) > 126:  # noqa: PLR2004 - of HPACK: a length in one byte
        raise ValueError(text)
    return bytes((len(raw),)) + raw


def headers(address: str, method: str) -> bytes:
    """Write the headers of a gRPC call for HPACK, without its tables."""
    return b"".join(
        (
            b"\x83\x86",  # :method POST, :scheme http
            b"\x04" + literal(method),  # :path
            b"\x01" + literal(address),  # :authority
            b"\x0f\x10" + literal("application/grpc"),  # content-type
            b"\x00" + literal("te") + literal("trailers"),
        )
    )


def message_of(payload: bytes) -> bytes:
    """Write a message as gRPC puts it into DATA frames."""
    return b"\0" + len(payload).to_bytes(4, "big") + payload
