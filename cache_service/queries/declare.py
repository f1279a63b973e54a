"""Declare cached reads: four decorators that turn a loader into a `CachedQuery`.

A cached read is one file of this package. It has a frozen dataclass of normalised
arguments, a function from arguments to tags, a loader, and, where the read is an RPC of
its own, two functions between its messages and those.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    Protocol,
    TypeVar,
    cast,
    get_args,
    get_type_hints,
)

from cache_service.queries.keys import read_key, write_key

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
Seen = Callable[[bytes, datetime], object]


@dataclass(frozen=True, slots=True)
class Rpc(Generic[A]):
    """How a method (or a report of GetAnalytics) is answered by a query.

    `name` is the method's name (`GetSchedule`) or the report's (`revenue`).
    `arguments(request, today)` validates the request and gives the entries that answer
    it; `today` is the shop's local day if `needs_today(request)`, else None.
    `respond(request, parts, now)` makes the serialised response, without cache_info, of
    each entry's arguments and payload; it cuts what `now` cuts, and says until when (seconds
    since the epoch) the same payloads make that same response: the moment at which `now`
    would cut otherwise, infinite if it never will. Where it is absent the only entry's
    payload is the response.
    """

    name: str
    arguments: Callable[[Any, date | None], Sequence[A]]
    respond: Callable[[Any, Sequence[tuple[A, bytes]], datetime], tuple[bytes, float]] | None = None
    needs_today: Callable[[Any], bool] = lambda _request: False


@dataclass(frozen=True, slots=True)
class CachedQuery(Generic[A]):
    """A cached read: its name, time to live, tags and loader.

    `load` takes all arguments that miss at once, all of one organization, runs exactly
    one statement, and returns one payload for each, in order. What it raises is never
    cached. `tags` is a function of the arguments alone; the organization's scope tag is
    added by the protocol. `seen(payload, now)` gives what a reader at that time sees of a
    payload from which the loader leaves what is past for good; of a query without it, two
    loads of the same data are the same bytes.

    `version` is of what a payload says and how it is laid out. It is part of the key: beside
    processes of another version, or after one, a payload is read only by who would have made
    the same. Whoever changes what a loader makes of the same data raises it.
    """

    name: str
    prefix: str
    ttl: timedelta
    tags: Callable[[A], tuple[str, ...]]
    load: Loader[A]
    rpc: Rpc[A] | None = None
    seen: Seen | None = None
    version: int = 1

    def key(self, arguments: A) -> str:
        """Return the readable key, e.g. `availability:barber:7:service:3:date:2018-05-24`."""
        return write_key(self._versioned, arguments)

    @property
    def _versioned(self) -> str:
        """What its keys begin with: `availability`, then `availability.2`, and so on."""
        return self.prefix if self.version == 1 else f"{self.prefix}.{self.version}"

    @property
    def kind(self) -> type[A]:
        """The dataclass of its arguments, as its loader declares it."""
        return cast("type[A]", _kind(self.load))

    def parse(self, organization_id: int, key: str) -> A | None:
        """Return the arguments of which a key was made; None if it is not one of this query's."""
        return cast("A | None", read_key(self._versioned, self.kind, organization_id, key))

    def same(self, one: bytes, other: bytes, now: datetime) -> bool:
        """Tell whether two payloads of the same arguments say the same to a reader at `now`."""
        if one == other:
            return True
        return self.seen is not None and self.seen(one, now) == self.seen(other, now)


@cache
def _kind(load: Callable[..., object]) -> type:
    """Return the type of the elements of a loader's `arguments`."""
    (kind,) = get_args(get_type_hints(load)["arguments"])
    return cast("type", kind)


def _decorator(
    name: str,
    prefix: str,
    ttl: timedelta,
    tags: Callable[[A], tuple[str, ...]],
    rpc: Rpc[A] | None,
    *,
    version: int,
    seen: Seen | None = None,
) -> Callable[[Loader[A]], CachedQuery[A]]:
    return lambda load: CachedQuery(name, prefix, ttl, tags, load, rpc, seen, version)


def cache_result(
    name: str,
    *,
    tags: Callable[[A], tuple[str, ...]],
    ttl: timedelta = timedelta(minutes=5),
    rpc: Rpc[A] | None = None,
    seen: Seen | None = None,
    version: int = 1,
) -> Callable[[Loader[A]], CachedQuery[A]]:
    """Declare any cached read; its key begins with its name."""
    return _decorator(name, name, ttl, tags, rpc, version=version, seen=seen)


def cache_analytics(
    name: str,
    *,
    tags: Callable[[A], tuple[str, ...]],
    ttl: timedelta = timedelta(minutes=15),
    rpc: Rpc[A] | None = None,
    version: int = 1,
) -> Callable[[Loader[A]], CachedQuery[A]]:
    """Declare a report; its key begins with `analytics:` and its name."""
    return _decorator(name, f"analytics:{name}", ttl, tags, rpc, version=version)


def cache_user_data(
    name: str,
    *,
    tags: Callable[[A], tuple[str, ...]],
    ttl: timedelta = timedelta(minutes=5),
    rpc: Rpc[A] | None = None,
    seen: Seen | None = None,
    version: int = 1,
) -> Callable[[Loader[A]], CachedQuery[A]]:
    """Declare a read about one client; its key begins with `user:` and its name."""
    return _decorator(name, f"user:{name}", ttl, tags, rpc, version=version, seen=seen)


def cache_list_result(
    name: str,
    *,
    tags: Callable[[A], tuple[str, ...]],
    ttl: timedelta = timedelta(minutes=10),
    rpc: Rpc[A] | None = None,
    version: int = 1,
) -> Callable[[Loader[A]], CachedQuery[A]]:
    """Declare one page of a list; filters, page size and page are arguments, so in the key."""
    return _decorator(name, f"list:{name}", ttl, tags, rpc, version=version)
