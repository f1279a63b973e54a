"""Hit and fill: steps 1 and 2 of the protocol.

A fill reads the guards (a), then the database (b), then stores the entry if no guard
changed meanwhile (c). Were the guards read after the data, a mutation between the two
would leave its old answer under the new nonce, valid for good.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

from cache_service.coherence.consistency import Consistency
from cache_service.coherence.entry import Entry, decode, encode
from cache_service.coherence.outcome import Answer, Outcome
from cache_service.coherence.ports import Filled, Load, Loaded, Read, Store, StoreUnavailableError

__all__ = ["Observer", "Reader"]


class Observer(Protocol):
    """Is told what became of entries; must not raise."""

    def answered(self, organization_id: int, query: str, outcome: Outcome) -> None:
        """Tell of one entry answered."""

    def stored(self, organization_id: int, query: str, size: int) -> None:
        """Tell of one entry stored, and its size in bytes."""

    def load_failed(self, organization_id: int, query: str) -> None:
        """Tell of one entry whose load failed."""


class Reader:
    """Answers reads from the store, and from the database what the store lacks.

    `time` gives seconds since the epoch, for ages only.
    """

    def __init__(self, store: Store, observer: Observer, time: Callable[[], float]) -> None:
        self._store = store
        self._observer = observer
        self._time = time
        self._fills: set[asyncio.Task[list[Answer]]] = set()

    async def hit(self, organization_id: int, read: Read) -> Answer | None:
        """Return the answer if it is a hit, else None; None too if the store is away.

        This is the short way for one entry: one round trip and nothing else.
        """
        try:
            raws, guards = await self._store.fetch(organization_id, (read.key,), read.tags)
        except StoreUnavailableError:
            return None
        raw = raws[0]
        if raw is None or None in guards:
            return None
        answer = self._judge(organization_id, read, raw, b"".join(guards))  # type: ignore[arg-type]
        if answer is not None:
            self._observer.answered(organization_id, read.query, Outcome.HIT)
        return answer

    async def read(
        self,
        organization_id: int,
        reads: Sequence[Read],
        load: Load,
        consistency: Consistency = Consistency.DEFAULT,
    ) -> list[Answer]:
        """Answer every read of one organization, in order.

        One round trip fetches all entries and guards. Those that miss are loaded in one
        snapshot. Raises what `load` raises; nothing is stored then. A caller that goes
        away does not stop a load under way, so that a storm of cancelled calls does not
        become a storm of cancelled statements.
        """
        if consistency is Consistency.FULL:
            return await self._shielded(
                self._without_store(organization_id, reads, load, Outcome.BYPASS)
            )
        tags = tuple(dict.fromkeys(tag for read in reads for tag in read.tags))
        try:
            raws, guards = await self._store.fetch(
                organization_id, [read.key for read in reads], tags
            )
        except StoreUnavailableError:
            return await self._shielded(
                self._without_store(organization_id, reads, load, Outcome.UNCACHED)
            )
        nonces = dict(zip(tags, guards, strict=True))
        answers: list[Answer | None] = [
            self._judged(organization_id, read, raw, nonces)
            for read, raw in zip(reads, raws, strict=True)
        ]
        missing = [position for position, answer in enumerate(answers) if answer is None]
        for position in set(range(len(reads))).difference(missing):
            self._observer.answered(organization_id, reads[position].query, Outcome.HIT)
        if missing:
            filled = await self._shielded(self._fill(organization_id, reads, missing, load, nonces))
            for position, answer in zip(missing, filled, strict=True):
                answers[position] = answer
        return [answer for answer in answers if answer is not None]

    def _judged(
        self, organization_id: int, read: Read, raw: bytes | None, nonces: dict[str, bytes | None]
    ) -> Answer | None:
        """Return the answer if the entry and all of its guards are there and agree."""
        if raw is None:
            return None
        found = [nonces[tag] for tag in read.tags]
        if None in found:
            return None
        return self._judge(organization_id, read, raw, b"".join(found))  # type: ignore[arg-type]

    def _judge(self, organization_id: int, read: Read, raw: bytes, nonces: bytes) -> Answer | None:
        entry = decode(self._store.full_key(organization_id, read.key), nonces, raw)
        if entry is None:
            return None
        return Answer(entry.payload, Outcome.HIT, entry.filled_at)

    async def _shielded(self, work: Coroutine[Any, Any, list[Answer]]) -> list[Answer]:
        task = asyncio.create_task(work)
        self._fills.add(task)
        task.add_done_callback(self._forget)
        return await asyncio.shield(task)

    def _forget(self, task: asyncio.Task[list[Answer]]) -> None:
        self._fills.discard(task)
        if not task.cancelled():
            task.exception()  # Retrieved: the caller may be gone, and then nobody else asks.

    async def drain(self) -> None:
        """Wait for the loads under way."""
        while self._fills:
            await asyncio.wait(self._fills)

    async def _fill(
        self,
        organization_id: int,
        reads: Sequence[Read],
        missing: Sequence[int],
        load: Load,
        nonces: dict[str, bytes | None],
    ) -> list[Answer]:
        """Load and store what is missing.

        The guards that came with the fetch serve as (a): they were read before the
        transaction begins. Only absent ones are claimed.
        """
        absent = sorted({tag for p in missing for tag in reads[p].tags if nonces[tag] is None})
        if absent:
            try:
                claimed = await self._store.claim(organization_id, absent)
            except StoreUnavailableError:
                wanted = [reads[position] for position in missing]
                return await self._without_store(
                    organization_id, wanted, _subset(load, missing), Outcome.UNCACHED
                )
            nonces = {**nonces, **dict(zip(absent, claimed, strict=True))}
        wanted = [reads[position] for position in missing]
        loaded = await self._loaded(organization_id, wanted, _subset(load, missing))
        filled_at = self._time()
        await asyncio.gather(
            *(
                self._put(
                    organization_id,
                    read,
                    Entry(payload, loaded.snapshot, filled_at),
                    tuple(nonces[tag] or b"" for tag in read.tags),
                )
                for read, payload in zip(wanted, loaded.payloads, strict=True)
            )
        )
        return self._answers(organization_id, wanted, loaded, Outcome.MISS, filled_at)

    async def _put(
        self, organization_id: int, read: Read, entry: Entry, nonces: tuple[bytes, ...]
    ) -> None:
        """Store one entry; that it could not be stored is nobody's error."""
        raw = encode(self._store.full_key(organization_id, read.key), b"".join(nonces), entry)
        filled = Filled(read.key, read.tags, nonces, raw, read.ttl)
        try:
            if await self._store.put(organization_id, filled):
                self._observer.stored(organization_id, read.query, len(raw))
        except StoreUnavailableError:
            return

    async def _without_store(
        self, organization_id: int, reads: Sequence[Read], load: Load, outcome: Outcome
    ) -> list[Answer]:
        loaded = await self._loaded(organization_id, reads, load)
        return self._answers(organization_id, reads, loaded, outcome, self._time())

    async def _loaded(self, organization_id: int, reads: Sequence[Read], load: Load) -> Loaded:
        try:
            return await load(range(len(reads)))
        except BaseException:
            for read in reads:
                self._observer.load_failed(organization_id, read.query)
            raise

    def _answers(
        self,
        organization_id: int,
        reads: Sequence[Read],
        loaded: Loaded,
        outcome: Outcome,
        filled_at: float,
    ) -> list[Answer]:
        for read in reads:
            self._observer.answered(organization_id, read.query, outcome)
        return [Answer(payload, outcome, filled_at) for payload in loaded.payloads]


def _subset(load: Load, positions: Sequence[int]) -> Load:
    """Return a load whose positions count within the given ones."""

    async def wrapped(wanted: Sequence[int]) -> Loaded:
        return await load([positions[index] for index in wanted])

    return wrapped
