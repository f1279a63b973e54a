"""`new-epoch`: put another epoch in force, so that no entry from before is ever a hit again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from cache_service.coherence.authority import AuthorityUnavailableError
from cache_service.coherence.lease import LEASE_SECONDS, MARGIN_SECONDS
from cache_service.commands.tools import CommandError, open_authority
from cache_service.settings import Settings
from cache_service.stores.authority import PostgresAuthority

__all__ = ["change_epoch", "run_new_epoch"]

_ON_AGAIN_SECONDS = 5.0
_POLL = 0.1


async def change_epoch(
    authority: PostgresAuthority,
    tell: Callable[[str], None],
    sleep: Callable[[float], Awaitable[None]],
    *,
    rules: int | None = None,
) -> None:
    """Turn the cache off, and wait until every lease from before has run out.

    The processes that run then turn it on again by themselves, under an epoch of their own.
    With `rules` that table is in force from then on. Raises AuthorityUnavailableError.
    """
    before = await authority.look()
    if rules is not None:
        await authority.impose_rules(rules)
        tell(f"rules {rules} are in force in place of {before.rules_version}")
    standing = await authority.look()
    # Somebody else may change it at the same time; whoever does, it is another epoch.
    while standing.epoch == before.epoch and standing.store is not None:
        await authority.turn_off(standing.epoch)
        standing = await authority.look()
    if before.store is None:
        tell(f"the cache is off already, under epoch {before.epoch}")
    else:
        tell(f"epoch {before.epoch} is not in force any more; the cache is off")
    await sleep(LEASE_SECONDS + MARGIN_SECONDS)
    tell("no process serves an entry from before any more")
    if rules is not None and (await authority.look()).rules_version > rules:
        message = "a process of a newer version has put its rules in force again: end it first"
        raise CommandError(message)
    left = _ON_AGAIN_SECONDS
    while (standing := await authority.look()).store is None and left > 0:
        await sleep(_POLL)
        left -= _POLL
    if standing.store is None:
        tell("nobody has turned the cache on yet: the first process to run will")
    else:
        tell(f"the cache is on again, under epoch {standing.epoch}")


async def run_new_epoch(
    settings: Settings, tell: Callable[[str], None], *, rules: int | None = None
) -> None:
    """Do so in the database that the settings name; CommandError."""
    async with AsyncExitStack() as stack:
        try:
            authority = open_authority(settings, stack)
            await change_epoch(authority, tell, asyncio.sleep, rules=rules)
        except AuthorityUnavailableError as error:
            raise CommandError(str(error)) from error
