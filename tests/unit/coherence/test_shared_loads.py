"""Many callers who miss the same entry cost the database one load."""

import asyncio

import pytest

from cache_service.coherence.consistency import Consistency
from cache_service.coherence.outcome import Outcome
from cache_service.coherence.tokens import Token
from tests.unit.coherence.fakes import ERA, ORGANIZATION, World, read_of, settle

DAY = read_of("day", "day:1")


async def _held(world: World) -> tuple[asyncio.Event, asyncio.Event]:
    """Make loads wait; return what is set when one has begun, and what lets it go on."""
    begun, go = asyncio.Event(), asyncio.Event()

    async def before() -> None:
        begun.set()
        await go.wait()

    world.facts.before = before
    return begun, go


async def test_one_load_for_a_thousand_callers(world: World) -> None:
    """All get the answer; the database is asked once."""
    answers = await asyncio.gather(*(world.read(DAY) for _ in range(1000)))
    assert {payload for ((payload, _),) in answers} == {b"0,0"}
    assert len(world.facts.loads) == 1
    outcomes = [outcome for ((_, outcome),) in answers]
    assert outcomes.count(Outcome.MISS) == 1
    assert outcomes.count(Outcome.SHARED) == 999


async def test_callers_of_other_entries_do_not_join(world: World) -> None:
    """Negative control: a thousand different entries are a thousand loads."""
    await asyncio.gather(*(world.read(read_of(str(n), "day:1")) for n in range(1000)))
    assert len(world.facts.loads) == 1000


async def test_the_first_caller_may_leave(world: World) -> None:
    """The load goes on for the others when its first caller is cancelled."""
    begun, go = await _held(world)
    first = asyncio.create_task(world.read(DAY))
    await begun.wait()
    second = asyncio.create_task(world.read(DAY))
    await settle()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    go.set()
    assert await second == [(b"0,0", Outcome.SHARED)]
    assert len(world.facts.loads) == 1


async def test_a_change_gives_its_readers_another_load(world: World) -> None:
    """Who reads after an acknowledgement does not join a load begun before the change."""
    begun, go = await _held(world)
    early = asyncio.create_task(world.read(DAY))
    await begun.wait()
    world.facts.before = world.facts.after
    await world.change("day:1")
    assert await world.read(DAY) == [(b"0,1", Outcome.MISS)]
    go.set()
    await early
    assert await world.read(DAY) == [(b"0,1", Outcome.HIT)]
    assert len(world.facts.loads) == 2


async def test_a_failed_load_fails_all_who_joined_and_is_forgotten(world: World) -> None:
    """Everyone hears of the error; the next caller loads anew."""
    world.facts.fault = ValueError("no such day")
    answers = await asyncio.gather(*(world.read(DAY) for _ in range(5)), return_exceptions=True)
    assert [str(answer) for answer in answers] == ["no such day"] * 5
    assert len(world.facts.loads) == 1
    world.facts.fault = None
    assert await world.read(DAY) == [(b"0,0", Outcome.MISS)]


async def test_without_the_store_only_a_load_that_has_not_begun_is_joined(world: World) -> None:
    """A load whose transaction runs may be older than what the caller must see."""
    world.store.refused = {"fetch"}
    begun, go = await _held(world)
    early = asyncio.create_task(world.read(DAY))
    await begun.wait()
    world.facts.before = world.facts.after
    world.facts.versions["day:1"] += 1
    assert await world.read(DAY) == [(b"0,1", Outcome.UNCACHED)]
    go.set()
    await early
    assert len(world.facts.loads) == 2


async def test_without_the_store_callers_at_once_are_one_load(world: World) -> None:
    """Those who come before the transaction begins are served by it."""
    world.store.refused = {"fetch"}
    await asyncio.gather(*(world.read(DAY) for _ in range(100)))
    assert len(world.facts.loads) == 1


async def test_a_full_read_joins_nobody(world: World) -> None:
    """Each caller who asks for the database gets a load of their own."""
    await asyncio.gather(*(world.read(DAY, consistency=Consistency.FULL) for _ in range(3)))
    assert len(world.facts.loads) == 3


async def test_a_token_takes_a_shared_load_only_if_that_saw_its_transaction(
    world: World,
) -> None:
    """A load of a snapshot without the transaction is not enough; one's own is."""
    begun, go = await _held(world)
    early = asyncio.create_task(world.read(DAY))
    await begun.wait()
    unseen, seen = Token("db", xid=30), Token("db", xid=5)
    demands = [Consistency(token=token) for token in (unseen, seen)]
    reads = [asyncio.create_task(world.read(DAY, consistency=demand)) for demand in demands]
    await settle()
    go.set()
    assert [[outcome for _, outcome in await read] for read in reads] == [
        [Outcome.MISS],
        [Outcome.SHARED],
    ]
    await early
    assert len(world.facts.loads) == 2
    assert world.store.entries[world.store.full_key(ERA, ORGANIZATION, DAY.key)]
