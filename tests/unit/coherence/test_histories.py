"""Thousands of random interleavings: a read never misses a change acknowledged before it."""

import random
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from cache_service.coherence.entry import Entry, encode
from cache_service.coherence.filler import Filler
from cache_service.coherence.load_gate import LoadGate
from cache_service.coherence.outcome import Outcome
from cache_service.coherence.ports import Filled, Read, StoreUnavailableError
from cache_service.coherence.reader import Reader
from tests.unit.coherence.fakes import ORGANIZATION, Facts, FakeStore, Seen, read_of
from tests.unit.coherence.schedule import Schedule

TAGS = ("day:1", "day:2", "hours")
READS = (
    read_of("one", "day:1", "hours"),
    read_of("two", "day:2", "hours"),
    read_of("both", "day:1", "day:2"),
)
SEEDS = 150


class EntryDeletingStore(FakeStore):
    """The usual recipe: an invalidation deletes the entries, and leaves their guards."""

    async def invalidate(self, organization_id: int, tags: Sequence[str]) -> None:
        """Delete the entries of the tags instead of their guards."""
        await self._arrive("invalidate")
        for read in READS:
            if set(read.tags) & set(tags):
                self.entries.pop(self.full_key(organization_id, read.key), None)
        await self._leave("invalidate")


class DataFirstReader(Reader):
    """Reads the data and only then the guards under which it stores."""

    async def read(  # type: ignore[override]
        self,
        organization_id: int,
        reads: Sequence[Read],
        load: object,
    ) -> list[object]:
        """Hit as the real one does, but fill in the wrong order."""
        answers: list[object] = []
        for position, read in enumerate(reads):
            answer = await self.hit(organization_id, read)
            if answer is None:
                loaded = await load([position])  # type: ignore[operator]
                entry = Entry(loaded.payloads[0], loaded.snapshot, 0.0)
                try:
                    nonces = tuple(await self._store.claim(organization_id, read.tags))
                    full_key = self._store.full_key(organization_id, read.key)
                    raw = encode(full_key, b"".join(nonces), entry)
                    filled = Filled(read.key, read.tags, nonces, raw, read.ttl)
                    await self._store.put(organization_id, filled)
                except StoreUnavailableError:
                    pass
                answer = entry
            answers.append(answer)
        return answers


class KeyedByEntryFiller(Filler):
    """Joins any load of the same entry, whatever its guards were."""

    @staticmethod
    def shared_key(full_key: str, _nonces: tuple[bytes, ...]) -> Hashable:
        """Return the entry's key alone."""
        return full_key


@dataclass
class History:
    """What came of the runs of one kind of reader and store."""

    steps: int = 0
    reads: int = 0
    hits: int = 0
    stale: list[str] = field(default_factory=list)


async def _histories(
    seeds: int,
    store_type: type[FakeStore] = FakeStore,
    reader_type: type[Reader] = Reader,
    filler_type: type[Filler] = Filler,
) -> History:
    history = History()
    for seed in range(seeds):
        await _Run(random.Random(seed), history, store_type, reader_type, filler_type).run()  # noqa: S311
    return history


class _Run:
    """One seed's writers, readers and mischief over one store."""

    def __init__(
        self,
        lot: random.Random,
        history: History,
        store_type: type[FakeStore],
        reader_type: type[Reader],
        filler_type: type[Filler],
    ) -> None:
        self.lot = lot
        self.history = history
        self.schedule = Schedule(lot)
        self.store = store_type()
        self.facts = Facts()
        self.seen = Seen()
        self.reader_type = reader_type
        gate = LoadGate(100, share=100, queue=100, patience=60.0)
        self.fillers = [filler_type(self.store, self.seen, gate, lambda: 0.0) for _ in range(2)]
        self.acknowledged: Counter[str] = Counter()
        pause = self.schedule.pause
        for call in ("fetch", "claim", "put", "invalidate"):
            self.store.before[call] = self.store.after[call] = pause
        self.facts.before = self.facts.after = pause

    async def run(self) -> None:
        """Run all actors to their end and add up what came of it."""
        writers = [self.writer() for _ in range(2)]
        readers = [self.reader() for _ in range(3)]
        await self.schedule.run([*writers, *readers, self.mischief()])
        self.history.steps += self.schedule.steps
        self.history.hits += self.seen.outcomes.count(Outcome.HIT)

    async def writer(self) -> None:
        """Commit changes; each is acknowledged once its guards are gone."""
        for _ in range(4):
            await self.schedule.pause()
            tag = self.lot.choice(TAGS)
            self.facts.versions[tag] += 1
            version = self.facts.versions[tag]
            while not await self._invalidated(tag):  # relayed until it was applied
                await self.schedule.pause()
            self.acknowledged[tag] = max(self.acknowledged[tag], version)

    async def _invalidated(self, tag: str) -> bool:
        try:
            await self.store.invalidate(ORGANIZATION, [tag])
        except StoreUnavailableError:
            return False
        return True

    async def reader(self) -> None:
        """Read with a process's reader, and check every answer."""
        filler = self.lot.choice(self.fillers)
        own = self.reader_type(self.store, self.seen, filler, lambda: 0.0)
        for _ in range(6):
            await self.schedule.pause()
            reads = self.lot.sample(READS, self.lot.randint(1, 3))
            known = [[self.acknowledged[tag] for tag in read.tags] for read in reads]
            answers = await own.read(ORGANIZATION, reads, self.facts.load(*reads))
            for read, answer, least in zip(reads, answers, known, strict=True):
                versions = [int(part) for part in answer.payload.split(b",")]
                self.history.reads += 1
                if any(got < wanted for got, wanted in zip(versions, least, strict=True)):
                    self.history.stale.append(f"{read.key}: {versions}, acknowledged {least}")
        await filler.drain()

    async def mischief(self) -> None:
        """Lose guards and entries, and refuse calls for a while."""
        for _ in range(6):
            await self.schedule.pause()
            what = self.lot.randrange(4)
            if what == 0 and self.store.guards:
                del self.store.guards[self.lot.choice(sorted(self.store.guards))]
            elif what == 1 and self.store.entries:
                del self.store.entries[self.lot.choice(sorted(self.store.entries))]
            else:
                self.store.refused = {self.lot.choice(("fetch", "claim", "put", "invalidate"))}
                await self.schedule.pause()
                self.store.refused = set()


async def test_no_interleaving_hides_an_acknowledged_change() -> None:
    """Writers, readers, evictions and refusals in any order: no read is older than it may be."""
    history = await _histories(SEEDS)
    assert history.stale == []
    assert history.steps > 10_000
    assert history.hits > history.reads // 20, "too few hits to show anything"


async def test_deleting_entries_instead_of_guards_is_caught() -> None:
    """Negative control: a fill under way brings back the entry that was just deleted."""
    history = await _histories(SEEDS // 3, store_type=EntryDeletingStore)
    assert history.stale, f"not caught in {history.steps} steps"


async def test_reading_guards_after_the_data_is_caught() -> None:
    """Negative control: a change between the data and its guards is hidden by them."""
    history = await _histories(SEEDS // 3, reader_type=DataFirstReader)
    assert history.stale, f"not caught in {history.steps} steps"


async def test_joining_loads_by_their_entry_alone_is_caught() -> None:
    """Negative control: a reader joins a load that began before a change it must see."""
    history = await _histories(SEEDS // 3, filler_type=KeyedByEntryFiller)
    assert history.stale, f"not caught in {history.steps} steps"
