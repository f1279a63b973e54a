"""Leases, keepers, peers and invalidators with one rule left out each."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any

from cache_service.coherence.authority import Standing, bound
from cache_service.coherence.era import Era
from cache_service.coherence.invalidator import Invalidator
from cache_service.coherence.keeper import Keeper
from cache_service.coherence.lease import Lease
from cache_service.coherence.looks import Looks
from cache_service.coherence.peers import Peers, Publication

__all__ = [
    "AnyDatabasesInvalidator",
    "AnyDatabasesKeeper",
    "EndlessLease",
    "ExpelsAtOnce",
    "Fenceless",
    "ForgetfulKeeper",
    "ForgetsTheExpelled",
    "HastyKeeper",
    "HastyPeers",
    "LeaseFromArrival",
    "LooksFirst",
    "OneDatabasesLease",
    "UnacknowledgedPeers",
    "UnhurriedPeers",
]


class EndlessLease(Lease):
    """Once held, a lease is held until something else is seen to be in force."""

    def era(self) -> Era | None:
        """Return the era without looking at the clock."""
        return self._held


class LeaseFromArrival(Lease):
    """Counts the lease from when the answer came."""

    def renew(self, standing: Standing, sent_at: float) -> None:
        """Hold the era for longer than the others think."""
        super().renew(standing, self._clock())


class OneDatabasesLease(Lease):
    """Takes the era of a database that took over for one in force."""

    def learn(self, standing: Standing) -> None:
        """Take the row as this database's own."""
        super().learn(_taken_over(standing))


class AnyDatabasesKeeper(Keeper):
    """Goes on under the epoch of the former database."""

    async def turn(self) -> bool:
        """Take the row as this database's own."""
        authority, self._authority = self._authority, _TakenOver(self._authority)
        try:
            return await super().turn()
        finally:
            self._authority = authority


class AnyDatabasesInvalidator(Invalidator):
    """Invalidates under the epoch of the former database, as the present one's."""

    async def invalidate(self, touched: Mapping[int, AbstractSet[str]]) -> Standing:
        """Take the row as this database's own."""
        own = Invalidator.__new__(Invalidator)
        own.__dict__.update(self.__dict__, _looks=_TakenOver(self._looks))
        return await Invalidator.invalidate(own, touched)


class _TakenOver:
    """An authority, or looks at it, that says of every row that it is this database's own."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def look(self) -> Standing:
        """Return what is in force, whoever put it there."""
        return _taken_over(await self._real.look())


def _taken_over(standing: Standing) -> Standing:
    if standing.store is None:
        return standing
    server = standing.store.rpartition(" ")[0]
    return replace(standing, store=bound(server, standing.database))


class UnacknowledgedPeers(Peers):
    """Waits for nobody to acknowledge."""

    async def silent(
        self, _numbers: Collection[int], _members: Collection[str], _seconds: float
    ) -> set[str]:
        """Take it that all have heard."""
        return set()


class UnhurriedPeers(Peers):
    """Waits for long enough that all who are connected have heard, and expels nobody."""

    async def silent(
        self, _numbers: Collection[int], _members: Collection[str], seconds: float
    ) -> set[str]:
        """Take it that all have heard by then."""
        await self._sleep(seconds)
        return set()


class HastyPeers(Peers):
    """Acknowledges what it has not dropped."""

    def heard(self, publication: Publication) -> None:
        """Acknowledge, and drop a little later."""
        now = super().heard
        drop, self._memory.drop = self._memory.drop, _nothing  # type: ignore[method-assign,assignment]
        try:
            now(publication)
        finally:
            self._memory.drop = drop  # type: ignore[method-assign]


class ForgetsTheExpelled(Invalidator):
    """Waits for the leases of those whom it expels itself, and not of the others' expelled."""

    async def _everywhere(self, numbers: list[int], standing: Standing) -> None:
        members = {name: gone for name, gone in standing.members.items() if not gone}
        await super()._everywhere(numbers, replace(standing, members=members))


class ExpelsAtOnce(Invalidator):
    """Expels who is silent, and does not wait until their leases have run out."""

    async def _everywhere(self, numbers: list[int], standing: Standing) -> None:
        gone = {member for member, expelled in standing.members.items() if expelled}
        silent = await self._peers.silent(numbers, standing.members.keys() - gone, 0.25)
        if silent:
            await self._authority.expel(silent)


class LooksFirst(Invalidator):
    """Looks at the members before the script, and not after it."""

    async def invalidate(self, touched: Mapping[int, AbstractSet[str]]) -> Standing:
        """Invalidate with a look of before."""
        before = await self._looks.look()
        own = Invalidator.__new__(Invalidator)
        own.__dict__.update(self.__dict__, _looks=_Seen(before, self._looks))
        return await Invalidator.invalidate(own, touched)


class _Seen:
    """A look that was taken before; those after it are taken when they are asked for."""

    def __init__(self, standing: Standing, looks: Looks) -> None:
        self._standing: Standing | None = standing
        self._looks = looks

    async def look(self) -> Standing:
        """Return what was seen then, once."""
        standing, self._standing = self._standing, None
        return standing or await self._looks.look()


class Fenceless(Invalidator):
    """Turns the cache off and waits for no lease."""

    async def _known_off(self, epoch: str) -> None:
        """Wait for nothing."""


class HastyKeeper(Keeper):
    """Turns the cache on as soon as it sees that it is off."""

    async def _switch(self, standing: Standing, store: str | None) -> bool:
        lease, self._lease = self._lease, _LongOff()  # type: ignore[assignment]
        try:
            return await super()._switch(standing, store)
        finally:
            self._lease = lease


class _LongOff:
    """A lease that knows every epoch for long."""

    @staticmethod
    def off_for(_epoch: str) -> float:
        """Return a long time."""
        return 1e9


class ForgetfulKeeper(Keeper):
    """Registers anew and keeps what it has in memory."""

    def _forget(self) -> str | None:
        former, self._peers.member = self._peers.member, None
        return former


def _nothing(*_arguments: Any) -> None:
    """Do nothing."""
