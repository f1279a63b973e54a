"""A shared cache in dicts, a database of versions, and an observer that remembers."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from cache_service.coherence.authority import Standing, bound
from cache_service.coherence.consistency import Consistency
from cache_service.coherence.entry import mark
from cache_service.coherence.era import Era
from cache_service.coherence.expiry import Expiry
from cache_service.coherence.filler import Filler
from cache_service.coherence.lease import Lease
from cache_service.coherence.load_gate import LoadGate
from cache_service.coherence.memory import Memory
from cache_service.coherence.outcome import Answer, Outcome
from cache_service.coherence.ports import (
    Filled,
    Loaded,
    Read,
    StoreUnavailableError,
    Taken,
    Wanted,
)
from cache_service.coherence.pushes import Pushes
from cache_service.coherence.question import Question
from cache_service.coherence.reader import Reader

__all__ = [
    "ERA",
    "ORGANIZATION",
    "Facts",
    "FakeStore",
    "Seen",
    "World",
    "nothing",
    "read_of",
    "settle",
]

ORGANIZATION = 7
ERA = Era("db", "epoch", "store")

Hook = Callable[[], Awaitable[None]]


async def nothing() -> None:
    """Do nothing on the way."""


async def settle() -> None:
    """Let everything happen that can."""
    for _ in range(20):
        await asyncio.sleep(0)


def read_of(name: str, *tags: str) -> Read:
    """Make a read whose answer depends on these tags."""
    return Read("fake", f"fake:{name}", ("organization", *tags), 60.0)


class FakeStore:
    """Entries, guards and locks in dicts; the calls in `refused` fail, all are in `calls`.

    Locks never run out by themselves; who waits for one is told by `pushes` of its end.

    `before` and `after` hold a coroutine function for a call's name, awaited on the way to
    the store and on the way back: there other things happen meanwhile.
    """

    def __init__(self) -> None:
        self.entries: dict[str, bytes] = {}
        self.guards: dict[str, bytes] = {}
        self.locks: dict[str, tuple[tuple[bytes, ...], bytes]] = {}
        self.pushes = Pushes()
        self.calls: list[str] = []
        self.refused: set[str] = set()
        self.before: dict[str, Hook] = {}
        self.after: dict[str, Hook] = {}
        self._nonces = 0

    def full_key(self, era: Era, organization_id: int, key: str) -> str:
        """Return the key with its organization and the era."""
        return f"{era.name}/{organization_id}/{key}"

    async def fetch(
        self, era: Era, organization_id: int, keys: Sequence[str], tags: Sequence[str]
    ) -> tuple[Sequence[bytes | None], Sequence[bytes | None]]:
        """Return what there is."""
        await self._arrive("fetch")
        found = (
            [self.entries.get(self.full_key(era, organization_id, key)) for key in keys],
            [self.guards.get(tag) for tag in tags],
        )
        await self._leave("fetch")
        return found

    async def claim(self, _era: Era, _organization_id: int, tags: Sequence[str]) -> Sequence[bytes]:
        """Make what guards are missing."""
        await self._arrive("claim")
        found = self._claimed(tags)
        await self._leave("claim")
        return found

    async def take(
        self, era: Era, organization_id: int, wanted: Sequence[Wanted]
    ) -> Sequence[Taken]:
        """Claim guards and take locks that nobody has under them."""
        await self._arrive("take")
        taken = []
        token = self._unique()
        for one in wanted:
            nonces = tuple(self._claimed(one.tags))
            full_key = self.full_key(era, organization_id, one.key)
            raw = self.entries.get(full_key)
            if raw and mark(raw) != one.seen and b"".join(nonces) in raw:
                taken.append(Taken(nonces, raw))
            elif self.locks.get(full_key, ((), b""))[0] == nonces:
                taken.append(Taken(nonces))
            else:
                self.locks[full_key] = nonces, token
                taken.append(Taken(nonces, token=token))
        await self._leave("take")
        return taken

    def _claimed(self, tags: Sequence[str]) -> list[bytes]:
        return [self.guards.setdefault(tag, self._unique()) for tag in tags]

    def _unique(self) -> bytes:
        self._nonces += 1
        return self._nonces.to_bytes(16, "big")

    def _unlock(self, full_key: str, token: bytes) -> None:
        if self.locks.get(full_key, ((), b""))[1] == token:
            del self.locks[full_key]
        self.pushes.heard(full_key)

    async def put(self, era: Era, organization_id: int, filled: Filled) -> bool:
        """Store the entry if all guards are as told."""
        await self._arrive("put")
        stored = [self.guards.get(tag) for tag in filled.tags] == list(filled.nonces)
        if stored:
            self.entries[self.full_key(era, organization_id, filled.key)] = filled.raw
        if filled.token:
            self._unlock(self.full_key(era, organization_id, filled.key), filled.token)
        await self._leave("put")
        return stored

    async def renew(
        self, _era: Era, _organization_id: int, _keys: Sequence[str], _token: bytes
    ) -> None:
        """Let locks last."""
        await self._arrive("renew")

    async def release(
        self, era: Era, organization_id: int, keys: Sequence[str], token: bytes
    ) -> None:
        """Release locks."""
        await self._arrive("release")
        for key in keys:
            self._unlock(self.full_key(era, organization_id, key), token)

    async def invalidate(
        self, _era: Era, _organization_id: int, tags: Sequence[str], _number: int
    ) -> None:
        """Delete guards."""
        await self._arrive("invalidate")
        for tag in tags:
            self.guards.pop(tag, None)
        await self._leave("invalidate")

    async def _arrive(self, call: str) -> None:
        self.calls.append(call)
        await self.before.get(call, nothing)()
        if call in self.refused:
            raise StoreUnavailableError(call)

    async def _leave(self, call: str) -> None:
        await self.after.get(call, nothing)()


class Facts:
    """A database of versions: a read's answer is the versions of its tags when it was loaded.

    `before` and `after` are awaited around the moment of its snapshot.
    """

    def __init__(self) -> None:
        self.versions: Counter[str] = Counter()
        self.loads: list[tuple[int, ...]] = []
        self.fault: Exception | None = None
        self.before: Hook = nothing
        self.after: Hook = nothing

    def answer(self, read: Read) -> bytes:
        """Return what the database answers now."""
        return ",".join(str(self.versions[tag]) for tag in read.tags).encode()

    def load(self, *reads: Read) -> Callable[[Sequence[int]], Awaitable[Loaded]]:
        """Return the load of these reads."""

        async def load(wanted: Sequence[int]) -> Loaded:
            self.loads.append(tuple(wanted))
            await self.before()
            if self.fault is not None:
                raise self.fault
            payloads = [self.answer(reads[position]) for position in wanted]
            await self.after()
            return Loaded("10:20:", payloads)

        return load


class Seen:
    """What the reader told of."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.stored_sizes: list[int] = []
        self.loads: list[tuple[str, float]] = []
        self.failed = 0

    def answered(self, _organization_id: int, _query: str, outcome: Outcome) -> None:
        """Remember an answer."""
        self.outcomes.append(outcome)

    def stored(self, _organization_id: int, _query: str, size: int) -> None:
        """Remember a stored entry."""
        self.stored_sizes.append(size)

    def loaded(self, query: str, seconds: float) -> None:
        """Remember how long a load took."""
        self.loads.append((query, seconds))

    def load_failed(self, _organization_id: int, _query: str) -> None:
        """Remember a failed load."""
        self.failed += 1


class World:
    """A reader with all that it touches: it has a lease on `ERA`, and keeps nothing in memory.

    `other` is another process over the same store and database. `lot` is what is drawn from 0
    to 1: with a half times to live are as told.
    """

    def __init__(self, other: "World | None" = None) -> None:
        self.store = other.store if other else FakeStore()
        self.facts = other.facts if other else Facts()
        self.lot = 0.5
        self.seen = Seen()
        self.time = 1000.0
        self.lease = Lease(lambda: self.time)
        self.renew()
        self._questions: dict[Read, Question] = {}
        self._make(0)

    def keep_in_memory(self) -> None:
        """Keep answers in memory from now on."""
        self._make(1_000_000)

    def _make(self, memory_bytes: int) -> None:
        gate = LoadGate(100, share=100, queue=10_000, patience=60.0)
        memory = Memory(memory_bytes, lambda: self.time)
        expiry = Expiry(lambda: self.time, lambda: self.lot, 600.0)
        self.filler = Filler(self.store, memory, self.seen, gate, expiry, self.store.pushes)
        self.reader = Reader(
            store=self.store,
            memory=memory,
            lease=self.lease,
            observer=self.seen,
            filler=self.filler,
            expiry=expiry,
        )

    def renew(self) -> None:
        """Hold the lease for another second."""
        store = bound(ERA.store, ERA.database)
        standing = Standing(ERA.database, ERA.epoch, store, 1, {}, "10:20:")
        self.lease.renew(standing, self.time)

    async def read(
        self, *reads: Read, consistency: Consistency = Consistency.DEFAULT
    ) -> list[tuple[bytes, Outcome]]:
        """Read, and return payloads and outcomes."""
        answers = await self.reader.read(ORGANIZATION, reads, self.facts.load(*reads), consistency)
        return [(answer.payload, answer.outcome) for answer in answers]

    async def hit(self, read: Read) -> Answer | None:
        """Read by the short way."""
        question = self._questions.get(read)
        if question is None:
            question = self._questions[read] = Question(ORGANIZATION, read, self.facts.load(read))
        return await self.reader.hit(question)

    async def change(self, *tags: str) -> None:
        """Change facts in the database, invalidate, and be acknowledged."""
        for tag in tags:
            self.facts.versions[tag] += 1
        await self.store.invalidate(ERA, ORGANIZATION, tags, 0)
