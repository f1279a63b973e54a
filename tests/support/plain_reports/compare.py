"""Compare an answer with a plain calculation, field by field, and name each that differs."""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.type.money_pb2 import Money

__all__ = ["differences"]

_CLOSE = 1e-9
"""How near to the exact figure a double must come, relative to it."""


def differences(answer: Message, plain: Any, currency: str, *, path: str = "") -> list[str]:
    """List every field in which a message differs from a dataclass with the same field names.

    None in the dataclass is a field that must be unset. Dates and money are compared as such,
    money with its currency; enums by the names of their values, without prefix and in lower case.
    """
    fields: dict[str, Any] = {field.name: field for field in answer.DESCRIPTOR.fields}
    names = {field.name for field in dataclasses.fields(plain)}
    found = [f"{path}{name}: nothing to compare it with" for name in sorted(fields.keys() ^ names)]
    for name in fields.keys() & names:
        wanted = getattr(plain, name)
        found += _field(answer, fields[name], wanted, currency, f"{path}{name}")
    return sorted(found)


def _field(
    answer: Message, field: FieldDescriptor, wanted: Any, currency: str, path: str
) -> Iterator[str]:
    value = getattr(answer, field.name)
    if isinstance(wanted, list):
        yield from _list(value, field, wanted, currency, path)
    elif field.has_presence and (wanted is None or not answer.HasField(field.name)):
        if wanted is not None or answer.HasField(field.name):
            shown = _plain(value) if answer.HasField(field.name) else None
            yield f"{path}: answered {shown!r}, not {wanted!r}"
    else:
        yield from _value(value, field, wanted, currency, path)


def _list(
    values: Sequence[Any], field: FieldDescriptor, wanted: list[Any], currency: str, path: str
) -> Iterator[str]:
    if len(values) != len(wanted):
        yield f"{path}: answered {len(values)} of them, not {len(wanted)}"
    for number, (value, one) in enumerate(zip(values, wanted, strict=False)):
        yield from _value(value, field, one, currency, f"{path}[{number}]")


def _value(
    value: Any, field: FieldDescriptor, wanted: Any, currency: str, path: str
) -> Iterator[str]:
    if dataclasses.is_dataclass(wanted):
        yield from differences(value, wanted, currency, path=f"{path}.")
        return
    shown: Any = _plain(value)
    expected: Any = wanted
    if isinstance(wanted, Decimal) and isinstance(value, Money):
        shown, expected = (shown, value.currency_code), (wanted, currency)
    elif field.enum_type is not None:
        names = field.enum_type.values_by_number
        prefix = names[0].name.removesuffix("UNSPECIFIED")
        shown = names[value].name.removeprefix(prefix).lower()
    elif isinstance(value, float) and isinstance(wanted, float | int):
        shown = wanted if math.isclose(value, wanted, rel_tol=_CLOSE, abs_tol=_CLOSE) else value
    if type(shown) is not type(expected) or shown != expected:
        yield f"{path}: answered {shown!r}, not {expected!r}"


def _plain(value: Any) -> Any:
    """Read what has a plain type of its own: dates and money."""
    name = value.DESCRIPTOR.full_name if isinstance(value, Message) else ""
    if name == "google.type.Date":
        return date(value.year, value.month, value.day)
    if name == "google.type.Money":
        return value.units + Decimal(value.nanos) / 10**9
    return value
