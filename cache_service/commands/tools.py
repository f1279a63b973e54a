"""What the commands work with: the service's own connections, without being a member."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncEngine

from cache_service.database import SNAPSHOTS, STATEMENTS, Primary, make_engine
from cache_service.settings import Settings
from cache_service.stores.authority import PostgresAuthority
from cache_service.stores.redis.servers import Connect
from cache_service.stores.redis.store import RedisStore
from cache_service.stores.redis.urls import servers_of
from service_kit.clock import SystemClock

__all__ = ["CommandError", "open_authority", "open_primary", "open_shared"]

_SLOW = 2.0
"""Seconds for Redis to answer: nobody waits for a command as a caller waits for a read."""


class CommandError(Exception):
    """Say in one line why a command cannot do what it is asked."""


def open_authority(settings: Settings, stack: AsyncExitStack) -> PostgresAuthority:
    """Open the authority; what must be closed enters the stack, here and below."""
    return PostgresAuthority(_engine(settings, stack, STATEMENTS), settings.statement_timeout)


def open_primary(settings: Settings, stack: AsyncExitStack) -> Primary:
    """Open the primary for loads, a connection at most."""
    loads, work = (_engine(settings, stack, isolation) for isolation in (SNAPSHOTS, STATEMENTS))
    return Primary(loads, work, SystemClock(settings.clock_start))


async def open_shared(settings: Settings, stack: AsyncExitStack) -> RedisStore:
    """Connect to Redis; CommandError if it does not answer."""
    connect = Connect(str(uuid4()), max(_SLOW, settings.redis_timeout))
    servers = servers_of(settings.redis_url, connect, lambda _why: None)
    stack.push_async_callback(servers.close)
    await servers.open()
    if not servers.connected:
        message = "Redis does not answer"
        raise CommandError(message)
    return RedisStore(servers, os.urandom)


def _engine(settings: Settings, stack: AsyncExitStack, isolation: str) -> AsyncEngine:
    engine = make_engine(
        settings.database_url,
        pool_size=1,
        timeout=settings.statement_timeout,
        pool_timeout=settings.pool_timeout,
        isolation=isolation,
    )
    stack.push_async_callback(engine.dispose)
    return engine
