"""Protobuf's wire format, as far as serialised messages are put together without being parsed.

Making a day's slots as messages costs more than all else of a hit; a stored answer is
therefore kept serialised and joined with what is new. So are the requests that a client
puts into one batch. See protobuf.dev, "Encoding".
"""

from __future__ import annotations

__all__ = ["bytes_field", "varint_field"]

_MORE = 0x80
_ONE_BYTE = [bytes((value,)) for value in range(_MORE)]


def _varint(value: int) -> bytes:
    if value < _MORE:  # Nearly all are: field numbers, lengths, ids.
        return _ONE_BYTE[value]
    if value < _MORE << 7:
        return bytes((value & 0x7F | _MORE, value >> 7))
    out = bytearray()
    while value >= _MORE:
        out.append(value & 0x7F | _MORE)
        value >>= 7
    out.append(value)
    return bytes(out)


def varint_field(number: int, value: int) -> bytes:
    """Serialise a non-negative int64, bool or enum; the default 0 is left out, as proto3 does.

    `number` is at most 15 here and below, so that a field's tag is one byte.
    """
    return _ONE_BYTE[number << 3] + _varint(value) if value else b""


def bytes_field(number: int, value: bytes) -> bytes:
    """Serialise a string, bytes or message, an empty one too."""
    size = len(value)
    # Not by a call, since a batch has many of them.
    return _ONE_BYTE[number << 3 | 2] + (_ONE_BYTE[size] if size < _MORE else _varint(size)) + value
