"""Invalidators, keepers, relays and servers with one rule about changes left out each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any

from cache_service.coherence.authority import Standing, bound
from cache_service.coherence.invalidator import Invalidator
from cache_service.coherence.keeper import Keeper
from cache_service.coherence.lease import LEASE_SECONDS, MARGIN_SECONDS
from cache_service.coherence.peers import Publication
from tests.model.postgres import NEWEST, OutboxRow
from tests.model.relay import Relay
from tests.model.valkey import Server

__all__ = [
    "DeletesFirst",
    "GoesOnExpelled",
    "GoesOnFromLast",
    "InvalidatesOnce",
    "Marginless",
    "OutdatedInvalidator",
    "OutdatedKeeper",
    "PublishesWhatItFinds",
    "SwitchesAtOnce",
]


class PublishesWhatItFinds(Server):
    """Publishes those tags whose guards are there to delete."""

    _found: AbstractSet[str] = frozenset()

    def invalidate(self, guards: Sequence[str]) -> None:
        """Take note of what is there."""
        self._found = {guard.partition("/guard:")[2] for guard in guards if guard in self.data}
        super().invalidate(guards)

    def publish(self, publication: Publication) -> None:
        """Publish that."""
        found = tuple(tag for tag in publication.tags if tag in self._found)
        super().publish(publication._replace(tags=found))


class InvalidatesOnce(Invalidator):
    """Is content with the script under the epoch known, whatever is in force afterwards."""

    async def invalidate(self, touched: Mapping[int, AbstractSet[str]]) -> Standing:
        """Run the script, and look only for the members."""
        era = self._lease.known
        numbers = [] if era is None else await self._told(era, touched)
        if not numbers:
            return await super().invalidate(touched)
        try:
            standing = await self._looks.look()
            await self._everywhere(numbers, standing)
        finally:
            self._peers.done(numbers)
        return standing


class Marginless(Invalidator):
    """Waits for L alone: its seconds are as much shorter as the margin is longer."""

    def __init__(self, **parts: Any) -> None:
        clock, sleep, faster = parts["clock"], parts["sleep"], 1 + MARGIN_SECONDS / LEASE_SECONDS
        parts["clock"] = lambda: clock() * faster
        parts["sleep"] = lambda seconds: sleep(seconds / faster)
        super().__init__(**parts)


class GoesOnExpelled(Keeper):
    """Takes itself for a member for as long as it has a name."""

    async def turn(self) -> bool:
        """Renew, whatever became of the membership."""
        authority, self._authority = self._authority, _Rewritten(self._authority, self._member)
        try:
            return await super().turn()
        finally:
            self._authority = authority

    def _member(self, standing: Standing) -> Standing:
        name = self._peers.member
        return standing if name is None else replace(standing, members={name: False})


class SwitchesAtOnce(Keeper):
    """Puts another identity in force in the place of one: the cache is off for no time."""

    async def _switch(self, standing: Standing, store: str | None) -> bool:
        identity = await self._server.identity()
        if store is None or identity is None or identity == store:
            return await super()._switch(standing, store)
        await self._authority.turn_off(standing.epoch)
        off = await self._authority.look()
        await self._authority.turn_on(off.epoch, bound(identity, off.database))
        return True


class OutdatedInvalidator(Invalidator):
    """Invalidates by an older table of rules than that in force."""

    def __init__(self, **parts: Any) -> None:
        super().__init__(**{**parts, "rules_version": NEWEST})


class OutdatedKeeper(Keeper):
    """Serves hits by an older table of rules than that in force."""

    async def turn(self) -> bool:
        """Renew as if the rules in force were its own."""
        authority, self._authority = self._authority, _Rewritten(self._authority, self._own)
        try:
            return await super().turn()
        finally:
            self._authority = authority

    def _own(self, standing: Standing) -> Standing:
        return replace(standing, rules_version=min(standing.rules_version, self._rules_version))


class DeletesFirst(Relay):
    """Deletes from the outbox what it is about to apply."""

    async def apply(self, tags: Iterable[str], xids: Iterable[int]) -> None:
        """Delete, and then apply."""
        await self.primary.forget(tuple(xids))
        await self.invalidate(tags)


class GoesOnFromLast(Relay):
    """Remembers the last transaction that it has seen, and goes on from there."""

    _last = 0

    def due(self, rows: Iterable[OutboxRow]) -> list[OutboxRow]:
        """Return what has a later id."""
        later = [row for row in super().due(rows) if row.xid > self._last]
        self._last = max((row.xid for row in later), default=self._last)
        return later


class _Rewritten:
    """An authority, seen as `rewrite` gives it back."""

    def __init__(self, real: Any, rewrite: Any) -> None:
        self._real = real
        self._rewrite = rewrite

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def look(self) -> Standing:
        """Return what is in force, rewritten."""
        standing: Standing = self._rewrite(await self._real.look())
        return standing
