"""`python -m tests.faults.broken RULE serve`: a cache service with one rule broken.

Never part of the service: only the harness starts it, to see that the checker notices.
"""

import sys
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from cache_service import __main__ as service
from cache_service.coherence.entry import Entry, encode
from cache_service.coherence.filler import Filler
from cache_service.coherence.outcome import Answer, Outcome
from cache_service.coherence.ports import Filled, Load, Read
from cache_service.stores.redis.store import RedisStore

__all__ = ["RULES"]


def _invalidate_nothing() -> None:
    async def invalidate(_self: RedisStore, _organization_id: int, _tags: Sequence[str]) -> None:
        return

    RedisStore.invalidate = invalidate  # type: ignore[method-assign]


def _delete_entries() -> None:
    """Delete what is stored, as caches commonly do: a load under way stores the old answer."""

    async def invalidate(self: RedisStore, organization_id: int, _tags: Sequence[str]) -> None:
        call: Any = self._connection.call
        keys = await call("KEYS", f"chairside:{{{organization_id}}}:*:entry:*")
        if keys:
            await call("DEL", *keys)

    RedisStore.invalidate = invalidate  # type: ignore[method-assign]


def _share_by_query() -> None:
    def shared_key(full_key: str, _nonces: tuple[bytes, ...]) -> Hashable:
        return full_key

    Filler.shared_key = staticmethod(shared_key)  # type: ignore[method-assign]


def _guards_after_data() -> None:
    async def fill(
        self: Filler,
        organization_id: int,
        reads: Sequence[Read],
        load: Load,
        _nonces: Mapping[str, bytes | None],
        *,
        share: bool = True,
    ) -> list[Answer]:
        assert share
        loaded = await load(range(len(reads)))
        answers = []
        for read, payload in zip(reads, loaded.payloads, strict=True):
            nonces = tuple(await self._store.claim(organization_id, read.tags))
            full_key = self._store.full_key(organization_id, read.key)
            entry = Entry(payload, loaded.snapshot, time.time())
            raw = encode(full_key, b"".join(nonces), entry)
            await self._store.put(
                organization_id, Filled(read.key, read.tags, nonces, raw, read.ttl)
            )
            answers.append(Answer(payload, Outcome.MISS, entry.snapshot, entry.filled_at))
        return answers

    Filler.fill = fill  # type: ignore[method-assign]


RULES: dict[str, Callable[[], None]] = {
    "invalidate nothing": _invalidate_nothing,
    "delete entries": _delete_entries,
    "share by query": _share_by_query,
    "guards after data": _guards_after_data,
}

if __name__ == "__main__":
    RULES[sys.argv.pop(1)]()
    service.cli()
