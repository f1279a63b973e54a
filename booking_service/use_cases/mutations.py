"""The one path that every mutation takes.

Claim the request id, decide and write, store the answer, commit, tell the cache,
answer, and have the outbox rows deleted behind. A crash between any two of these
leaves either nothing or a committed change whose events the relay applies.
"""

import asyncio
from base64 import b64encode
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

import structlog
from sqlalchemy import Text, cast, func, select
from sqlalchemy.exc import SQLAlchemyError

from booking_service.use_cases import idempotency
from booking_service.use_cases.faults import is_contention, raise_translated
from booking_service.use_cases.idempotency import Request, Success
from booking_service.use_cases.ports import CacheNotifier, Changes, Tokens, Unit, Units
from booking_service.use_cases.room import SLOT_TAKEN
from booking_service.use_cases.transaction import Contended, Transaction
from service_kit.clock import Clock
from service_kit.errors import Aborted, ServiceError

__all__ = ["Answer", "Mutations", "Work"]

Work = Callable[[Transaction], Awaitable[bytes]]

_RETRIES = 3
_BACKOFF = 0.02
_TOKEN = "token"  # noqa: S105 - the key of an error's metadata
_SNAPSHOT = select(cast(func.pg_current_snapshot(), Text))


@dataclass(frozen=True, slots=True)
class Answer:
    """A success: the response without its token, which stands beside it."""

    response: bytes
    token: bytes
    cache_applied: bool


class Mutations:
    """Run mutations over `units`, and tell `notifier` of each within `cache_timeout` seconds.

    `acknowledged` is given the transaction ids whose events the cache has applied;
    `jitter` gives numbers in [0, 1).
    """

    def __init__(
        self,
        *,
        units: Units,
        notifier: CacheNotifier,
        tokens: Tokens,
        acknowledged: Callable[[int], None],
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]],
        jitter: Callable[[], float],
        cache_timeout: float,
    ) -> None:
        self._units = units
        self._notifier = notifier
        self._tokens = tokens
        self._acknowledged = acknowledged
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._cache_timeout = cache_timeout
        self._tasks: set[asyncio.Task[Answer] | asyncio.Task[bool]] = set()
        self.made = 0
        self.repeated = 0
        self.retried = 0

    @property
    def running(self) -> int:
        """How many go on, be it only to tell the cache."""
        return len(self._tasks)

    async def run(self, request: Request, work: Work, seconds: float) -> Answer:
        """Carry one mutation out and answer within about `seconds`.

        A caller that goes away before the commit undoes it; one that goes away later
        changes nothing: the rest goes on in a task of its own. Raises ServiceError.
        """
        deciding = asyncio.Event()
        end = asyncio.get_running_loop().time() + seconds
        task = asyncio.create_task(self._decide(request, work, end, deciding))
        self._keep(task)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not deciding.is_set():
                task.cancel()
            raise

    async def drain(self, seconds: float) -> None:
        """Wait until all that was committed is told to the cache, at most so long."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    async def _decide(
        self, request: Request, work: Work, end: float, deciding: asyncio.Event
    ) -> Answer:
        try:
            return await self._attempts(request, work, end, deciding)
        except ServiceError as error:
            if _reveals(error) and _TOKEN not in error.metadata:
                with suppress(SQLAlchemyError, OSError, ServiceError):
                    async with self._units() as unit:
                        await self._say_when(error, unit)
            raise

    async def _say_when(self, error: ServiceError, unit: Unit) -> None:
        """Give an error that reveals someone else's change a token that has seen it.

        That change may not be acknowledged yet: without the token, a read after
        SLOT_TAKEN could still show the slot as free.
        """
        snapshot = await unit.connection.scalar(_SNAPSHOT)
        token = self._tokens.snapshot(await unit.database(), str(snapshot))
        error.metadata[_TOKEN] = b64encode(token).decode()

    async def _attempts(
        self, request: Request, work: Work, end: float, deciding: asyncio.Event
    ) -> Answer:
        for attempt in range(_RETRIES + 1):
            try:
                return await self._once(request, work, end, deciding)
            except (Contended, SQLAlchemyError, OSError) as error:
                if not is_contention(error):
                    raise_translated(error)
            deciding.clear()
            if attempt < _RETRIES:
                self.retried += 1
                await self._sleep(_BACKOFF * (attempt + self._jitter()))
        reason, message = "CONTENTION", "others kept changing the same things; try again"
        raise Aborted(reason, message, retry_after=0.1 + self._jitter() * 0.2)

    async def _once(
        self, request: Request, work: Work, end: float, deciding: asyncio.Event
    ) -> Answer:
        async with self._units() as unit:
            tx = Transaction(unit.connection, self._clock.now())
            success = await idempotency.claim(tx, request)
            fresh = success is None
            if success is None:
                try:
                    response = await work(tx)
                except ServiceError as error:
                    if _reveals(error):
                        # On this connection: a crowd that lost must not queue for a second one.
                        await self._say_when(error, unit)
                    raise
                success = Success(response, await unit.changes(request.organization_id))
                await idempotency.store(tx, request, success)
                deciding.set()
                await unit.commit()
            deciding.set()
        if fresh:
            self.made += 1
        else:
            self.repeated += 1
        applied = await self._tell(success.changes, end, fresh=fresh)
        token = self._tokens.mutation(success.changes, applied=applied)
        return Answer(success.response, token, applied)

    async def _tell(self, changes: Changes, end: float, *, fresh: bool) -> bool:
        """Tell the cache; answer as late as the call allows, but never take it back."""
        task = asyncio.create_task(self._invalidate(changes, fresh=fresh))
        self._keep(task)
        left = end - asyncio.get_running_loop().time()
        await asyncio.wait((task,), timeout=max(0.0, min(left, self._cache_timeout)))
        return task.done() and task.result()

    async def _invalidate(self, changes: Changes, *, fresh: bool) -> bool:
        try:
            applied = await self._notifier.invalidate(changes.events, self._cache_timeout)
        except Exception as error:  # noqa: BLE001 - the change is made, whatever the cache does
            structlog.get_logger("booking_service.mutations").error(
                "the cache could not be told", exc_info=error
            )
            return False
        if applied and fresh:
            # A repeat's transaction id may be of a database before a restore; whatever the
            # first left in the outbox, the relay deletes.
            self._acknowledged(changes.xid)
        return applied

    def _keep(self, task: asyncio.Task[Answer] | asyncio.Task[bool]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[Answer] | asyncio.Task[bool]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # Retrieved: its caller may be gone, and then nobody else asks.


def _reveals(error: ServiceError) -> bool:
    return error.status == "ABORTED" or error.reason == SLOT_TAKEN
