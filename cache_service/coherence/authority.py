"""The authority: one row in Postgres that says what is in force, and a row for each member."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from cache_service.coherence.era import Era

__all__ = ["Authority", "AuthorityUnavailableError", "Standing", "bound"]


class AuthorityUnavailableError(Exception):
    """Postgres did not answer: nobody knows what is in force."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What one statement on the primary saw.

    `store` is the identity of the Redis in force and of the database that put it in force
    (see `bound`), None while the cache is off. `members` tells for each member whether it is
    expelled. `snapshot` is that of the statement.
    """

    database: str
    epoch: str
    store: str | None
    rules_version: int
    members: Mapping[str, bool]
    snapshot: str

    @property
    def era(self) -> Era | None:
        """Return the era in force, None while the cache is off.

        None, too, where another database took over the row: who has not looked since has a
        lease on the former era yet, and under that its guards are deleted by nobody any more.
        """
        server, _, database = (self.store or "").rpartition(" ")
        return Era(self.database, self.epoch, server) if database == self.database else None


def bound(server: str, database: str) -> str:
    """Return the `store` of a Redis that this database puts in force."""
    return f"{server} {database}"


class Authority(Protocol):
    """Reads and changes what is in force. Every method raises AuthorityUnavailableError.

    Each call is one statement, committed when it returns. A change takes place only if what
    it names is still so; who wants to know what became of it looks.
    """

    async def look(self) -> Standing:
        """Return what is in force now: the statement begins after the call."""

    async def turn_off(self, epoch: str) -> None:
        """Put another epoch without any store in that one's place."""

    async def turn_on(self, epoch: str, store: str) -> None:
        """Put another epoch with this store in the place of that one, which has none."""

    async def demand_rules(self, version: int) -> None:
        """Turn off, and let nobody with an older table of rules take part any more."""

    async def register(self, member: str, former: str | None) -> None:
        """Make a process a member, in the place of what it was before."""

    async def expel(self, members: Collection[str]) -> None:
        """Let these members have no lease from now on; those they have run out."""

    async def remove(self, members: Collection[str]) -> None:
        """Forget members that are expelled, whose leases have run out, or that leave."""
