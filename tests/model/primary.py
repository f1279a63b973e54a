"""One process's way to the database: the protocol's `Authority`, loads, and the outbox."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Any

from cache_service.coherence.authority import AuthorityUnavailableError, Standing
from cache_service.coherence.ports import Loaded, Read
from tests.model.clockwork import Loop, World
from tests.model.postgres import Database, OutboxRow

__all__ = ["DatabaseAwayError", "Primary"]

TIMEOUT = 0.5
_ROUNDING = 1e-6


class DatabaseAwayError(Exception):
    """The database did not answer a load."""


class Primary:
    """Each call is one statement: it arrives late, takes effect, and is answered late.

    While the way is held, requests or answers wait. A statement that failed may have been
    done, once or twice, and much later.
    """

    def __init__(self, world: World, loop: Loop, database: Database) -> None:
        self._world = world
        self._loop = loop
        self._database = database
        self._kept: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        self._up = False
        self._down = False
        self._pending: dict[asyncio.Future[Any], float] = {}
        self._watching = False
        self.flaky = 0.0
        self.patience = TIMEOUT

    @property
    def waiting(self) -> bool:
        """Whether a statement is under way."""
        return bool(self._pending)

    async def look(self) -> Standing:
        """Return what is in force."""
        standing: Standing = await self._run(self._database.look)
        return standing

    async def turn_off(self, epoch: str) -> None:
        """Put another epoch without any store in that one's place."""
        await self._run(self._database.turn_off, epoch)

    async def turn_on(self, epoch: str, store: str) -> None:
        """Put another epoch with this store in the place of that one, which has none."""
        await self._run(self._database.turn_on, epoch, store)

    async def demand_rules(self, version: int) -> None:
        """Turn off, and demand newer rules."""
        await self._run(self._database.demand_rules, version)

    async def register(self, member: str, former: str | None) -> None:
        """Make the process a member."""
        await self._run(self._database.register, member, former)

    async def expel(self, members: Collection[str]) -> None:
        """Expel members."""
        await self._run(self._database.expel, tuple(members))

    async def remove(self, members: Collection[str]) -> None:
        """Forget members."""
        await self._run(self._database.remove, tuple(members))

    async def outbox(self, older_than: float) -> list[OutboxRow]:
        """Return what has waited for so long."""
        rows: list[OutboxRow] = await self._run(self._database.older, older_than)
        return rows

    async def forget(self, xids: Collection[int]) -> None:
        """Delete rows of the outbox."""
        await self._run(self._database.forget, tuple(xids))

    async def load(self, reads: Sequence[Read]) -> Loaded:
        """Read the versions of the tags of each read in one snapshot."""
        try:
            loaded: Loaded = await self._run(self._answer, tuple(reads))
        except AuthorityUnavailableError as error:
            raise DatabaseAwayError from error
        return loaded

    def hold(self, *, up: bool, down: bool) -> None:
        """Let no requests through, or no answers."""
        self._up, self._down = up, down

    def let_go(self) -> None:
        """Let everything through again."""
        self._up = self._down = False
        kept, self._kept = self._kept, []
        for call, arguments in kept:
            call(*arguments)

    def _answer(self, reads: tuple[Read, ...]) -> Loaded:
        versions = self._database.versions
        return Loaded(
            self._database.snapshot(),
            [",".join(str(versions[tag]) for tag in read.tags).encode() for read in reads],
        )

    async def _run(self, statement: Callable[..., Any], *arguments: Any) -> Any:
        future: asyncio.Future[Any] = self._loop.create_future()
        self._pending[future] = self._loop.time() + self.patience
        if not self._watching:
            self._watching = True
            self._loop.call_later(self.patience, self._watch)
        now, world = self._world.now, self._world
        world.at(now + world.latency(), self._reach, future, statement, arguments)
        if self.flaky and world.random.random() < self.flaky:
            # The connection broke: perhaps it is done, perhaps it is even done once more.
            world.within(self._loop, now + world.latency(), _fail, future)
            if world.random.random() < 0.5:
                again = now + 10 * world.latency()
                world.at(again, self._reach, future, statement, arguments)
        try:
            return await future
        finally:
            self._pending.pop(future, None)

    def _watch(self) -> None:
        """Fail what waited too long; one timer watches all."""
        self._watching = False
        now = self._loop.time()
        for future, due in list(self._pending.items()):
            if due > now + _ROUNDING:
                self._watching = True
                self._loop.call_later(due - now, self._watch)
                return
            _fail(future)

    def _reach(
        self, future: asyncio.Future[Any], statement: Callable[..., Any], arguments: tuple[Any, ...]
    ) -> None:
        if self._up or self._database.held:
            self._kept.append((self._reach, (future, statement, arguments)))
        else:
            self._reply(future, statement(*arguments))

    def _reply(self, future: asyncio.Future[Any], result: Any) -> None:
        if self._down:
            self._kept.append((self._reply, (future, result)))
        else:
            world = self._world
            world.within(self._loop, world.now + world.latency(), _answer, future, result)


def _answer(future: asyncio.Future[Any], result: Any) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[Any]) -> None:
    if not future.done():
        future.set_exception(AuthorityUnavailableError("the database does not answer"))
