"""Keys: readable, made of normalised arguments, and read back into them.

A key is the query's prefix and then, for each field of its arguments, a label and a value,
all parted by colons, which no value contains: `availability:barber:7:service:3:date:2018-05-24`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Hashable
from datetime import date
from functools import cache
from types import UnionType
from typing import Any, Union, cast, get_args, get_origin, get_type_hints
from urllib.parse import quote, unquote

__all__ = ["read_key", "without_texts", "write_key"]

_NOTHING, _NONE = "-", "none"
_BOOLS = {"yes": True, "no": False}


def write_key(prefix: str, arguments: object) -> str:
    """Return the key of a frozen dataclass of plain values; TypeError for other values.

    The organization is no part of it: it is the hash slot already.
    """
    parts = [prefix]
    for label, name in _key_fields(cast("Hashable", type(arguments))):
        parts += (label, _write(getattr(arguments, name)))
    return ":".join(parts)


def read_key(prefix: str, kind: type[Any], organization_id: int, key: str) -> Any:  # noqa: ANN401 - one of that kind
    """Return the arguments of which a key was made, None if it is not one of theirs."""
    if key != prefix and not key.startswith(f"{prefix}:"):
        return None
    parts = key[len(prefix) + 1 :].split(":") if key != prefix else []
    fields = _key_fields(cast("Hashable", kind))
    if parts[::2] != [label for label, _ in fields] or len(parts) != 2 * len(fields):
        return None
    hints = get_type_hints(kind)
    try:
        values = {
            name: _read(hints[name], text)
            for (_, name), text in zip(fields, parts[1::2], strict=True)
        }
    except (KeyError, ValueError):
        return None
    arguments = kind(organization_id=organization_id, **values)
    # What reads like it but is not written so is none of ours, such as `barber:07`.
    return arguments if write_key(prefix, arguments) == key else None


def without_texts(key: str) -> str:
    """Return a key without what callers typed, which may name a person."""
    return re.sub(r"=[^:,]+", "=*", key)


@cache
def _key_fields(kind: Hashable) -> tuple[tuple[str, str], ...]:
    """Return the fields that make the key, each behind its label."""
    names = [f.name for f in dataclasses.fields(cast("Any", kind)) if f.name != "organization_id"]
    return tuple((name.removesuffix("_id"), name) for name in names)


_TEXTS: dict[type, Callable[[Any], str]] = {
    int: str,
    date: date.isoformat,
    bool: lambda value: "yes" if value else "no",
    float: repr,
    type(None): lambda _value: _NOTHING,
    # A leading "=" tells an empty or dashed text from an absent one.
    str: lambda value: "=" + quote(value, safe=""),
    tuple: lambda value: ",".join(map(_write, value)) or _NONE,
}
_VALUES: dict[object, Callable[[str], Any]] = {
    int: int,
    date: date.fromisoformat,
    bool: _BOOLS.__getitem__,
    float: float,
    str: lambda text: unquote(text.removeprefix("=")),
}


def _write(value: object) -> str:
    """Return one text for one value: never an object's repr, never ambiguous."""
    text = _TEXTS.get(type(value))
    if text is None:
        message = f"a key cannot be made of {type(value).__name__}"
        raise TypeError(message)
    return text(value)


def _read(hint: Any, text: str) -> Any:  # noqa: ANN401 - any type and its value
    """Read a value of an annotated type: a plain one, an optional one, or a tuple of one."""
    if get_origin(hint) in {Union, UnionType}:
        (plain,) = (one for one in get_args(hint) if one is not type(None))
        return None if text == _NOTHING else _read(plain, text)
    if get_origin(hint) is tuple:
        return (
            () if text == _NONE else tuple(_read(get_args(hint)[0], one) for one in text.split(","))
        )
    return _VALUES[hint](text)
