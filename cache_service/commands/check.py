"""`check-config --connect`: what would keep the service from serving, all of it at once."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from uuid import uuid4

from booking_service.postgres.revision import outdated
from booking_service.postgres.tables import metadata
from cache_service.coherence.authority import AuthorityUnavailableError
from cache_service.coherence.era import Era
from cache_service.coherence.ports import Filled, StoreUnavailableError, Wanted
from cache_service.commands.tools import open_authority
from cache_service.invalidation.rules import RULES_VERSION
from cache_service.settings import Settings
from cache_service.stores.redis.servers import Connect
from cache_service.stores.redis.store import RedisStore
from cache_service.stores.redis.urls import servers_of
from service_kit.database_check import problems_of_database

__all__ = ["RIGHTS", "problems_of"]

_WORK = "SELECT INSERT UPDATE DELETE"
_NOT_ITS_OWN = {"idempotent_requests", "request_ids"}
RIGHTS = dict.fromkeys(set(metadata.tables) - _NOT_ITS_OWN, "SELECT") | {
    "alembic_version": "SELECT",
    "outbox": "SELECT DELETE",
    "authority": _WORK,
    "members": _WORK,
}
"""What the service's role must be allowed, by table."""

_PATIENCE = 2.0
_TAGS = ("check",)


async def problems_of(settings: Settings) -> list[str]:
    """Try the database and Redis as the service would use them; a line for each problem.

    Of the organizations' entries nothing is touched: what is tried in Redis has an era of its
    own, and is gone a second later.
    """
    database, redis = await asyncio.gather(
        problems_of_database(settings.database_url, RIGHTS, outdated), _redis(settings)
    )
    return [*database, *(() if database else await _rules(settings)), *redis]


async def _rules(settings: Settings) -> list[str]:
    async with AsyncExitStack() as stack:
        try:
            standing = await open_authority(settings, stack).look()
        except AuthorityUnavailableError as error:
            return [f"the authority: {error}"]
    if standing.rules_version <= RULES_VERSION:
        return []
    newer = f"a newer version has put rules {standing.rules_version} in force"
    return [f"{newer}: with its own, {RULES_VERSION}, this one serves no hits"]


async def _redis(settings: Settings) -> list[str]:
    """Go through all that the protocol asks of Redis."""
    why: list[str | None] = []
    timeout = max(_PATIENCE, settings.redis_timeout)
    connect = Connect(str(uuid4()), timeout, lambda _channels, _channel, _text: None)
    servers = servers_of(settings.redis_url, connect, why.append)
    try:
        await servers.open()
        if not servers.connected:
            return [f"Redis: {why[-1] if why else 'does not answer'}"]
        identity = await servers.identity()
        if identity is None:
            return ["Redis: is no primary that takes writes"]
        await _tried(RedisStore(servers, os.urandom), Era("check", str(uuid4()), identity))
        await servers.used_memory()
    except StoreUnavailableError as error:
        return [f"Redis: {error}"]
    finally:
        await servers.close()
    return []


async def _tried(store: RedisStore, era: Era) -> None:
    """Fill, hit, lock, release and invalidate once."""
    (taken,) = await store.take(era, 0, [Wanted("check", _TAGS)])
    await store.renew(era, 0, ["check"], taken.token)
    await store.put(era, 0, Filled("check", _TAGS, taken.nonces, b"", 1.0, taken.token))
    await store.fetch(era, 0, ["check"], _TAGS)
    await store.release(era, 0, ["check"], taken.token)
    await store.invalidate(era, 0, _TAGS, 1)
