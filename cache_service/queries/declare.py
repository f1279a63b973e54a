"""Declare cached reads: four decorators that turn a loader into a `CachedQuery`.

A cached read is one file of this package. It has a frozen dataclass of normalised
arguments, a function from arguments to tags, a loader, and, where the read is an RPC of
its own, two functions between its messages and those.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar
from urllib.parse import quote

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = [
    "Arguments",
    "CachedQuery",
    "LoadContext",
    "Rpc",
    "cache_analytics",
    "cache_list_result",
    "cache_result",
    "cache_user_data",
]


class Arguments(Protocol):
    """The normalised arguments of a query: a frozen dataclass of plain values."""

    @property
    def organization_id(self) -> int:
        """The organization in whose hash slot the entry lives."""


A = TypeVar("A", bound=Arguments)


@dataclass(frozen=True, slots=True)
class LoadContext:
    """What a loader may use: one read-only snapshot of the primary, and the time.

    `now` may only bound what is past for good (what was over a day ago, say): a cached
    value holds all that is to come, and is cut when it is read.
    """

    connection: AsyncConnection
    now: datetime


Loader = Callable[[LoadContext, Sequence[A]], Awaitable[Sequence[bytes]]]


@dataclass(frozen=True, slots=True)
class Rpc(Generic[A]):
    """How a method (or a report of GetAnalytics) is answered by a query.

    `name` is the method's name (`GetSchedule`) or the report's (`revenue`).
    `arguments(request, today)` validates the request and gives the entries that answer
    it; `today` is the shop's local day if `needs_today(request)`, else None.
    `respond(request, parts, now)` makes the serialised response, without cache_info, of
    each entry's arguments and payload; it cuts what `now` cuts. Where it is absent the
    only entry's payload is the response.
    """

    name: str
    arguments: Callable[[Any, date | None], Sequence[A]]
    respond: Callable[[Any, Sequence[tuple[A, bytes]], datetime], bytes] | None = None
    needs_today: Callable[[Any], bool] = lambda _request: False


@dataclass(frozen=True, slots=True)
class CachedQuery(Generic[A]):
    """A cached read: its name, time to live, tags and loader.

    `load` takes all arguments that miss at once, all of one organization, runs exactly
    one statement, and returns one payload for each, in order. What it raises is never
    cached. `tags` is a function of the arguments alone; the organization's scope tag is
    added by the protocol.
    """

    name: str
    prefix: str
    ttl: timedelta
    tags: Callable[[A], tuple[str, ...]]
    load: Loader[A]
    rpc: Rpc[A] | None = None

    def key(self, arguments: A) -> str:
        """Return the readable key, e.g. `availability:barber:7:service:3:date:2018-05-24`."""
        parts = [self.prefix]
        for label, name in _key_fields(type(arguments)):
            parts += (label, _normalise(getattr(arguments, name)))
        return ":".join(parts)


@cache
def _key_fields(kind: type) -> tuple[tuple[str, str], ...]:
    """Return the fields that make the key, each behind its label.

    The organization is none of them: it is the hash slot already.
    """
    names = [f.name for f in dataclasses.fields(kind) if f.name != "organization_id"]
    return tuple((name.removesuffix("_id"), name) for name in names)


_TEXTS: dict[type, Callable[[Any], str]] = {
    int: str,
    date: date.isoformat,
    bool: lambda value: "yes" if value else "no",
    float: repr,
    type(None): lambda _value: "-",
    # A leading "=" tells an empty or dashed text from an absent one.
    str: lambda value: "=" + quote(value, safe=""),
    tuple: lambda value: ",".join(map(_normalise, value)) or "none",
}


def _normalise(value: object) -> str:
    """Return one text for one value: never an object's repr, never ambiguous."""
    text = _TEXTS.get(type(value))
    if text is None:
        message = f"a key cannot be made of {type(value).__name__}"
        raise TypeError(message)
    return text(value)


def _decorator(
    name: str,
    prefix: str,
    ttl: timedelta,
    tags: Callable[[A], tuple[str, ...]],
    rpc: Rpc[A] | None,
) -> Callable[[Loader[A]], CachedQuery[A]]:
    return lambda load: CachedQuery(name, prefix, ttl, tags, load, rpc)


def cache_result(
    name: str,
    *,
    tags: Callable[[A], tuple[str, ...]],
    ttl: timedelta = timedelta(minutes=5),
    rpc: Rpc[A] | None = None,
) -> Callable[[Loader[A]], CachedQuery[A]]:
    """Declare any cached read; its key begins with its name."""
    return _decorator(name, name, ttl, tags, rpc)


def cache_analytics(
    name: str,
    *,
    tags: Callable[[A], tuple[str, ...]],
    ttl: timedelta = timedelta(minutes=15),
    rpc: Rpc[A] | None = None,
) -> Callable[[Loader[A]], CachedQuery[A]]:
    """Declare a report; its key begins with `analytics:` and its name."""
    return _decorator(name, f"analytics:{name}", ttl, tags, rpc)


def cache_user_data(
    name: str,
    *,
    tags: Callable[[A], tuple[str, ...]],
    ttl: timedelta = timedelta(minutes=5),
    rpc: Rpc[A] | None = None,
) -> Callable[[Loader[A]], CachedQuery[A]]:
    """Declare a read about one client; its key begins with `user:` and its name."""
    return _decorator(name, f"user:{name}", ttl, tags, rpc)


def cache_list_result(
    name: str,
    *,
    tags: Callable[[A], tuple[str, ...]],
    ttl: timedelta = timedelta(minutes=10),
    rpc: Rpc[A] | None = None,
) -> Callable[[Loader[A]], CachedQuery[A]]:
    """Declare one page of a list; filters, page size and page are arguments, so in the key."""
    return _decorator(name, f"list:{name}", ttl, tags, rpc)
