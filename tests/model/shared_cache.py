"""One process's way to the shared cache: the protocol's `Store` and `Server` over a wire."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from cache_service.coherence.entry import NONCE_BYTES
from cache_service.coherence.era import Era
from cache_service.coherence.peers import Peers, Publication
from cache_service.coherence.ports import Filled, StoreUnavailableError, Taken, Wanted
from cache_service.coherence.pushes import Pushes
from tests.model import requests
from tests.model.clockwork import Loop, World
from tests.model.valkey import Cluster
from tests.model.wires import Wire

__all__ = ["SharedCache"]

TIMEOUT = 0.25
_FIRST_PAUSE = 0.05
_LAST_PAUSE = 1.0
_ROUNDING = 1e-6


class SharedCache:
    """Connects, and connects again; `changed(why)` is told as the real connection tells it.

    A call waits `TIMEOUT` seconds; if the server was silent for so long, the connection is
    given up. What is published comes on the same connection, in its order.
    """

    checks_run_id = True

    def __init__(
        self,
        world: World,
        loop: Loop,
        cluster: Cluster,
        publisher: str,
        changed: Callable[[str | None], None],
    ) -> None:
        self._world = world
        self._loop = loop
        self._cluster = cluster
        self._publisher = publisher
        self._changed = changed
        self._pending: dict[asyncio.Future[Any], float] = {}
        self._names: dict[Era, str] = {}
        self._pause = _FIRST_PAUSE
        self._wire: Wire | None = None
        self._greeting: Wire | None = None
        self._held = (False, False)
        self._watching = False
        self.peers: Peers | None = None
        self.pushes = Pushes()

    @property
    def connected(self) -> bool:
        """Whether there is a connection."""
        return self._wire is not None

    def connect(self) -> None:
        """Connect, to whom it may reach; try again if nobody greets."""
        wire = Wire(self._world, self._loop, self._cluster.located(), self._lost)
        wire.heard = self._heard
        wire.publisher = self._publisher
        wire.hold(up=self._held[0], down=self._held[1])
        self._greeting = wire
        wire.request(requests.greet, self._greeted, wire)
        self._loop.call_later(TIMEOUT, self._ungreeted, wire)

    async def identity(self) -> str | None:
        """Return who the server is if it is a primary that takes writes, else None."""
        wire = self._wire
        replid: str | None = await self._ask(None, requests.identity)
        return None if replid is None or wire is None else f"{wire.run_id}:{replid}"

    async def seek(self) -> bool:
        """Look for the primary again; False if there is only the one address."""
        if self._cluster.fixed:
            return False
        if self._wire is not None:
            self._wire.abort()
        return True

    def acknowledge(self, publication: Publication, member: str) -> None:
        """Tell a publisher that it was heard, waiting for nothing."""
        if self._wire is not None:
            what = publication.publisher, publication.number, member
            self._wire.request(requests.acknowledge, *what)

    def full_key(self, era: Era, _organization_id: int, key: str) -> str:
        """Return the name of an entry."""
        name = self._names.get(era)
        if name is None:
            name = self._names[era] = era.name
        return f"{name}/{key}"

    def guard_key(self, era: Era, tag: str) -> str:
        """Return the name of a guard."""
        return self.full_key(era, 0, f"guard:{tag}")

    async def fetch(
        self, era: Era, organization_id: int, keys: Sequence[str], tags: Sequence[str]
    ) -> tuple[Sequence[bytes | None], Sequence[bytes | None]]:
        """Return entries and guards."""
        names = [self.full_key(era, organization_id, key) for key in keys]
        guards = [self.guard_key(era, tag) for tag in tags]
        found: tuple[list[bytes | None], list[bytes | None]]
        found = await self._ask(era, requests.fetch, names, guards)
        return found

    async def claim(self, era: Era, _organization_id: int, tags: Sequence[str]) -> Sequence[bytes]:
        """Return the guards, made where they were missing."""
        found: list[bytes]
        found = await self._ask(era, requests.claim, [self.guard_key(era, tag) for tag in tags])
        return found

    async def take(
        self, era: Era, organization_id: int, wanted: Sequence[Wanted]
    ) -> Sequence[Taken]:
        """Claim guards and take locks."""
        token = self._world.random.randbytes(NONCE_BYTES)
        entries = [
            (
                self.full_key(era, organization_id, one.key),
                one.seen,
                [self.guard_key(era, tag) for tag in one.tags],
            )
            for one in wanted
        ]
        taken = []
        for nonces, what in await self._ask(era, requests.take, entries, token):
            raw = what if isinstance(what, bytes) else None
            taken.append(Taken(tuple(nonces), raw, token if what is True else b""))
        return taken

    async def put(self, era: Era, organization_id: int, filled: Filled) -> bool:
        """Store the entry if every guard has its nonce."""
        entry = self.full_key(era, organization_id, filled.key)
        guards = [self.guard_key(era, tag) for tag in filled.tags]
        what = entry, filled.raw, guards, filled.nonces, filled.token
        stored: bool = await self._ask(era, requests.put, *what)
        return stored

    async def renew(
        self, era: Era, organization_id: int, keys: Sequence[str], token: bytes
    ) -> None:
        """Let locks last."""
        entries = [self.full_key(era, organization_id, key) for key in keys]
        await self._ask(era, requests.renew, entries, token)

    async def release(
        self, era: Era, organization_id: int, keys: Sequence[str], token: bytes
    ) -> None:
        """Release locks."""
        entries = [self.full_key(era, organization_id, key) for key in keys]
        await self._ask(era, requests.release, entries, token)

    async def invalidate(
        self, era: Era, organization_id: int, tags: Sequence[str], number: int
    ) -> None:
        """Delete the guards and publish the tags."""
        publication = Publication(self._publisher, number, organization_id, tuple(tags))
        await self._ask(
            era, requests.invalidate, [self.guard_key(era, tag) for tag in tags], publication
        )

    def cut(self) -> None:
        """Lose the connection."""
        for wire in (self._wire, self._greeting):
            if wire is not None:
                wire.cut()

    def hold(self, *, up: bool, down: bool) -> None:
        """Let nothing through, one way or both."""
        self._held = (up, down)
        for wire in (self._wire, self._greeting):
            if wire is not None:
                wire.hold(up=up, down=down)

    def let_go(self) -> None:
        """Let everything through again."""
        self._held = (False, False)
        for wire in (self._wire, self._greeting):
            if wire is not None:
                wire.let_go()

    async def _ask(self, era: Era | None, command: Callable[..., Any], *arguments: Any) -> Any:
        wire = self._wire
        if wire is None:
            message = "not connected"
            raise StoreUnavailableError(message)
        run_id, history = wire.run_id, None
        if era is not None:
            run_id, _, history = (era.store).partition(":")
        if self.checks_run_id and run_id != wire.run_id:
            message = "this is not the server in force"
            raise StoreUnavailableError(message)
        future: asyncio.Future[Any] = self._loop.create_future()
        self._pending[future] = self._loop.time() + TIMEOUT
        if not self._watching:
            self._watching = True
            self._loop.call_later(TIMEOUT, self._watch)
        wire.request(requests.serve, future, run_id, history, command, arguments)
        try:
            return await future
        finally:
            self._pending.pop(future, None)

    def _watch(self) -> None:
        """Fail calls that waited too long, and give the connection up if all is silent.

        One timer watches all calls, as in the real connection.
        """
        self._watching = False
        now = self._loop.time()
        for future, due in list(self._pending.items()):
            if due > now + _ROUNDING:
                self._watching = True
                self._loop.call_later(due - now, self._watch)
                return
            wire = self._wire
            if wire is not None and wire.heard_at < self._world.now - TIMEOUT / self._loop.rate:
                wire.abort()
            requests.fail(future, "no answer in time")

    def _heard(self, what: Publication | tuple[int, str] | str) -> None:
        peers = self.peers
        if isinstance(what, str):
            self.pushes.heard(what)
        elif peers is None:
            return
        elif isinstance(what, Publication):
            peers.heard(what)
        else:
            peers.acknowledged(*what)

    def _greeted(self, wire: Wire) -> None:
        if wire is self._greeting and not wire.dead:
            self._greeting, self._wire = None, wire
            self._pause = _FIRST_PAUSE
            self._changed(None)

    def _ungreeted(self, wire: Wire) -> None:
        if wire is self._greeting:
            wire.abort()

    def _lost(self, wire: Wire) -> None:
        if wire is self._wire:
            self._wire = None
            self._changed("connection lost")
            for future in list(self._pending):
                requests.fail(future, "connection lost")
        elif wire is self._greeting:
            self._greeting = None
        else:
            return
        self._loop.call_later(self._pause, self.connect)
        self._pause = min(self._pause * 2, _LAST_PAUSE)
