"""The authority of the protocol in Postgres: `authority` and `members`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from typing import Any, TypeVar

from sqlalchemy import TextClause, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from cache_service.coherence.authority import AuthorityUnavailableError, Standing
from cache_service.coherence.waiting import retrieved
from service_kit.postgres import DATABASE_IDENTITY, FAULTS, driver_of

__all__ = ["PostgresAuthority"]

T = TypeVar("T")

_FAILURES = (SQLAlchemyError, *FAULTS)

# One statement, so that all of it is of one snapshot; `epoch` as text compares as text.
_LOOK = f"""
    SELECT here.database, a.epoch::text, a.redis_identity, a.rules_version,
           (SELECT coalesce(json_object_agg(member_id, expelled_at IS NOT NULL)::text, '{{}}')
            FROM members) AS members,
           here.snapshot
    FROM authority a CROSS JOIN ({DATABASE_IDENTITY}) AS here (database, snapshot)
"""  # noqa: S608 - a constant
_TURN_OFF = text("""
    UPDATE authority SET epoch = gen_random_uuid(), redis_identity = NULL
    WHERE epoch = CAST(:epoch AS uuid) AND redis_identity IS NOT NULL
""")
_TURN_ON = text("""
    UPDATE authority SET epoch = gen_random_uuid(), redis_identity = :store
    WHERE epoch = CAST(:epoch AS uuid) AND redis_identity IS NULL
""")
_DEMAND_RULES = text("""
    UPDATE authority SET epoch = gen_random_uuid(), redis_identity = NULL, rules_version = :version
    WHERE rules_version < :version
""")
_IMPOSE_RULES = text("""
    UPDATE authority SET epoch = gen_random_uuid(), redis_identity = NULL, rules_version = :version
""")
_REGISTER = text("""
    WITH gone AS (DELETE FROM members WHERE member_id = CAST(:former AS uuid))
    INSERT INTO members (member_id) VALUES (CAST(:member AS uuid))
    ON CONFLICT DO NOTHING
""")
_EXPEL = text("""
    UPDATE members SET expelled_at = clock_timestamp()
    WHERE member_id = ANY(CAST(:members AS uuid[])) AND expelled_at IS NULL
""")
_REMOVE = text("DELETE FROM members WHERE member_id = ANY(CAST(:members AS uuid[]))")


class PostgresAuthority:
    """Statements of one engine that commits each of them by itself.

    Every method raises AuthorityUnavailableError if the database does not do it within
    `timeout` seconds; it may have been done all the same.
    """

    def __init__(self, engine: AsyncEngine, timeout: float) -> None:
        self._engine = engine
        self._timeout = timeout

    async def look(self) -> Standing:
        """Return what is in force now."""
        ((database, epoch, store, version, members, snapshot),) = await self._patiently(self._seen)
        return Standing(database, epoch, store, version, json.loads(members), snapshot)

    async def turn_off(self, epoch: str) -> None:
        """Put another epoch without any store in that one's place."""
        await self._run(_TURN_OFF, epoch=epoch)

    async def turn_on(self, epoch: str, store: str) -> None:
        """Put another epoch with this store in the place of that one, which has none."""
        await self._run(_TURN_ON, epoch=epoch, store=store)

    async def demand_rules(self, version: int) -> None:
        """Turn off, and let nobody with an older table of rules take part any more."""
        await self._run(_DEMAND_RULES, version=version)

    async def impose_rules(self, version: int) -> None:
        """Turn off, and put that table of rules in force, though it be older than another.

        Who has a newer one and still runs demands it again, before it serves a hit.
        """
        await self._run(_IMPOSE_RULES, version=version)

    async def register(self, member: str, former: str | None) -> None:
        """Make a process a member, in the place of what it was before."""
        await self._run(_REGISTER, member=member, former=former)

    async def expel(self, members: Collection[str]) -> None:
        """Let these members have no lease from now on; those they have run out."""
        await self._run(_EXPEL, members=list(members))

    async def remove(self, members: Collection[str]) -> None:
        """Forget members."""
        await self._run(_REMOVE, members=list(members))

    async def _run(self, statement: TextClause, **parameters: object) -> None:
        async def run() -> None:
            async with self._engine.connect() as connection:
                await connection.execute(statement, parameters)

        await self._patiently(run)

    async def _seen(self) -> Sequence[Any]:
        async with driver_of(self._engine) as driver:
            rows: Sequence[Any] = await driver.fetch(_LOOK)
            return rows

    async def _patiently(self, once: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Do something in a task of its own: its end may be long in coming after a cancel."""
        task = asyncio.create_task(_twice(once))
        try:
            await asyncio.wait({task}, timeout=self._timeout)
        finally:
            if not task.done():
                task.add_done_callback(retrieved)
                task.cancel()
        if not task.done():
            message = "the database does not answer in time"
            raise AuthorityUnavailableError(message)
        try:
            return task.result()
        except _FAILURES as error:
            message = f"the database does not answer: {type(error).__name__}"
            raise AuthorityUnavailableError(message) from error


async def _twice(once: Callable[[], Awaitable[T]]) -> T:
    """Do it once more if the pool's connection turns out to be gone: all may be done twice."""
    try:
        return await once()
    except _FAILURES:
        return await once()
