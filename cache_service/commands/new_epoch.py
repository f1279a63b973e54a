"""`new-epoch`: put another epoch in force, so that no entry from before is ever a hit again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from cache_service.coherence.authority import Authority, AuthorityUnavailableError
from cache_service.coherence.lease import LEASE_SECONDS, MARGIN_SECONDS
from cache_service.commands.tools import CommandError, open_authority
from cache_service.settings import Settings

__all__ = ["change_epoch", "run_new_epoch"]

_ON_AGAIN_SECONDS = 5.0
_POLL = 0.1


async def change_epoch(
    authority: Authority,
    tell: Callable[[str], None],
    sleep: Callable[[float], Awaitable[None]],
) -> None:
    """Turn the cache off, and wait until every lease from before has run out.

    The processes that run then turn it on again by themselves, under an epoch of their own.
    Raises AuthorityUnavailableError.
    """
    before = await authority.look()
    standing = before
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
    left = _ON_AGAIN_SECONDS
    while (standing := await authority.look()).store is None and left > 0:
        await sleep(_POLL)
        left -= _POLL
    if standing.store is None:
        tell("nobody has turned the cache on yet: the first process to run will")
    else:
        tell(f"the cache is on again, under epoch {standing.epoch}")


async def run_new_epoch(settings: Settings, tell: Callable[[str], None]) -> None:
    """Do so in the database that the settings name; CommandError."""
    async with AsyncExitStack() as stack:
        try:
            await change_epoch(open_authority(settings, stack), tell, asyncio.sleep)
        except AuthorityUnavailableError as error:
            raise CommandError(str(error)) from error
