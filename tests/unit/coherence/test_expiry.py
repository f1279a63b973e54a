"""Entries are refreshed before they expire, by one reader, and kept after it for who allows it."""

import asyncio
from random import Random
from statistics import fmean

import pytest

from cache_service.coherence.consistency import Consistency
from cache_service.coherence.entry import Entry, encode
from cache_service.coherence.expiry import Expiry
from cache_service.coherence.outcome import Outcome
from cache_service.coherence.ports import Read
from tests.unit.coherence.fakes import ERA, ORGANIZATION, World, read_of, settle

DAY = read_of("day", "day:1")
LIVES = 60.0
LOAD = 2.0
NEVER, ALWAYS = 0.0, 1 - 1e-16
"""Lots with which an entry is refreshed when it expires, and long before."""
STALE = Consistency(max_staleness=1000.0)


async def _fill(world: World, read: Read = DAY) -> None:
    """Store an entry whose load took two seconds, filled now."""
    nonces = tuple(await world.store.claim(ERA, ORGANIZATION, read.tags))
    entry = Entry(b"old", "10:20:", world.time, LIVES, LOAD)
    full_key = world.store.full_key(ERA, ORGANIZATION, read.key)
    world.store.entries[full_key] = encode(full_key, b"".join(nonces), entry)


def _later(world: World, seconds: float) -> None:
    world.time += seconds
    world.renew()


async def test_an_early_hit_is_served_and_refreshed_behind(world: World) -> None:
    """Nobody waits for the refresh, and the next reader has the new answer."""
    await _fill(world)
    _later(world, LIVES - 1)
    world.lot = ALWAYS
    assert await world.read(DAY) == [(b"old", Outcome.HIT)]
    await world.filler.drain()
    assert len(world.facts.loads) == 1
    world.lot = NEVER
    assert await world.read(DAY) == [(b"0,0", Outcome.HIT)]


async def test_the_short_way_refreshes_too(world: World) -> None:
    """One entry that is hit early is refreshed, whichever way it was asked for."""
    await _fill(world)
    world.lot = ALWAYS
    answer = await world.hit(DAY)
    assert answer is not None
    assert answer.payload == b"old"
    await world.filler.drain()
    assert len(world.facts.loads) == 1


async def test_without_the_lot_nothing_is_refreshed(world: World) -> None:
    """Negative control: until it expires the same entry is a hit and nothing else."""
    await _fill(world)
    _later(world, LIVES - 1)
    world.lot = NEVER
    for _ in range(10):
        assert await world.read(DAY) == [(b"old", Outcome.HIT)]
    await world.filler.drain()
    assert world.facts.loads == []


async def test_many_early_hits_in_two_processes_are_one_refresh(world: World) -> None:
    """The load lock decides who refreshes; those who do not get it go on without waiting."""
    other, go = World(world), asyncio.Event()
    world.facts.before = lambda: _wait(go)
    await _fill(world)
    world.lot = other.lot = ALWAYS
    for one in (world, other) * 10:
        assert await one.read(DAY) == [(b"old", Outcome.HIT)]
    await settle()
    assert len(world.facts.loads) == 1
    go.set()
    await world.filler.drain()
    await other.filler.drain()
    assert len(world.facts.loads) == 1


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


async def test_an_expired_entry_is_a_miss_and_is_replaced(world: World) -> None:
    """Past its time to live an entry is no hit, although all its guards are as they were."""
    await _fill(world)
    world.lot = NEVER
    _later(world, LIVES - 0.1)
    assert await world.read(DAY) == [(b"old", Outcome.HIT)]
    _later(world, 0.1)
    assert await world.hit(DAY) is None
    assert await world.read(DAY) == [(b"0,0", Outcome.MISS)]
    assert await world.read(DAY) == [(b"0,0", Outcome.HIT)]


async def test_an_expired_entry_is_served_to_who_allows_its_age(world: World) -> None:
    """Flagged stale and refreshed behind; who allows less, or nothing, waits for the load."""
    await _fill(world)
    _later(world, 500)
    assert await world.read(DAY, consistency=STALE) == [(b"old", Outcome.STALE)]
    await world.filler.drain()
    assert await world.read(DAY, consistency=STALE) == [(b"0,0", Outcome.HIT)]
    _later(world, 500)
    young = Consistency(max_staleness=499.0)
    assert await world.read(DAY, consistency=young) == [(b"0,0", Outcome.MISS)]


async def test_what_is_early_is_not_kept_in_memory_past_that(world: World) -> None:
    """A memory asks the shared cache again at the moment drawn, so that a hit draws nothing."""
    world.keep_in_memory()
    await _fill(world)
    world.lot = 1 - 1 / 2.718281828  # That is one load's time before the end.
    assert await world.read(DAY) == [(b"old", Outcome.HIT)]
    _later(world, LIVES - LOAD - 0.1)
    assert await world.read(DAY) == [(b"old", Outcome.NEAR)]
    _later(world, 0.2)
    assert await world.read(DAY) == [(b"old", Outcome.HIT)]
    await world.filler.drain()
    assert len(world.facts.loads) == 1


def test_the_moment_drawn_is_earlier_by_the_loads_time_on_average() -> None:
    """As XFetch has it: exponentially distributed, never after the expiry."""
    expiry = Expiry(lambda: 0.0, Random(1).random, 0.0)  # noqa: S311 - repeatable on purpose
    entry = Entry(b"", "1:1:", 1000.0, LIVES, LOAD)
    early = [entry.expires_at - expiry.refresh_at(entry) for _ in range(20_000)]
    assert min(early) >= 0
    assert fmean(early) == pytest.approx(LOAD, rel=0.05)
    assert fmean(one > LOAD for one in early) == pytest.approx(0.368, abs=0.02)


def test_times_to_live_differ_by_a_tenth() -> None:
    """Entries that were filled together do not expire together."""
    expiry = Expiry(lambda: 0.0, Random(1).random, 0.0)  # noqa: S311 - repeatable on purpose
    lives = [expiry.lives(300.0) for _ in range(1000)]
    assert 270 <= min(lives) < 275
    assert 325 < max(lives) <= 330
