"""Fill: load what is missing and store it under the guards read before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import NamedTuple

from cache_service.coherence.entry import Entry, encode
from cache_service.coherence.era import Era
from cache_service.coherence.load_gate import LoadGate
from cache_service.coherence.memory import Memory
from cache_service.coherence.outcome import Answer, Outcome
from cache_service.coherence.ports import (
    Filled,
    Load,
    Observer,
    Read,
    Store,
    StoreUnavailableError,
)
from cache_service.coherence.shared_loads import SharedLoads

__all__ = ["Filler", "Found"]


class Found(NamedTuple):
    """What a fetch found: under which era, the marker taken before it, and the guards."""

    era: Era
    marker: int
    nonces: Mapping[str, bytes | None]


class Filler:
    """Loads entries, many in one snapshot, each for all who wait for it.

    `time` gives seconds since the epoch, for ages only.
    """

    def __init__(
        self,
        store: Store,
        memory: Memory,
        observer: Observer,
        gate: LoadGate,
        time: Callable[[], float],
    ) -> None:
        self._store = store
        self._memory = memory
        self._observer = observer
        self._gate = gate
        self._time = time
        self._loads = SharedLoads[Answer]()

    async def drain(self) -> None:
        """Wait for the loads under way."""
        await self._loads.drain()

    async def fill(
        self,
        organization_id: int,
        reads: Sequence[Read],
        load: Load,
        found: Found,
        *,
        share: bool = True,
    ) -> list[Answer]:
        """Load the reads, store them, and answer them.

        The guards that came with the fetch serve as (a), since they were read before any
        transaction of the load begins. Only absent ones are claimed.
        With `share`, loads of the same entry under the same guards are joined. Raises
        what `load` raises, and LoadsExhaustedError; nothing is stored then.
        """
        era, marker, nonces = found
        absent = sorted({tag for read in reads for tag in read.tags if nonces[tag] is None})
        if absent:
            try:
                claimed = await self._store.claim(era, organization_id, absent)
            except StoreUnavailableError:
                return await self.load(organization_id, reads, load, Outcome.UNCACHED)
            nonces = {**nonces, **dict(zip(absent, claimed, strict=True))}
        guards = [tuple(nonces[tag] or b"" for tag in read.tags) for read in reads]

        async def run(positions: Sequence[int]) -> list[Answer]:
            answers = await self._answers(organization_id, reads, positions, load, Outcome.MISS)
            await asyncio.gather(
                *(
                    self._put(
                        era, marker, organization_id, reads[position], guards[position], answer
                    )
                    for position, answer in zip(positions, answers, strict=True)
                )
            )
            return answers

        keys = [
            self.shared_key(self._store.full_key(era, organization_id, read.key), guard)
            if share
            else object()
            for read, guard in zip(reads, guards, strict=True)
        ]
        return self._told(organization_id, reads, await self._loads.join(keys, run))

    @staticmethod
    def shared_key(full_key: str, nonces: tuple[bytes, ...]) -> Hashable:
        """Return what a load is joined by: the entry and the guards that it was begun under."""
        return full_key, nonces

    async def load(
        self, organization_id: int, reads: Sequence[Read], load: Load, outcome: Outcome
    ) -> list[Answer]:
        """Load the reads past the store; they are stored nowhere.

        BYPASS joins nobody's load. UNCACHED ones join a load whose transaction has not
        begun: one that has may be older than a change acknowledged since.
        """
        shared = outcome is Outcome.UNCACHED
        keys: list[object] = [(organization_id, read.key) if shared else object() for read in reads]

        async def run(positions: Sequence[int]) -> list[Answer]:
            mine = [keys[position] for position in positions]
            return await self._answers(
                organization_id, reads, positions, load, outcome, lambda: self._loads.leave(mine)
            )

        return self._told(organization_id, reads, await self._loads.join(keys, run))

    def behind(self, organization_id: int, reads: Sequence[Read], load: Load, found: Found) -> None:
        """Fill without anybody waiting; a failure is counted and nothing else."""

        async def run() -> None:
            await asyncio.gather(
                self.fill(organization_id, reads, load, found), return_exceptions=True
            )

        self._loads.behind(run())

    async def _answers(  # noqa: PLR0917 - what a load is made of
        self,
        organization_id: int,
        reads: Sequence[Read],
        positions: Sequence[int],
        load: Load,
        outcome: Outcome,
        begun: Callable[[], None] = lambda: None,
    ) -> list[Answer]:
        """Load once there is a place; the answers are as old as the load's beginning."""
        try:
            async with self._gate.admit(organization_id):
                begun()
                began = self._time()
                loaded = await load(positions)
        except BaseException:
            for position in positions:
                self._observer.load_failed(organization_id, reads[position].query)
            raise
        return [Answer(payload, outcome, loaded.snapshot, began) for payload in loaded.payloads]

    async def _put(  # noqa: PLR0917 - what an entry is made of
        self,
        era: Era,
        marker: int,
        organization_id: int,
        read: Read,
        nonces: tuple[bytes, ...],
        answer: Answer,
    ) -> None:
        """Store one entry; that it could not be stored is nobody's error."""
        entry = Entry(answer.payload, answer.snapshot, answer.filled_at)
        raw = encode(self._store.full_key(era, organization_id, read.key), b"".join(nonces), entry)
        filled = Filled(read.key, read.tags, nonces, raw, read.ttl)
        try:
            if await self._store.put(era, organization_id, filled):
                self._observer.stored(organization_id, read.query, len(raw))
                self._memory.put(era, marker, organization_id, read, answer)
        except StoreUnavailableError:
            return

    def _told(
        self, organization_id: int, reads: Sequence[Read], joined: Sequence[tuple[Answer, bool]]
    ) -> list[Answer]:
        """Count the answers, those of other callers' loads as shared ones."""
        answers = []
        for read, (answer, shared) in zip(reads, joined, strict=True):
            outcome = Outcome.SHARED if shared else answer.outcome
            self._observer.answered(organization_id, read.query, outcome)
            answers.append(
                Answer(answer.payload, outcome, answer.snapshot, answer.filled_at)
                if shared
                else answer
            )
        return answers
