"""Requests that no client sends: made from the contract's descriptors, by a seeded generator."""

import random
from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from tests.support.contract import METHODS

__all__ = ["Fuzzer", "requests"]

_INT64 = [0, 1, 2, 3, 4, 5, -1, 2**31 - 1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63)]
_INT32 = [
    0,
    1,
    2,
    7,
    15,
    28,
    31,
    32,
    60,
    366,
    1440,
    2024,
    2026,
    9999,
    10_000,
    -1,
    2**31 - 1,
    -(2**31),
]
_DOUBLES = [0.0, 1.0, -1.0, 0.1, 1e308, -1e308, 5e-324, float("inf"), float("-inf"), float("nan")]
_TEXTS = [
    *("", " ", "x", "Ann", "UTC", "Europe/Berlin", "America/New_York", "Mars/Phobos", "EUR", "eur"),
    *("00000000-0000-4000-8000-000000000001", "not-a-uuid", "+49 30 1234567", "a@example.org"),
    *("\x00", "a\x00b", "\u202e\u2028", "'; DROP TABLE barbers; --", "%s%n{0}", "../../etc/passwd"),
    *("\U0001f600" * 40, "e\u0301" * 60, "x" * 5000, "\ufffe\uffff", "\u0000" * 20, "localtime"),
]
_LIKELY = {"time_zone": "Europe/Berlin", "currency": "EUR", "page_token": "", "etag": ""}
_MONDAY_NINE = 1_741_593_600
"""In Berlin, five days after the shops' clock began."""
_DEEPEST = 6
_MOST_REPEATED = 300


class Fuzzer:
    """Makes serialised requests of a method; the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)  # noqa: S311 - no secret

    def request(self, method: MethodDescriptor) -> bytes:
        """Make one: most are whole messages, the others were damaged on the way."""
        raw = self._message(GetMessageClass(method.input_type)()).SerializePartialToString()
        return raw if self._chance.random() < 0.6 else self._damaged(raw)

    def _message(self, message: Any, depth: int = 0) -> Message:
        often = self._chance.choice((0.3, 0.8, 0.95))
        for field in message.DESCRIPTOR.fields:
            if self._chance.random() > often:
                continue
            if field.message_type is not None and field.message_type.GetOptions().map_entry:
                continue
            for _ in range(self._times(field)):
                self._set(message, field, depth)
        return message

    def _times(self, field: FieldDescriptor) -> int:
        if not field.is_repeated:
            return 1
        if self._chance.random() < 0.02:
            return self._chance.randrange(_MOST_REPEATED)
        return self._chance.choice((1, 1, 1, 2, 2, 5))

    def _set(self, message: Any, field: FieldDescriptor, depth: int) -> None:
        held = getattr(message, field.name)
        if field.message_type is None:
            value = self._value(field)
            if field.is_repeated:
                held.append(value)
            else:
                setattr(message, field.name, value)
        elif depth < _DEEPEST:
            inner = held.add() if field.is_repeated else held
            if not field.is_repeated:
                inner.SetInParent()
            if self._chance.random() < 0.2 or not self._likely(inner):
                self._message(inner, depth + 1)

    def _likely(self, message: Any) -> bool:
        """Set a message of a well-known type to what a client may well send."""
        chance = self._chance
        match message.DESCRIPTOR.full_name:
            case "google.type.Date":
                message.year, message.month, message.day = 2025, *self._day()
            case "google.protobuf.Timestamp":
                message.seconds = _MONDAY_NINE + 900 * chance.randrange(2000)
            case "google.protobuf.Duration":
                message.seconds = chance.randrange(7200)
            case "google.type.Money":
                message.currency_code, message.units = "EUR", chance.randrange(100)
            case "google.protobuf.FieldMask":
                message.paths.append(chance.choice(("name", "price", "active", "start_time")))
            case _:
                return False
        return True

    def _day(self) -> tuple[int, int]:
        return self._chance.randrange(1, 13), self._chance.randrange(1, 31)

    def _value(self, field: FieldDescriptor) -> Any:
        chance = self._chance
        # Small ids are of what there is, and reach the deeper checks.
        small = chance.random() < 0.85
        return {
            FieldDescriptor.TYPE_INT64: (
                chance.randrange(1, 6) if small else chance.choice(_INT64)
            ),
            FieldDescriptor.TYPE_INT32: chance.choice(_INT32),
            FieldDescriptor.TYPE_STRING: (
                _LIKELY.get(field.name, "Ann") if small else chance.choice(_TEXTS)
            ),
            FieldDescriptor.TYPE_BYTES: chance.randbytes(chance.choice((0, 1, 8, 16, 40, 3000))),
            FieldDescriptor.TYPE_BOOL: small,
            FieldDescriptor.TYPE_DOUBLE: chance.choice(_DOUBLES),
            FieldDescriptor.TYPE_ENUM: chance.choice((0, 1, 2, 3, chance.randrange(2**31), -1)),
        }[field.type]

    def _damaged(self, raw: bytes) -> bytes:
        for _ in range(self._chance.choice((1, 1, 2, 5))):
            raw = self._chance.choice(
                (_flipped, _cut, _doubled, _with_unknown, _nested, _spoilt_text, _noise)
            )(raw, self._chance)
        return raw


def _flipped(raw: bytes, chance: random.Random) -> bytes:
    damaged = bytearray(raw)
    for _ in range(chance.randrange(1, 4)):
        if damaged:
            damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def _cut(raw: bytes, chance: random.Random) -> bytes:
    return raw[: chance.randrange(len(raw) + 1)]


def _doubled(raw: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(raw) + 1)
    return raw + raw[start:] + raw


def _with_unknown(raw: bytes, chance: random.Random) -> bytes:
    unknown = b"\xfa\x7f\x05hello", b"\xf8\x7f\x01", b"\xf9\x7f12345678", b"\xf3\x7f\xf4\x7f"
    return raw + chance.choice(unknown) * chance.randrange(1, 50)


def _nested(raw: bytes, chance: random.Random) -> bytes:
    inner = b""
    for _ in range(chance.choice((3, 99, 101, 300))):
        if len(inner) > 20_000:
            break
        inner = bytes((chance.choice((0x0A, 0x12, 0x1A, 0x22)),)) + _length(inner) + inner
    return raw + inner


def _length(inner: bytes) -> bytes:
    size, out = len(inner), bytearray()
    while size > 0x7F:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes((*out, size))


def _spoilt_text(raw: bytes, chance: random.Random) -> bytes:
    text = chance.choice((b"\xff\xfe", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"))
    return raw + bytes((chance.randrange(1, 16) << 3 | 2, len(text))) + text


def _noise(_raw: bytes, chance: random.Random) -> bytes:
    return chance.randbytes(chance.randrange(200))


def requests(seed: int, number: int) -> Iterator[tuple[MethodDescriptor, bytes]]:
    """Make so many requests, of all methods in turn."""
    fuzzer = Fuzzer(seed)
    for at in range(number):
        method = METHODS[at % len(METHODS)]
        yield method, fuzzer.request(method)
