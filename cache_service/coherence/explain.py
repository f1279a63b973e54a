"""Explain: what a read would be told of each entry, and why, with nothing changed by it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import NamedTuple

from cache_service.coherence.consistency import Consistency
from cache_service.coherence.entry import Entry, decode, nonces_in
from cache_service.coherence.era import Era
from cache_service.coherence.expiry import Expiry
from cache_service.coherence.filler import Filler
from cache_service.coherence.judging import satisfies
from cache_service.coherence.lease import Lease
from cache_service.coherence.memory import Memory
from cache_service.coherence.outcome import Answer, Outcome
from cache_service.coherence.ports import Load, Loaded, Read, Store, StoreUnavailableError
from cache_service.coherence.reader import Reader

__all__ = ["MOST_EXPLAINED", "SERVED", "Explainer", "Explanation", "Reason", "Silent"]

MOST_EXPLAINED = 1000
"""Entries that one explanation lists; those beyond are counted."""


class Reason(Enum):
    """Why an entry hits or misses; the value is the sentence, {tags} the guards it is about."""

    HIT_NEAR = "A hit in the memory of this process, which holds the lease."
    HIT_REDIS = "A hit: every guard still has the nonce that the entry carries."
    STALE_ALLOWED = "No hit, but the entry is young enough for the read's max_staleness."
    MISS_ABSENT = "A miss: the shared cache has no such entry."
    MISS_UNREADABLE = "A miss: the entry is damaged, of another version, or has other tags."
    MISS_GUARD_GONE = "A miss: no guard is there for {tags}; a fact changed or it was evicted."
    MISS_GUARD_CHANGED = "A miss: {tags} changed since the entry was filled."
    MISS_EXPIRED = "A miss: past its time to live, the entry is kept for those who allow that."
    MISS_TOKEN = "A miss: the entry's snapshot has not seen what the token stands for."  # noqa: S105 - no password
    BYPASS_FULLY_CONSISTENT = "The read asks for the database."
    BYPASS_FOREIGN_TOKEN = "The token is of another database, so the database answers."  # noqa: S105 - no password
    NO_LEASE = "This process holds no lease, so it serves no hits: the database answers."
    CACHE_OFF = "The cache is off for everybody until its Redis is known: the database answers."
    STORE_UNAVAILABLE = "The shared cache does not answer or is another: the database answers."


SERVED = {
    Reason.HIT_NEAR: Outcome.NEAR,
    Reason.HIT_REDIS: Outcome.HIT,
    Reason.STALE_ALLOWED: Outcome.STALE,
}
"""What is served without the database."""


class Explanation(NamedTuple):
    """An entry as it is now.

    `entry` is the one that was judged, None if nothing readable is kept. `guards` and `carried`
    are the nonces of the tags' guards and those of the entry in the store, in the order of the
    tags: a guard that is not there is None, and `carried` is empty without a readable entry.
    """

    key: str
    read: Read
    reason: Reason
    entry: Entry | Answer | None
    guards: tuple[bytes | None, ...]
    carried: tuple[bytes, ...]

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags that the reason is about."""
        if self.reason is Reason.MISS_GUARD_GONE:
            return self._tags_where(lambda guard, _: guard is None)
        if self.reason is Reason.MISS_GUARD_CHANGED:
            return self._tags_where(lambda guard, nonce: guard != nonce)
        return ()

    @property
    def sentence(self) -> str:
        """The reason in words."""
        return self.reason.value.format(tags=", ".join(self.tags))

    def _tags_where(self, applies: Callable[[bytes | None, bytes], bool]) -> tuple[str, ...]:
        tags = zip(self.read.tags, self.guards, self.carried, strict=True)
        return tuple(tag for tag, guard, nonce in tags if applies(guard, nonce))


class Silent:
    """An observer that counts nothing."""

    def answered(self, organization_id: int, query: str, outcome: Outcome) -> None:
        """Do nothing."""

    def stored(self, organization_id: int, query: str, size: int) -> None:
        """Do nothing."""

    def loaded(self, query: str, seconds: float) -> None:
        """Do nothing."""

    def load_failed(self, organization_id: int, query: str) -> None:
        """Do nothing."""


class _Looked(NamedTuple):
    """An entry and its guards as the store has them; no guards if it does not answer."""

    answered: bool
    raw: bytes | None
    guards: tuple[bytes | None, ...]


class Explainer(Reader):
    """Answers as a reader does, stores nothing, and keeps why it answers so.

    What a reader would load is loaded here, too, since that may be an error, and since what is
    asked for next may depend on it. One is made for each explanation, over a filler whose
    observer is `Silent`.
    """

    def __init__(
        self,
        *,
        store: Store,
        memory: Memory,
        lease: Lease,
        filler: Filler,
        expiry: Expiry,
    ) -> None:
        super().__init__(
            store=store, memory=memory, lease=lease, observer=Silent(), filler=filler, expiry=expiry
        )
        self.found: list[Explanation] = []
        """The first 1,000 entries asked for, each once."""
        self._asked: set[tuple[int, str]] = set()

    @property
    def total(self) -> int:
        """How many entries were asked for."""
        return len(self._asked)

    async def read(
        self,
        organization_id: int,
        reads: Sequence[Read],
        load: Load,
        consistency: Consistency = Consistency.DEFAULT,
    ) -> list[Answer]:
        """Answer every read of one organization, in order; raises what a reader raises."""
        era = self._lease.era()
        answers: dict[int, Answer] = {}
        looked = await self._look(era or self._lease.known, organization_id, reads)
        for position, (read, seen) in enumerate(zip(reads, looked, strict=True)):
            explanation = self._explain(era, organization_id, read, seen, consistency)
            outcome, entry = SERVED.get(explanation.reason), explanation.entry
            if outcome is not None and entry is not None:
                answers[position] = Answer(entry.payload, outcome, entry.snapshot, entry.filled_at)
            if (organization_id, read.key) not in self._asked:
                self._asked.add((organization_id, read.key))
                self.found += [explanation] if self.total <= MOST_EXPLAINED else []
        missing = [position for position in range(len(reads)) if position not in answers]

        async def load_missing(wanted: Sequence[int]) -> Loaded:
            return await load([missing[index] for index in wanted])

        if missing:
            loaded = await self._filler.load(
                organization_id, [reads[at] for at in missing], load_missing, Outcome.BYPASS
            )
            answers.update(zip(missing, loaded, strict=True))
        return [answers[position] for position in range(len(reads))]

    async def _look(
        self, era: Era | None, organization_id: int, reads: Sequence[Read]
    ) -> list[_Looked]:
        """Fetch all entries and guards; they are told even where they do not decide."""
        tags = tuple(dict.fromkeys(tag for read in reads for tag in read.tags))
        keys = [read.key for read in reads]
        nothing = [_Looked(False, None, ()) for _ in reads]  # noqa: FBT003 - not answered
        if era is None:
            return nothing
        try:
            raws, guards = await self._store.fetch(era, organization_id, keys, tags)
        except StoreUnavailableError:
            return nothing
        of_tag = dict(zip(tags, guards, strict=True))
        return [
            _Looked(True, raw, tuple(of_tag[tag] for tag in read.tags))  # noqa: FBT003 - answered
            for read, raw in zip(reads, raws, strict=True)
        ]

    def _explain(
        self,
        era: Era | None,
        organization_id: int,
        read: Read,
        looked: _Looked,
        consistency: Consistency,
    ) -> Explanation:
        """Judge one entry in the order in which a reader does."""
        known = era or self._lease.known
        demand = consistency.against(known.database if known else "")
        key = read.key if known is None else self._store.full_key(known, organization_id, read.key)
        stored = None if looked.raw is None else decode(key, None, looked.raw)
        carried = nonces_in(looked.raw) if looked.raw is not None and stored is not None else ()
        entry: Entry | Answer | None = stored
        near = None if era is None else self._memory.peek(era, organization_id, read.key)
        if demand.full:
            full = consistency.full
            reason = Reason.BYPASS_FULLY_CONSISTENT if full else Reason.BYPASS_FOREIGN_TOKEN
        elif known is None:
            reason = Reason.NO_LEASE if self._lease.known_at is None else Reason.CACHE_OFF
        elif era is None and not demand.max_staleness:
            reason = Reason.NO_LEASE
        elif near is not None and satisfies(near, demand):
            reason, entry = Reason.HIT_NEAR, near
        elif not looked.answered:
            reason = Reason.STORE_UNAVAILABLE
        else:
            now = self._expiry.time()
            reason = _of_store(looked, stored, carried, demand, now)
            if reason is not Reason.HIT_REDIS or era is None:
                young = stored and now - stored.filled_at <= demand.max_staleness
                if demand.max_staleness and young:
                    reason = Reason.STALE_ALLOWED
                elif era is None:
                    reason = Reason.NO_LEASE
        if len(carried) != len(read.tags):
            carried = ()
        return Explanation(key, read, reason, entry, looked.guards, carried)


def _of_store(
    looked: _Looked,
    entry: Entry | None,
    carried: Sequence[bytes],
    demand: Consistency,
    now: float,
) -> Reason:
    """Judge what the store has under a lease."""
    if looked.raw is None:
        return Reason.MISS_ABSENT
    if entry is None or len(carried) != len(looked.guards):
        return Reason.MISS_UNREADABLE
    if None in looked.guards:
        return Reason.MISS_GUARD_GONE
    if tuple(carried) != looked.guards:
        return Reason.MISS_GUARD_CHANGED
    if entry.expires_at <= now:
        return Reason.MISS_EXPIRED
    return Reason.HIT_REDIS if satisfies(entry, demand) else Reason.MISS_TOKEN
