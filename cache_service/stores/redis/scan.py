"""Listing the entries of an organization: for an operator's commands, never for a call."""

from __future__ import annotations

from collections.abc import AsyncIterator

from cache_service.coherence.era import Era
from cache_service.stores.redis.store import RedisStore

__all__ = ["entry_keys"]

_AT_ONCE = 1000
"""Keys of the server that one step looks at: a fraction of a millisecond for all others."""


async def entry_keys(store: RedisStore, era: Era, organization_id: int) -> AsyncIterator[str]:
    """Give the keys of an organization's entries of an era, each once, without what is before it.

    It looks at every key of the organization's server, a thousand at a time. Entries stored or
    dropped meanwhile may be given or not. Raises StoreUnavailableError.
    """
    prefix = store.full_key(era, organization_id, "")
    given: set[bytes] = set()
    cursor = b"0"
    while True:
        node, _ = store.place(era, organization_id)
        cursor, names = await node.call("SCAN", cursor, "MATCH", f"{prefix}*", "COUNT", _AT_ONCE)
        for name in names:
            if name not in given:
                given.add(name)
                yield name.decode(errors="replace").removeprefix(prefix)
        if cursor == b"0":
            return
