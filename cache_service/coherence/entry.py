"""The entry: a self-describing, serialised answer.

Layout, little-endian: magic (4), CRC-32 of all that follows (4), fill time as seconds
since the epoch (8), time to live (4) and time that the load took (4) in seconds, lengths of
key (2), nonces (2, in nonces) and snapshot (4), then key, nonces (16 each, in the order of
the query's tags), snapshot and payload. Another magic says that
the payload alone is compressed.
The times tell ages and when to refresh; they take no part in correctness. Whoever changes this
layout raises the magic, and entries of others are misses; a payload's own version is in its key.
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

from cache_service.coherence.compression import grow, shrink

__all__ = ["NONCE_BYTES", "Entry", "compressed", "decode", "encode", "mark", "nonces_in"]

NONCE_BYTES = 16
_MAGIC, _COMPRESSED = b"CSE2", b"CSZ2"
_HEADER = struct.Struct("<4sI")
_BODY = struct.Struct("<dffHHI")
_START = _HEADER.size + _BODY.size
_MARK = slice(4, 16)


class Entry(NamedTuple):
    """An answer with what is needed to judge it: its snapshot and its times.

    `filled_at` is in seconds since the epoch, `lives` and `load_seconds` are spans in seconds.
    """

    payload: bytes
    snapshot: str
    filled_at: float
    lives: float
    load_seconds: float

    @property
    def expires_at(self) -> float:
        """Until when it is a hit, as far as its age goes."""
        return self.filled_at + self.lives


def encode(key: str, nonces: bytes, entry: Entry) -> bytes:
    """Serialise an entry under its full key with its tags' nonces, joined."""
    key_bytes, snapshot = key.encode(), entry.snapshot.encode()
    body = b"".join(
        (
            _BODY.pack(
                entry.filled_at,
                entry.lives,
                entry.load_seconds,
                len(key_bytes),
                len(nonces) // NONCE_BYTES,
                len(snapshot),
            ),
            key_bytes,
            nonces,
            snapshot,
            entry.payload,
        )
    )
    return _HEADER.pack(_MAGIC, zlib.crc32(body)) + body


def compressed(raw: bytes) -> bytes:
    """Return what `encode` made with its payload compressed, or as it is if that is no less."""
    *_, key_length, nonce_count, snapshot_length = _BODY.unpack_from(raw, _HEADER.size)
    at = _START + key_length + nonce_count * NONCE_BYTES + snapshot_length
    small = shrink(raw[at:])
    if at + len(small) >= len(raw):
        return raw
    body = raw[_HEADER.size : at] + small
    return _HEADER.pack(_COMPRESSED, zlib.crc32(body)) + body


def decode(key: str, nonces: bytes | None, raw: bytes) -> Entry | None:
    """Return the entry if it is this key's and carries exactly these nonces, else None.

    Without nonces any will do: that is an entry that may have been invalidated.

    Anything unexpected (another format, another key, a flipped bit) is None, never an
    error: it costs a miss.
    """
    magic, checksum = _HEADER.unpack_from(raw) if len(raw) >= _START else (b"", 0)
    if magic not in {_MAGIC, _COMPRESSED}:
        return None
    filled_at, lives, load_seconds, key_length, nonce_count, snapshot_length = _BODY.unpack_from(
        raw, _HEADER.size
    )
    key_end = _START + key_length
    nonces_end = key_end + nonce_count * NONCE_BYTES
    if nonces is not None and raw[key_end:nonces_end] != nonces:
        return None
    if raw[_START:key_end] != key.encode():
        return None
    if zlib.crc32(memoryview(raw)[_HEADER.size :]) != checksum:
        return None
    snapshot_end = nonces_end + snapshot_length
    payload = grow(raw[snapshot_end:]) if magic == _COMPRESSED else raw[snapshot_end:]
    if payload is None:
        return None
    snapshot = raw[nonces_end:snapshot_end].decode()
    return Entry(payload, snapshot, filled_at, lives, load_seconds)


def nonces_in(raw: bytes) -> tuple[bytes, ...]:
    """Return the nonces of an entry that `decode` could read, in the order of its tags."""
    *_, key_length, count, _ = _BODY.unpack_from(raw, _HEADER.size)
    start = _START + key_length
    return tuple(
        raw[at : at + NONCE_BYTES] for at in range(start, start + count * NONCE_BYTES, NONCE_BYTES)
    )


def mark(raw: bytes | None) -> bytes:
    """Return what tells this entry from any other of its key: its checksum and fill time."""
    return b"" if raw is None else raw[_MARK]
