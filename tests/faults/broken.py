"""`python -m tests.faults.broken FILE serve`: a cache service with one rule broken at a time.

The file names the rule, as in `RULES`, at every moment; while it is empty, none is broken.
Never part of the service: only the harness starts it, to see that the checker notices.
"""

import sys
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cache_service import __main__ as service
from cache_service.coherence.authority import Standing
from cache_service.coherence.entry import Entry, encode
from cache_service.coherence.era import Era
from cache_service.coherence.filler import Filler
from cache_service.coherence.filling import Found
from cache_service.coherence.invalidator import Invalidator
from cache_service.coherence.memory import Memory
from cache_service.coherence.outcome import Answer, Outcome
from cache_service.coherence.ports import Filled, Load, Read
from cache_service.stores.redis.store import RedisStore

__all__ = ["RULES"]

RULES = (
    "delete entries",
    "guards after data",
    "invalidate nothing",
    "share by query",
    "counters for nonces",
    "no fence wait",
    "an expelled member ignored",
    "nobody waits for acknowledgements",
    "memory ignores the marker",
)
(
    _DELETE_ENTRIES,
    _GUARDS_AFTER_DATA,
    _INVALIDATE_NOTHING,
    _SHARE_BY_QUERY,
    _COUNTERS,
    _NO_FENCE_WAIT,
    _EXPELLED_IGNORED,
    _NO_ACKNOWLEDGEMENTS,
    _NO_MARKER,
) = RULES

Broken = Callable[[str], bool]


def _patch(rule: Path) -> None:
    """Put ways around the rules, taken while the file says so."""

    def broken(name: str) -> bool:
        return rule.read_text() == name

    changes: tuple[tuple[type, str, object], ...] = (
        (RedisStore, "invalidate", _invalidate(broken)),
        (RedisStore, "_claim", _claim(broken)),
        (Filler, "shared_key", staticmethod(_shared_key(broken))),
        (Filler, "fill", _fill(broken)),
        (Invalidator, "_known_off", _known_off(broken)),
        (Invalidator, "_everywhere", _everywhere(broken)),
        (Memory, "marker", _marker(broken)),
    )
    for owner, name, changed in changes:
        setattr(owner, name, changed)


def _invalidate(broken: Broken) -> object:
    intact = RedisStore.invalidate

    async def invalidate(
        self: RedisStore, era: Era, organization_id: int, tags: Sequence[str], number: int
    ) -> None:
        if not (broken(_DELETE_ENTRIES) or broken(_INVALIDATE_NOTHING)):
            await intact(self, era, organization_id, tags, number)
            return
        node, _ = self.place(era, organization_id)
        if broken(_DELETE_ENTRIES):
            # As caches commonly do: a load under way then stores the old answer.
            keys = await node.call("KEYS", f"chairside:{{{organization_id}}}:*:entry:*")
            if keys:
                await node.call("DEL", *keys)
        text = node.channels.publication(number, organization_id, tags)
        await node.call("SPUBLISH", node.channels.invalidated, text)

    return invalidate


def _claim(broken: Broken) -> object:
    intact = RedisStore._claim

    async def claim(self: RedisStore, *what: Any) -> Any:
        random = self._random
        if broken(_COUNTERS):
            self._random = bytes  # One that begins at zero again whenever its guard is gone.
        try:
            return await intact(self, *what)
        finally:
            self._random = random

    return claim


def _shared_key(broken: Broken) -> Callable[[str, tuple[bytes, ...]], Hashable]:
    intact = Filler.shared_key

    def shared_key(full_key: str, nonces: tuple[bytes, ...]) -> Hashable:
        return full_key if broken(_SHARE_BY_QUERY) else intact(full_key, nonces)

    return shared_key


def _fill(broken: Broken) -> object:
    intact = Filler.fill

    async def fill(
        self: Filler,
        organization_id: int,
        reads: Sequence[Read],
        load: Load,
        found: Found,
        *,
        share: bool = True,
    ) -> list[Answer]:
        if broken(_GUARDS_AFTER_DATA):
            return await _load_then_claim(
                self._parts.store, found.era, organization_id, reads, load
            )
        return await intact(self, organization_id, reads, load, found, share=share)

    return fill


async def _load_then_claim(
    store: Any, era: Era, organization_id: int, reads: Sequence[Read], load: Load
) -> list[Answer]:
    loaded = await load(range(len(reads)))
    answers = []
    for read, payload in zip(reads, loaded.payloads, strict=True):
        nonces = tuple(await store.claim(era, organization_id, read.tags))
        entry = Entry(payload, loaded.snapshot, time.time(), read.ttl, 0.0)
        raw = encode(store.full_key(era, organization_id, read.key), b"".join(nonces), entry)
        filled = Filled(read.key, read.tags, nonces, raw, read.ttl)
        await store.put(era, organization_id, filled)
        answers.append(Answer(payload, Outcome.MISS, entry.snapshot, entry.filled_at))
    return answers


def _known_off(broken: Broken) -> object:
    intact = Invalidator._known_off

    async def known_off(self: Invalidator, epoch: str) -> None:
        if not broken(_NO_FENCE_WAIT):
            await intact(self, epoch)

    return known_off


def _everywhere(broken: Broken) -> object:
    intact = Invalidator._everywhere

    async def everywhere(self: Invalidator, numbers: list[int], standing: Standing) -> None:
        if broken(_NO_ACKNOWLEDGEMENTS):
            return
        if broken(_EXPELLED_IGNORED):
            members = {name: gone for name, gone in standing.members.items() if not gone}
            standing = replace(standing, members=members)
        await intact(self, numbers, standing)

    return everywhere


def _marker(broken: Broken) -> object:
    intact = Memory.marker

    def marker(self: Memory) -> int:
        # Later than anything: whatever was invalidated since, the answer may enter.
        return sys.maxsize if broken(_NO_MARKER) else intact(self)

    return marker


if __name__ == "__main__":
    _patch(Path(sys.argv.pop(1)))
    service.cli()
