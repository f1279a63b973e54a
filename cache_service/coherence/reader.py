"""Hit and fill: steps 1, 2 and 10 of the protocol.

A fill reads the guards (a), then the database (b), then stores the entry if no guard
changed meanwhile (c). Were the guards read after the data, a mutation between the two
would leave its old answer under the new nonce, valid for good.

Hits are served only under a lease that is held when the read begins: whatever put another
era in force, or expelled this process, was acknowledged to nobody before leases ran out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cache_service.coherence.consistency import Consistency
from cache_service.coherence.entry import Entry, mark
from cache_service.coherence.era import Era
from cache_service.coherence.expiry import Expiry
from cache_service.coherence.filler import Filler
from cache_service.coherence.filling import Found, answer_of
from cache_service.coherence.judging import Judging, satisfies
from cache_service.coherence.lease import Lease
from cache_service.coherence.memory import Memory, NearAnswer
from cache_service.coherence.outcome import Answer, Outcome
from cache_service.coherence.ports import Load, Loaded, Observer, Read, Store, StoreUnavailableError
from cache_service.coherence.question import Question
from cache_service.coherence.tagged import Kept

__all__ = ["Reader"]


class Reader:
    """Answers reads from memory, from the store, and from the database what both lack."""

    def __init__(
        self,
        *,
        store: Store,
        memory: Memory,
        lease: Lease,
        observer: Observer,
        filler: Filler,
        expiry: Expiry,
    ) -> None:
        self._store = store
        self._memory = memory
        self._lease = lease
        self._observer = observer
        self.served = observer.answered
        """Count an answer of the short way."""
        self._filler = filler
        self._expiry = expiry
        self._judging = Judging(store, expiry)

    def near(self, organization_id: int, key: str) -> Kept[NearAnswer] | None:
        """Return what memory keeps, without any round trip; it counts nothing."""
        era = self._lease.era()
        return None if era is None else self._memory.find(era, organization_id, key)

    def keeps(self, all_kept: Iterable[Kept[NearAnswer]]) -> bool:
        """Tell whether all of it, which was found by `near`, is kept yet and a hit.

        Whether it has expired is for whoever found it to tell.
        """
        era = self._lease.era()
        if era is None:
            return False
        for kept in all_kept:
            if not kept.there or kept.value.era != era:
                return False
            kept.used = True
        return True

    async def hit(self, question: Question) -> Answer | None:
        """Return the answer if it is a hit, else None; None too if the store is away.

        This is the short way for one entry: at most one round trip and nothing else. It
        counts nothing: whoever serves the answer says so by `served`, and whoever finds that
        the entry is not all that is needed goes the long way.
        """
        era = self._lease.era()
        if era is None:
            return None
        organization_id, read = question.organization_id, question.read
        answer = self._memory.get(era, organization_id, read.key)
        if answer is not None:
            return answer
        marker = self._memory.marker()
        try:
            (raw,), nonces = await self._store.fetch(era, organization_id, question.keys, read.tags)
        except StoreUnavailableError:
            return None
        both = question.recall(era, raw, nonces) or self._judge(question, era, raw, nonces)
        if both is None or both[0].expires_at <= self._expiry.time():
            return None
        entry, answer = both
        if self._early(organization_id, read, entry, answer, era, marker):
            of_tag = dict(zip(read.tags, nonces, strict=True))
            found = Found(era, marker, of_tag, {read.key: mark(raw)})
            self._filler.behind(organization_id, (read,), question.load, found)
        return answer

    async def read(
        self,
        organization_id: int,
        reads: Sequence[Read],
        load: Load,
        consistency: Consistency = Consistency.DEFAULT,
    ) -> list[Answer]:
        """Answer every read of one organization, in order.

        One round trip fetches all entries and guards that are not in memory; those that miss
        are loaded in one snapshot. Raises what `load` raises, and LoadsExhaustedError.
        """
        era = self._lease.era()
        known = era or self._lease.known
        consistency = consistency.against(known.database if known else "")
        if consistency.full:
            return await self._filler.load(organization_id, reads, load, Outcome.BYPASS)
        if known is None or (era is None and not consistency.max_staleness):
            # Joined loads have not begun, so they see what any token given before stands for.
            return await self._filler.load(organization_id, reads, load, Outcome.UNCACHED)
        answers: dict[int, Answer] = {}
        if era is not None:
            for position, read in enumerate(reads):
                near = self._memory.get(era, organization_id, read.key)
                if near is not None and satisfies(near, consistency):
                    self._observer.answered(organization_id, read.query, Outcome.NEAR)
                    answers[position] = near
        rest = [position for position in range(len(reads)) if position not in answers]
        if rest:
            wanted = [reads[position] for position in rest]
            found = await self._beyond(
                known, organization_id, wanted, _subset(load, rest), consistency, era is not None
            )
            answers.update(zip(rest, found, strict=True))
        return [answers[position] for position in range(len(reads))]

    async def _beyond(  # noqa: PLR0917 - what a read is made of
        self,
        era: Era,
        organization_id: int,
        reads: Sequence[Read],
        load: Load,
        consistency: Consistency,
        leased: bool,  # noqa: FBT001
    ) -> list[Answer]:
        """Answer from the store what will do, and load the rest."""
        try:
            found, raws = await self._fetch(era, organization_id, reads)
        except StoreUnavailableError:
            return await self._filler.load(organization_id, reads, load, Outcome.UNCACHED)
        answers, refreshed = self._judged(organization_id, reads, raws, found, consistency, leased)
        if refreshed:
            wanted = [reads[position] for position in refreshed]
            self._filler.behind(organization_id, wanted, _subset(load, refreshed), found)
        missing = [position for position in range(len(reads)) if position not in answers]
        if missing:
            wanted = [reads[position] for position in missing]
            part = _subset(load, missing)
            if leased:
                filled = await self._fill(organization_id, wanted, part, found, consistency)
            else:
                # These guards may be those of a Redis that is not in force any more, and a
                # load begun under them may be older than what was acknowledged since.
                filled = await self._filler.load(organization_id, wanted, part, Outcome.UNCACHED)
            answers.update(zip(missing, filled, strict=True))
        return [answers[position] for position in range(len(reads))]

    def _judge(
        self, question: Question, era: Era, raw: bytes | None, nonces: Sequence[bytes | None]
    ) -> tuple[Entry, Answer] | None:
        """Return the entry, if its guards are as they were, and its answer; to be recalled."""
        organization_id, read = question.organization_id, question.read
        entry = self._judging.fitting(era, organization_id, read, raw, nonces)
        return None if entry is None else question.found(era, raw, nonces, entry)

    def _judged(  # noqa: PLR0917 - what was asked, and what was found
        self,
        organization_id: int,
        reads: Sequence[Read],
        raws: Sequence[bytes | None],
        found: Found,
        consistency: Consistency,
        leased: bool,  # noqa: FBT001
    ) -> tuple[dict[int, Answer], list[int]]:
        """Return the answers that will do, by position, and which of them to refresh."""
        answers: dict[int, Answer] = {}
        refreshed = []
        for position, (read, raw) in enumerate(zip(reads, raws, strict=True)):
            entry = None
            if leased:
                entry = self._judging.hit(organization_id, read, raw, found, consistency)
            if entry is not None:
                answer = answer_of(entry, Outcome.HIT)
                early = self._early(organization_id, read, entry, answer, found.era, found.marker)
            else:
                entry = self._judging.stale(organization_id, read, raw, found, consistency)
                if entry is None:
                    continue
                answer, early = answer_of(entry, Outcome.STALE), True
            self._observer.answered(organization_id, read.query, answer.outcome)
            answers[position] = answer
            if early:
                refreshed.append(position)
        return answers, refreshed

    async def _fetch(
        self, era: Era, organization_id: int, reads: Sequence[Read]
    ) -> tuple[Found, Sequence[bytes | None]]:
        """Fetch entries and guards in one round trip."""
        marker = self._memory.marker()
        tags = tuple(dict.fromkeys(tag for read in reads for tag in read.tags))
        keys = [read.key for read in reads]
        raws, guards = await self._store.fetch(era, organization_id, keys, tags)
        seen = dict(zip(keys, map(mark, raws), strict=True))
        return Found(era, marker, dict(zip(tags, guards, strict=True)), seen), raws

    def _early(  # noqa: PLR0917 - what a hit is made of
        self,
        organization_id: int,
        read: Read,
        entry: Entry,
        answer: Answer,
        era: Era,
        marker: int,
    ) -> bool:
        """Tell whether a hit is to be refreshed already; keep it in memory until it is."""
        refresh_at = self._expiry.refresh_at(entry)
        if refresh_at <= self._expiry.time():
            return True
        self._memory.put(era, marker, organization_id, read, answer, refresh_at)
        return False

    async def _fill(
        self,
        organization_id: int,
        reads: Sequence[Read],
        load: Load,
        found: Found,
        consistency: Consistency,
    ) -> list[Answer]:
        """Fill; a token takes another's load only if that has seen what it stands for."""
        answers = await self._filler.fill(organization_id, reads, load, found)
        if all(
            answer.outcome is not Outcome.SHARED or satisfies(answer, consistency)
            for answer in answers
        ):
            return answers
        return await self._filler.fill(organization_id, reads, load, found, share=False)


def _subset(load: Load, positions: Sequence[int]) -> Load:
    """Return a load whose positions count within the given ones."""

    async def wrapped(wanted: Sequence[int]) -> Loaded:
        return await load([positions[index] for index in wanted])

    return wrapped
