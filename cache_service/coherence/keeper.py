"""The keeper: renews this process's lease, and turns the cache on again after an outage."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Protocol

from cache_service.coherence.authority import (
    Authority,
    AuthorityUnavailableError,
    Standing,
    bound,
)
from cache_service.coherence.era import Era
from cache_service.coherence.lease import LEASE_SECONDS, MARGIN_SECONDS, Lease
from cache_service.coherence.memory import Memory
from cache_service.coherence.peers import Peers
from cache_service.coherence.ports import StoreUnavailableError

__all__ = ["Happening", "Keeper", "Server"]

RENEWAL_SECONDS = LEASE_SECONDS / 3


class Happening(Enum):
    """What an operator should see in the log."""

    JOINED = "joined the members: hits are served"
    EXPELLED = "expelled from the members, registering anew"
    LEFT = "left the members: the shared cache is away"
    TURNED_OFF = "turned the cache off: the shared cache is another server"
    OVERTAKEN = "turned the cache off: another database took over"
    TURNED_ON = "turned the cache on with the shared cache as it is now"
    OUTDATED = "serves no hits: another version has newer rules"
    RAISED_RULES = "put newer rules in force"
    UNKNOWN = "the authority does not answer"
    KNOWN = "the authority answers again"


class Server(Protocol):
    """The Redis that this process is connected to."""

    @property
    def connected(self) -> bool:
        """Whether there is a connection, which also hears publications."""

    async def identity(self) -> str | None:
        """Return who the server is if it is a primary that takes writes, else None.

        Raises StoreUnavailableError.
        """

    async def seek(self) -> bool:
        """Look for the primary again; False if there is only the one address."""


class Keeper:
    """Keeps lease and membership. `new_member` gives a name that nobody ever had.

    `clock` gives seconds that only go forward, also while the machine is suspended.
    """

    def __init__(
        self,
        *,
        authority: Authority,
        server: Server,
        lease: Lease,
        memory: Memory,
        peers: Peers,
        rules_version: int,
        new_member: Callable[[], str],
        tell: Callable[[Happening], None],
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._authority = authority
        self._server = server
        self._lease = lease
        self._memory = memory
        self._peers = peers
        self._rules_version = rules_version
        self._new_member = new_member
        self._tell_anyway = tell
        self._clock = clock
        self._sleep = sleep
        self._told: Happening | None = None
        self._sought = False

    async def run(self) -> None:
        """Renew until cancelled. While the authority is away, the lease runs out by itself."""
        unknown = False
        while True:
            try:
                again = await self.turn()
            except AuthorityUnavailableError:
                again = False
                if not unknown:
                    self._tell(Happening.UNKNOWN)
                unknown = True
            else:
                if unknown:
                    self._tell(Happening.KNOWN)
                unknown = False
            if not again:
                await self._sleep(RENEWAL_SECONDS)

    async def turn(self) -> bool:
        """Renew once; tell whether to do so again at once."""
        sent_at = self._clock()
        standing = await self._authority.look()
        if standing.rules_version < self._rules_version:
            await self._authority.demand_rules(self._rules_version)
            self._tell(Happening.RAISED_RULES)
            return True
        former = self._peers.member
        if standing.rules_version > self._rules_version or not self._server.connected:
            outdated = standing.rules_version > self._rules_version
            self._lease.learn(standing)
            await self._leave(Happening.OUTDATED if outdated else Happening.LEFT)
            return False
        if former is None or standing.members.get(former) is not False:
            self._lease.learn(standing)
            await self._join(former)
            return True
        before: Era | None = self._lease.era()
        self._lease.renew(standing, sent_at)
        if before != standing.era:
            self._memory.forget()
        if standing.era is not None:
            self._tell(Happening.JOINED)
        elif standing.store is not None:
            # Off for all who look, and so for good: the row must say so before it is on again.
            await self._authority.turn_off(standing.epoch)
            self._tell(Happening.OVERTAKEN)
            return True
        try:
            return await self._switch(standing, standing.era and standing.era.store)
        except StoreUnavailableError:
            return False

    async def leave(self) -> None:
        """Serve no hits any more, and let nobody wait for this process."""
        former = self._forget()
        if former is not None:
            await self._authority.remove([former])

    async def _leave(self, why: Happening) -> None:
        self._tell(why)
        await self.leave()

    async def _join(self, former: str | None) -> None:
        """Register as somebody new: what was heard as somebody else does not count."""
        if former is not None:
            self._tell(Happening.EXPELLED)
        self._forget()
        member = self._new_member()
        # From here on publications are acknowledged: whoever looks after the registration
        # waits for that.
        self._peers.member = member
        try:
            await self._authority.register(member, former)
        except BaseException:
            self._peers.member = None
            raise

    def _forget(self) -> str | None:
        """Give up the lease, and only then what is in memory and the name of the member."""
        self._lease.end()
        self._memory.forget()
        former, self._peers.member = self._peers.member, None
        return former

    async def _switch(self, standing: Standing, store: str | None) -> bool:
        """Turn off if Redis is not what it was, and on when nobody can have a lease."""
        if store is None and self._lease.off_for(standing.epoch) <= LEASE_SECONDS + MARGIN_SECONDS:
            return False
        identity = await self._server.identity()
        if identity == store:
            self._sought = False
            return False
        if identity is None:
            await self._server.seek()  # This one is no primary any more; perhaps another is.
            return False
        if store is None:
            await self._authority.turn_on(standing.epoch, bound(identity, standing.database))
            self._tell(Happening.TURNED_ON)
            return True
        # Perhaps it is this process that is connected to what is not in force any more.
        if not self._sought and await self._server.seek():
            self._sought = True
            return False
        self._sought = False
        await self._authority.turn_off(standing.epoch)
        self._tell(Happening.TURNED_OFF)
        return True

    def _tell(self, happening: Happening) -> None:
        """Tell of what is new; what goes on is told once."""
        if happening is not self._told:
            self._told = happening
            self._tell_anyway(happening)
