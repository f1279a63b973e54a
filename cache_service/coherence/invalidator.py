"""Invalidate, whole: steps 8 and 9 of the protocol.

When `invalidate` returns, no process serves a hit that is older than the change: the
guards are gone from the Redis in force, and every member has dropped the tags from its
memory or has no lease any more; or the cache is off and every lease from before has run out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Protocol

from cache_service.coherence.authority import Authority, Standing
from cache_service.coherence.era import Era
from cache_service.coherence.lease import LEASE_SECONDS, MARGIN_SECONDS, Lease
from cache_service.coherence.looks import Looks
from cache_service.coherence.peers import Peers
from cache_service.coherence.ports import Store, StoreUnavailableError
from cache_service.coherence.waiting import gathered

__all__ = ["InvalidationObserver", "Invalidator", "RulesOutdatedError"]

STORE_PATIENCE = 0.3
"""Seconds in which Redis must take the script; then the cache is turned off instead."""
MEMBER_PATIENCE = 0.25
"""Seconds in which a member must acknowledge; then it is expelled."""
_RUN_OUT = LEASE_SECONDS + MARGIN_SECONDS
_RETRY = 0.02
_POLL = 0.05

Touched = Mapping[int, AbstractSet[str]]


class RulesOutdatedError(Exception):
    """Another version has put a newer table of rules in force: this one knows too few tags."""


class InvalidationObserver(Protocol):
    """Counts of the process; must not raise."""

    fences: int
    expulsions: int

    def invalidated(self, tags: int, seconds: float) -> None:
        """Tell of one invalidation applied, of so many tags, and how long that took."""


class Invalidator:
    """Applies changes to every cache there is.

    `clock` gives seconds that only go forward. Repeats are harmless.
    """

    def __init__(
        self,
        *,
        store: Store,
        authority: Authority,
        lease: Lease,
        peers: Peers,
        observer: InvalidationObserver,
        rules_version: int,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._store = store
        self._authority = authority
        self._lease = lease
        self._looks = Looks(authority, lease)
        self._peers = peers
        self._observer = observer
        self._rules_version = rules_version
        self._clock = clock
        self._sleep = sleep

    async def invalidate(self, touched: Touched) -> Standing:
        """Invalidate tags of each organization; return what was in force afterwards.

        Raises AuthorityUnavailableError if Postgres is away, and RulesOutdatedError;
        nothing is known to be applied then.
        """
        began = self._clock()
        touched = {organization_id: tags for organization_id, tags in touched.items() if tags}
        era = self._lease.known
        while True:
            numbers = [] if era is None else await self._told(era, touched)
            try:
                standing = await self._looks.look()
                if standing.rules_version > self._rules_version:
                    raise RulesOutdatedError
                if era is not None and standing.era == era:
                    if numbers or not touched:
                        await self._everywhere(numbers, standing)
                        break
                    standing = await self._fence(era)
            finally:
                self._peers.done(numbers)
            era = standing.era
            if era is None:
                await self._known_off(standing.epoch)
                break
        self._observer.invalidated(sum(map(len, touched.values())), self._clock() - began)
        return standing

    async def _told(self, era: Era, touched: Touched) -> list[int]:
        """Run the script for each organization; return the publications' numbers, or none."""
        end = self._clock() + STORE_PATIENCE
        while True:
            numbers = {organization_id: self._peers.publish() for organization_id in touched}
            try:
                await gathered(
                    self._store.invalidate(era, organization_id, sorted(tags), number)
                    for (organization_id, tags), number in zip(
                        touched.items(), numbers.values(), strict=True
                    )
                )
            except BaseException as error:
                self._peers.done(numbers.values())
                if not isinstance(error, StoreUnavailableError):
                    raise
                if self._clock() >= end:
                    return []
                await self._sleep(_RETRY)
            else:
                return list(numbers.values())

    async def _everywhere(self, numbers: list[int], standing: Standing) -> None:
        """Wait until every member has dropped the tags, or can serve nothing any more."""
        gone = {member for member, expelled in standing.members.items() if expelled}
        silent = await self._peers.silent(numbers, standing.members.keys() - gone, MEMBER_PATIENCE)
        if silent:
            await self._authority.expel(silent)
            self._observer.expulsions += len(silent)
        # One that somebody else expelled may still have a lease: it is waited for, too.
        gone |= silent
        end = self._clock() + _RUN_OUT
        while gone:
            left = end - self._clock()
            if left <= 0:
                await self._authority.remove(gone)
                return
            await self._sleep(min(left, _POLL))
            # Who is not there any more has registered anew, with nothing in its memory, or
            # was waited for by somebody else.
            gone &= (await self._looks.look()).members.keys()

    async def _fence(self, era: Era) -> Standing:
        """Turn the cache off, since Redis does not take the script; look what became of it."""
        await self._authority.turn_off(era.epoch)
        self._observer.fences += 1
        return await self._looks.look()

    async def _known_off(self, epoch: str) -> None:
        """Wait until every lease on what was in force before that epoch has run out."""
        since = self._clock() - self._lease.off_for(epoch)
        while (left := since + _RUN_OUT - self._clock()) > 0:
            await self._sleep(left)
