"""Hit and fill against a shared cache in memory, one interleaving at a time."""

import pytest

from cache_service.coherence.consistency import Consistency
from cache_service.coherence.entry import Entry, encode
from cache_service.coherence.outcome import Outcome
from cache_service.coherence.ports import Filled, Read
from tests.unit.coherence.fakes import ERA, ORGANIZATION, World, nothing, read_of

DAY = read_of("day", "day:7")


async def test_the_second_read_is_a_hit_of_one_round_trip(world: World) -> None:
    """A miss claims, loads and stores; a hit is one fetch and nothing else."""
    assert await world.read(DAY) == [(b"0,0", Outcome.MISS)]
    assert world.store.calls == ["fetch", "take", "put"]
    world.store.calls.clear()
    assert await world.read(DAY) == [(b"0,0", Outcome.HIT)]
    answer = await world.hit(DAY)
    assert answer is not None
    assert (answer.payload, answer.filled_at) == (b"0,0", 1000.0)
    assert world.store.calls == ["fetch", "fetch"]
    assert len(world.facts.loads) == 1
    assert world.seen.outcomes == [Outcome.MISS, Outcome.HIT], "the short way counts nothing"
    world.reader.served(ORGANIZATION, DAY.query, answer.outcome)
    assert world.seen.outcomes == [Outcome.MISS, Outcome.HIT, Outcome.HIT]
    assert len(world.seen.stored_sizes) == 1


@pytest.mark.parametrize("tag", ["organization", "day:7", "hours:7"])
async def test_a_hit_needs_every_guard(world: World, tag: str) -> None:
    """Whichever guard is gone or changed, the entry is a miss, and is filled anew."""
    read = read_of("day", "day:7", "hours:7")
    await world.read(read)
    assert await world.read(read) == [(b"0,0,0", Outcome.HIT)]
    del world.store.guards[tag]
    assert await world.hit(read) is None
    assert await world.read(read) == [(b"0,0,0", Outcome.MISS)]
    assert await world.read(read) == [(b"0,0,0", Outcome.HIT)]
    world.store.guards[tag] = b"another nonce..."
    assert await world.hit(read) is None
    assert await world.read(read) == [(b"0,0,0", Outcome.MISS)]


async def test_lost_guards_and_entries_only_cost_misses(world: World) -> None:
    """Whatever the shared cache forgets, answers stay right."""
    await world.read(DAY)
    entries = dict(world.store.entries)
    world.store.guards.clear()
    await world.change("day:7")
    world.store.entries = entries  # it comes back without its guards
    assert await world.read(DAY) == [(b"0,1", Outcome.MISS)]
    world.store.entries.clear()
    assert await world.read(DAY) == [(b"0,1", Outcome.MISS)]
    assert await world.read(DAY) == [(b"0,1", Outcome.HIT)]


async def test_damaged_entries_are_misses(world: World) -> None:
    """An entry that is not what it says is loaded anew, without an error."""
    await world.read(DAY)
    (key,) = world.store.entries
    for raw in (b"", b"CSE2", b"noise" * 40, world.store.entries[key][:-1]):
        world.store.entries[key] = raw
        assert await world.hit(DAY) is None
        assert await world.read(DAY) == [(b"0,0", Outcome.MISS)]


async def test_another_keys_entry_is_not_served(world: World) -> None:
    """An entry found under a key that it was not made for is a miss, same nonces or not."""
    other = read_of("night", "day:7")
    await world.read(DAY, other)
    keys = list(world.store.entries)
    world.store.entries[keys[0]] = world.store.entries[keys[1]]
    assert [outcome for _, outcome in await world.read(DAY, other)] == [Outcome.MISS, Outcome.HIT]


@pytest.mark.parametrize("known", [True, False], ids=["guards known", "guards claimed"])
@pytest.mark.parametrize("where", ["before the load", "after the load", "before the put"])
async def test_a_change_during_a_fill_is_never_hidden(
    world: World, where: str, *, known: bool
) -> None:
    """Wherever a change lands between guards and put, the entry is not served afterwards."""
    if known:
        await world.store.claim(ERA, ORGANIZATION, ["organization", "day:7"])

    async def change() -> None:
        world.facts.before = world.facts.after = nothing
        world.store.before.clear()
        await world.change("day:7")

    if where == "before the load":
        world.facts.before = change
    elif where == "after the load":
        world.facts.after = change
    else:
        world.store.before["put"] = change
    (first,) = await world.read(DAY)
    assert first == (b"0,1" if where == "before the load" else b"0,0", Outcome.MISS)
    assert world.store.entries == {}
    assert await world.read(DAY) == [(b"0,1", Outcome.MISS)]
    assert await world.read(DAY) == [(b"0,1", Outcome.HIT)]


async def test_a_reader_that_reads_guards_after_the_data_would_serve_stale(world: World) -> None:
    """Negative control: with the order turned round, the same change is hidden for good."""

    async def change() -> None:
        world.facts.after = nothing
        await world.change("day:7")

    world.facts.after = change
    await _naive_fill(world, DAY)
    assert await world.read(DAY) == [(b"0,0", Outcome.HIT)], "the check above would see nothing"


async def _naive_fill(world: World, read: Read) -> None:
    loaded = await world.facts.load(read)([0])
    nonces = tuple(await world.store.claim(ERA, ORGANIZATION, read.tags))
    entry = Entry(loaded.payloads[0], loaded.snapshot, 1000.0, read.ttl, 0.0)
    raw = encode(world.store.full_key(ERA, ORGANIZATION, read.key), b"".join(nonces), entry)
    await world.store.put(ERA, ORGANIZATION, Filled(read.key, read.tags, nonces, raw, read.ttl))


async def test_many_reads_are_one_round_trip_and_one_load(world: World) -> None:
    """Entries and guards of many reads come with one fetch; what misses is loaded together."""
    reads = [read_of(f"day {n}", f"day:{n}", "hours:7") for n in range(5)]
    await world.read(reads[1], reads[3])
    world.store.calls.clear()
    world.facts.loads.clear()
    world.facts.versions["day:0"] = 5
    answers = await world.read(*reads)
    assert [outcome for _, outcome in answers] == [
        Outcome.MISS,
        Outcome.HIT,
        Outcome.MISS,
        Outcome.HIT,
        Outcome.MISS,
    ]
    assert answers[0][0] == b"0,5,0"
    assert world.store.calls == ["fetch", "take", "put", "put", "put"]
    assert world.facts.loads == [(0, 2, 4)]
    world.store.calls.clear()
    assert {outcome for _, outcome in await world.read(*reads)} == {Outcome.HIT}
    assert world.store.calls == ["fetch"]


async def test_the_same_read_twice_is_answered_twice(world: World) -> None:
    """Two equal reads of one request do not disturb each other."""
    assert await world.read(DAY, DAY) == [(b"0,0", Outcome.MISS), (b"0,0", Outcome.SHARED)]
    assert await world.read(DAY, DAY) == [(b"0,0", Outcome.HIT)] * 2


async def test_a_full_read_asks_nobody_but_the_database(world: World) -> None:
    """A fully consistent read neither fetches nor stores, and sees what is not acknowledged."""
    await world.read(DAY)
    world.store.calls.clear()
    world.facts.versions["day:7"] += 1  # committed, not yet invalidated
    assert await world.read(DAY) == [(b"0,0", Outcome.HIT)]
    assert await world.read(DAY, consistency=Consistency.FULL) == [(b"0,1", Outcome.BYPASS)]
    assert world.store.calls == ["fetch"]
