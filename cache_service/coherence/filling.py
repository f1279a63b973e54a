"""One fill: take the load locks, then load what is ours and wait for what others load.

Of all processes that miss an entry under the same guards one has its load lock and loads;
the others wait to be told that it is done. None of them takes anything from the loader's
word: when it was told, or when the lock must have run out, it asks for guards and entry
anew, and serves the entry only if that is a hit, after its own read began. So whatever
becomes of locks and pushes, and however wrongly they are kept, it costs loads and time, and
never freshness.

Nobody waits for ever: after a push that brought no entry (the load failed, or the entry was
invalidated meanwhile) a waiter loads by itself, so that a hot key that changes all the time
costs each reader two loads at most. After a lock ran out, one takes it over.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from cache_service.coherence.entry import Entry, decode, encode
from cache_service.coherence.era import Era
from cache_service.coherence.expiry import Expiry
from cache_service.coherence.memory import Memory
from cache_service.coherence.outcome import Answer, Outcome
from cache_service.coherence.ports import (
    LOCK_SECONDS,
    Filled,
    Observer,
    Read,
    Store,
    StoreUnavailableError,
    Taken,
    Wanted,
)
from cache_service.coherence.pushes import Pushes
from cache_service.coherence.waiting import Repeating, gathered

__all__ = ["Filling", "Found", "Parts", "answer_of"]

_RENEWALS = 3
"""In the time that a lock lasts."""
_WAITS = 3
"""Times that a waiter waits for a lock to run out: a loader may be slow, and another take over."""


class Found(NamedTuple):
    """What a fetch found: under which era, the marker taken before it, and the guards.

    `seen` are the marks of entries there, by key: where one is loaded, its entry will not do.
    """

    era: Era
    marker: int
    nonces: Mapping[str, bytes | None]
    seen: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Parts:
    """What every fill of a process works with; `behind` runs something that nobody awaits."""

    store: Store
    memory: Memory
    observer: Observer
    expiry: Expiry
    pushes: Pushes
    behind: Callable[[Coroutine[Any, Any, None]], None]


class _Begun(NamedTuple):
    """An entry as it was taken, and the marker taken before."""

    marker: int
    taken: Taken


class Filling:
    """The fill of some reads; `load(positions)` loads some of them in one snapshot.

    `close` must be called in the end.
    """

    def __init__(
        self,
        parts: Parts,
        found: Found,
        organization_id: int,
        reads: Sequence[Read],
        load: Callable[[Sequence[int]], Awaitable[Sequence[Entry]]],
    ) -> None:
        self._parts = parts
        self._found = found
        self._organization_id = organization_id
        self._reads = reads
        self._load = load
        self._begun: dict[int, _Begun] = {}
        self.full_keys = [
            parts.store.full_key(found.era, organization_id, read.key) for read in reads
        ]
        self._listening = parts.pushes.listen(self.full_keys)
        self.stored: dict[int, Answer] = {}
        """Answers that somebody had stored when the locks were taken."""

    def close(self) -> None:
        """Wait for nothing any more."""
        self._parts.pushes.done(self._listening)

    def nonces(self, position: int) -> tuple[bytes, ...]:
        """Return the nonces that a read's guards had when it was taken."""
        return self._begun[position].taken.nonces

    async def claim(self) -> list[int]:
        """Claim the guards and take no lock; return what is to be loaded, which is all."""
        found = self._found
        tags = tuple(dict.fromkeys(tag for read in self._reads for tag in read.tags))
        nonces = await self._parts.store.claim(found.era, self._organization_id, tags)
        of_tag = dict(zip(tags, nonces, strict=True))
        for position, read in enumerate(self._reads):
            taken = Taken(tuple(of_tag[tag] for tag in read.tags))
            self._begun[position] = _Begun(found.marker, taken)
        return list(self._begun)

    async def take(
        self, positions: Sequence[int], marker: int | None = None
    ) -> tuple[list[int], list[int]]:
        """Take the locks; return what is to be loaded, and what somebody else is loading."""
        found = self._found
        reads = [self._reads[position] for position in positions]
        wanted = [Wanted(read.key, read.tags, found.seen.get(read.key, b"")) for read in reads]
        taken = await self._parts.store.take(found.era, self._organization_id, wanted)
        mine, theirs = list[int](), list[int]()
        for position, one in zip(positions, taken, strict=True):
            begun = _Begun(found.marker if marker is None else marker, one)
            self._begun[position] = begun
            entry = one.raw and decode(self.full_keys[position], b"".join(one.nonces), one.raw)
            if entry:
                self.stored[position] = answer_of(entry, Outcome.SHARED)
                self._remember(position, entry, self.stored[position])
            else:
                # What is there and cannot be read is loaded without the lock.
                (mine if one.token or one.raw else theirs).append(position)
        return mine, theirs

    async def lead(self, positions: Sequence[int]) -> list[Answer]:
        """Load, store, and release the locks; raises what the load raises."""
        if not positions:
            return []
        store, every = self._parts.store, LOCK_SECONDS / _RENEWALS
        renewing = Repeating(every, lambda: self._on_locks(store.renew, positions))
        try:
            entries = await self._load(positions)
        except Exception:
            self.release(positions)
            raise
        finally:
            renewing.cancel()
        return await gathered(map(self._put, positions, entries))

    async def follow(self, positions: Sequence[int], waits: int = _WAITS) -> list[Answer]:
        """Wait for the loads of others, and load what they have not stored."""
        if not positions:
            return []
        full_keys = {position: self.full_keys[position] for position in positions}
        await self._listening.all(full_keys.values(), LOCK_SECONDS)
        heard = frozenset(self._listening.heard)
        marker = self._parts.memory.marker()
        try:
            mine, theirs = await self.take(positions, marker)
        except StoreUnavailableError:
            entries = await self._load(positions)
            return [answer_of(entry, Outcome.UNCACHED) for entry in entries]
        again = [at for at in theirs if full_keys[at] not in heard] if waits > 1 else []
        now = sorted({*mine, *theirs}.difference(again))
        loaded, followed = await gathered((self.lead(now), self.follow(again, waits - 1)))
        answers = dict(zip((*now, *again), (*loaded, *followed), strict=True))
        return [answers.get(at) or self.stored[at] for at in positions]

    def release(self, positions: Sequence[int]) -> None:
        """Release locks that nothing will be stored under, without waiting for it."""
        self._on_locks(self._parts.store.release, positions)

    def _on_locks(
        self,
        what: Callable[[Era, int, Sequence[str], bytes], Awaitable[None]],
        positions: Sequence[int],
    ) -> None:
        """Do something to the locks that were taken; they run out if it does not work."""

        async def run(token: bytes, keys: Sequence[str]) -> None:
            with suppress(StoreUnavailableError):
                await what(self._found.era, self._organization_id, keys, token)

        locks: dict[bytes, list[str]] = {}
        for position in positions:
            token = self._begun[position].taken.token
            if token:
                locks.setdefault(token, []).append(self._reads[position].key)
        for token, keys in locks.items():
            self._parts.behind(run(token, keys))

    async def _put(self, position: int, entry: Entry) -> Answer:
        """Store one entry; that it could not be stored is nobody's error."""
        read, taken = self._reads[position], self._begun[position].taken
        parts = self._parts
        entry = entry._replace(lives=parts.expiry.lives(read.ttl))
        raw = encode(self.full_keys[position], b"".join(taken.nonces), entry)
        kept = entry.lives + parts.expiry.kept_stale
        filled = Filled(read.key, read.tags, taken.nonces, raw, kept, taken.token)
        answer = answer_of(entry, Outcome.MISS)
        with suppress(StoreUnavailableError):
            if await parts.store.put(self._found.era, self._organization_id, filled):
                parts.observer.stored(self._organization_id, read.query, len(raw))
                self._remember(position, entry, answer)
        return answer

    def _remember(self, position: int, entry: Entry, answer: Answer) -> None:
        """Put an answer into memory."""
        parts = self._parts
        parts.memory.put(
            self._found.era,
            self._begun[position].marker,
            self._organization_id,
            self._reads[position],
            answer,
            parts.expiry.refresh_at(entry),
        )


def answer_of(entry: Entry, outcome: Outcome) -> Answer:
    """Make an answer of an entry."""
    return Answer(entry.payload, outcome, entry.snapshot, entry.filled_at)
