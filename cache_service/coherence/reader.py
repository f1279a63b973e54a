"""Hit and fill: steps 1 and 2 of the protocol.

A fill reads the guards (a), then the database (b), then stores the entry if no guard
changed meanwhile (c). Were the guards read after the data, a mutation between the two
would leave its old answer under the new nonce, valid for good.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from cache_service.coherence.consistency import Consistency
from cache_service.coherence.entry import Entry, decode
from cache_service.coherence.filler import Filler
from cache_service.coherence.outcome import Answer, Outcome
from cache_service.coherence.ports import Load, Loaded, Observer, Read, Store, StoreUnavailableError
from cache_service.coherence.snapshots import Snapshot

__all__ = ["Reader"]


class Reader:
    """Answers reads from the store, and from the database what the store lacks.

    `time` gives seconds since the epoch, for ages only. `database` names the database
    that tokens are compared against; until it is known, a token asks for the database.
    """

    def __init__(
        self, store: Store, observer: Observer, filler: Filler, time: Callable[[], float]
    ) -> None:
        self._store = store
        self._observer = observer
        self._filler = filler
        self._time = time
        self.database = ""

    async def hit(self, organization_id: int, read: Read) -> Answer | None:
        """Return the answer if it is a hit, else None; None too if the store is away.

        This is the short way for one entry: one round trip and nothing else. It counts
        nothing: whoever serves the answer says so by `served`, and whoever finds that the
        entry is not all that is needed goes the long way.
        """
        try:
            raws, guards = await self._store.fetch(organization_id, (read.key,), read.tags)
        except StoreUnavailableError:
            return None
        raw = raws[0]
        if raw is None or None in guards:
            return None
        entry = self._decode(organization_id, read, raw, b"".join(guards))  # type: ignore[arg-type]
        return None if entry is None else _answer(entry, Outcome.HIT)

    def served(self, organization_id: int, query: str) -> None:
        """Count an answer of the short way."""
        self._observer.answered(organization_id, query, Outcome.HIT)

    async def read(
        self,
        organization_id: int,
        reads: Sequence[Read],
        load: Load,
        consistency: Consistency = Consistency.DEFAULT,
    ) -> list[Answer]:
        """Answer every read of one organization, in order.

        One round trip fetches all entries and guards; those that miss are loaded in one
        snapshot. Raises what `load` raises, and LoadsExhaustedError.
        """
        consistency = consistency.against(self.database)
        if consistency.full:
            return await self._filler.load(organization_id, reads, load, Outcome.BYPASS)
        tags = tuple(dict.fromkeys(tag for read in reads for tag in read.tags))
        keys = [read.key for read in reads]
        try:
            raws, guards = await self._store.fetch(organization_id, keys, tags)
        except StoreUnavailableError:
            # Joined loads have not begun, so they see what any token given before stands for.
            return await self._filler.load(organization_id, reads, load, Outcome.UNCACHED)
        nonces = dict(zip(tags, guards, strict=True))
        answers: dict[int, Answer] = {}
        for position, (read, raw) in enumerate(zip(reads, raws, strict=True)):
            answer = self._judge(organization_id, read, raw, nonces, consistency)
            if answer is not None:
                self._observer.answered(organization_id, read.query, answer.outcome)
                answers[position] = answer
        stale = [at for at, answer in answers.items() if answer.outcome is Outcome.STALE]
        if stale:
            wanted = [reads[position] for position in stale]
            self._filler.behind(organization_id, wanted, _subset(load, stale), nonces)
        missing = [position for position in range(len(reads)) if position not in answers]
        if missing:
            wanted = [reads[position] for position in missing]
            filled = await self._fill(
                organization_id, wanted, _subset(load, missing), nonces, consistency
            )
            answers.update(zip(missing, filled, strict=True))
        return [answers[position] for position in range(len(reads))]

    def _judge(
        self,
        organization_id: int,
        read: Read,
        raw: bytes | None,
        nonces: dict[str, bytes | None],
        consistency: Consistency,
    ) -> Answer | None:
        """Return the answer if the entry will do: fresh, or as stale as the caller allows."""
        if raw is None:
            return None
        found = [nonces[tag] for tag in read.tags]
        if None not in found:
            entry = self._decode(organization_id, read, raw, b"".join(found))  # type: ignore[arg-type]
            if entry is not None:
                return _answer(entry, Outcome.HIT) if _satisfies(entry, consistency) else None
        if consistency.max_staleness:
            entry = self._decode(organization_id, read, raw, None)
            if entry and self._time() - entry.filled_at <= consistency.max_staleness:
                return _answer(entry, Outcome.STALE)
        return None

    def _decode(
        self, organization_id: int, read: Read, raw: bytes, nonces: bytes | None
    ) -> Entry | None:
        return decode(self._store.full_key(organization_id, read.key), nonces, raw)

    async def _fill(
        self,
        organization_id: int,
        reads: Sequence[Read],
        load: Load,
        nonces: dict[str, bytes | None],
        consistency: Consistency,
    ) -> list[Answer]:
        """Fill; a token takes another's load only if that has seen what it stands for."""
        answers = await self._filler.fill(organization_id, reads, load, nonces)
        if all(
            answer.outcome is not Outcome.SHARED or _satisfies(answer, consistency)
            for answer in answers
        ):
            return answers
        return await self._filler.fill(organization_id, reads, load, nonces, share=False)


def _answer(entry: Entry, outcome: Outcome) -> Answer:
    return Answer(entry.payload, outcome, entry.snapshot, entry.filled_at)


def _satisfies(found: Entry | Answer, consistency: Consistency) -> bool:
    """Tell whether data of that snapshot has seen what the read's token stands for."""
    if consistency.token is None:
        return True
    with suppress(ValueError):
        return consistency.token.satisfied_by(Snapshot.parse(found.snapshot))
    return False


def _subset(load: Load, positions: Sequence[int]) -> Load:
    """Return a load whose positions count within the given ones."""

    async def wrapped(wanted: Sequence[int]) -> Loaded:
        return await load([positions[index] for index in wanted])

    return wrapped
