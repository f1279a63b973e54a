"""What the use cases need of the world around them."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["CacheNotifier", "Changes", "Tokens", "Unit", "Units"]


class Changes(NamedTuple):
    """A transaction's id and what its acknowledgement says is applied.

    `events` are each the JSON of one `chairside.cache.v1.Event`: its own, and after them
    those that its organization had pending, for it may be built on what they tell.
    `database` names the cluster and timeline in which the id means something.
    """

    xid: int
    events: Sequence[str]
    database: str


class Unit(Protocol):
    """One READ COMMITTED transaction, rolled back unless it is committed."""

    @property
    def connection(self) -> AsyncConnection:
        """The connection on which it is open."""
        ...

    async def database(self) -> str:
        """Name the cluster and timeline that transaction ids and snapshots belong to."""
        ...

    async def changes(self, organization_id: int) -> Changes:
        """Read what the triggers wrote for this transaction so far, and what is pending."""
        ...

    async def commit(self) -> None:
        """Make it so."""
        ...


class Units(Protocol):
    """Open transactions."""

    def __call__(self) -> AbstractAsyncContextManager[Unit]:
        """Open one."""
        ...


class CacheNotifier(Protocol):
    """Tell the cache what changed."""

    async def invalidate(self, events: Sequence[str], timeout: float) -> bool:  # noqa: ASYNC109 - a bound of the whole, not of one await
        """Drop all that the events touch within `timeout` seconds; False if that failed."""
        ...


class Tokens(Protocol):
    """Make the tokens that stand for a state of the database."""

    def mutation(self, changes: Changes, *, applied: bool) -> bytes:
        """Stand for a committed transaction, invalidated (`applied`) or not."""
        ...

    def snapshot(self, database: str, snapshot: str) -> bytes:
        """Stand for all that a snapshot (the text of `pg_current_snapshot()`) has seen."""
        ...
