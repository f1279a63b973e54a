"""`python -m tests.faults.broken FILE serve`: a cache service with one rule broken at a time.

The file names the rule, as in `RULES`, at every moment; while it is empty, none is broken.
Never part of the service: only the harness starts it, to see that the checker notices.
"""

import sys
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cache_service import __main__ as service
from cache_service.coherence.entry import Entry, encode
from cache_service.coherence.filler import Filler
from cache_service.coherence.outcome import Answer, Outcome
from cache_service.coherence.ports import Filled, Load, Read
from cache_service.stores.redis.store import RedisStore

__all__ = ["RULES"]

RULES = ("delete entries", "guards after data", "invalidate nothing", "share by query")
_DELETE_ENTRIES, _GUARDS_AFTER_DATA, _INVALIDATE_NOTHING, _SHARE_BY_QUERY = RULES

_invalidate, _shared_key, _fill = RedisStore.invalidate, Filler.shared_key, Filler.fill


def _patch(rule: Path) -> None:
    """Put ways around the rules, taken while the file says so."""

    def broken(name: str) -> bool:
        return rule.read_text() == name

    async def invalidate(self: RedisStore, organization_id: int, tags: Sequence[str]) -> None:
        if broken(_DELETE_ENTRIES):
            # As caches commonly do: a load under way then stores the old answer.
            call: Any = self._connection.call
            keys = await call("KEYS", f"chairside:{{{organization_id}}}:*:entry:*")
            if keys:
                await call("DEL", *keys)
        elif not broken(_INVALIDATE_NOTHING):
            await _invalidate(self, organization_id, tags)

    def shared_key(full_key: str, nonces: tuple[bytes, ...]) -> Hashable:
        if broken(_SHARE_BY_QUERY):
            return full_key
        return _shared_key(full_key, nonces)

    changes: tuple[tuple[type, str, object], ...] = (
        (RedisStore, "invalidate", invalidate),
        (Filler, "shared_key", staticmethod(shared_key)),
        (Filler, "fill", _fill_unless(broken)),
    )
    for owner, name, changed in changes:
        setattr(owner, name, changed)


def _fill_unless(broken: Callable[[str], bool]) -> object:
    async def fill(
        self: Filler,
        organization_id: int,
        reads: Sequence[Read],
        load: Load,
        nonces: Mapping[str, bytes | None],
        *,
        share: bool = True,
    ) -> list[Answer]:
        if broken(_GUARDS_AFTER_DATA):
            return await _load_then_claim(self._store, organization_id, reads, load)
        return await _fill(self, organization_id, reads, load, nonces, share=share)

    return fill


async def _load_then_claim(
    store: Any, organization_id: int, reads: Sequence[Read], load: Load
) -> list[Answer]:
    loaded = await load(range(len(reads)))
    answers = []
    for read, payload in zip(reads, loaded.payloads, strict=True):
        nonces = tuple(await store.claim(organization_id, read.tags))
        entry = Entry(payload, loaded.snapshot, time.time())
        raw = encode(store.full_key(organization_id, read.key), b"".join(nonces), entry)
        await store.put(organization_id, Filled(read.key, read.tags, nonces, raw, read.ttl))
        answers.append(Answer(payload, Outcome.MISS, entry.snapshot, entry.filled_at))
    return answers


if __name__ == "__main__":
    _patch(Path(sys.argv.pop(1)))
    service.cli()
