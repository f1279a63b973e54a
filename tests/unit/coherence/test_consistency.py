"""Reads that ask for more than the default, and reads that ask for less."""

import pytest

from cache_service.coherence.consistency import Consistency
from cache_service.coherence.outcome import Outcome
from cache_service.coherence.tokens import Token
from tests.unit.coherence.fakes import World, read_of

DAY = read_of("day", "day:1")
STALE = Consistency(max_staleness=30.0)


async def test_an_invalidated_entry_is_served_to_who_allows_it(world: World) -> None:
    """It says that it is stale, and is refreshed behind: the next read hits the new one."""
    await world.read(DAY)
    await world.change("day:1")
    assert await world.read(DAY, consistency=STALE) == [(b"0,0", Outcome.STALE)]
    await world.filler.drain()
    assert await world.read(DAY) == [(b"0,1", Outcome.HIT)]
    assert len(world.facts.loads) == 2


async def test_a_default_read_is_never_served_what_was_invalidated(world: World) -> None:
    """Negative control: without max_staleness the same entry is a miss."""
    await world.read(DAY)
    await world.change("day:1")
    assert await world.read(DAY) == [(b"0,1", Outcome.MISS)]


async def test_without_a_lease_the_same_entry_is_served_to_who_allows_it(world: World) -> None:
    """Nobody can tell whether it is fresh, so it is stale to that caller and nothing to others."""
    await world.read(DAY)
    world.time = 1002.0
    assert await world.read(DAY, consistency=STALE) == [(b"0,0", Outcome.STALE)]
    await world.filler.drain()
    assert await world.read(DAY) == [(b"0,0", Outcome.UNCACHED)]


async def test_an_entry_older_than_allowed_is_loaded_anew(world: World) -> None:
    """The bound is the entry's age, and it is kept."""
    await world.read(DAY)
    await world.change("day:1")
    world.time = 1031.0
    world.renew()
    assert await world.read(DAY, consistency=STALE) == [(b"0,1", Outcome.MISS)]


async def test_who_allows_staleness_gets_the_fresh_entry_where_there_is_one(world: World) -> None:
    """A hit is a hit, and nothing is loaded."""
    await world.read(DAY)
    assert await world.read(DAY, consistency=STALE) == [(b"0,0", Outcome.HIT)]
    assert len(world.facts.loads) == 1


async def test_a_refresh_that_fails_is_nobodys_error(world: World) -> None:
    """Who allowed staleness got an answer; the next one tries again."""
    await world.read(DAY)
    await world.change("day:1")
    world.facts.fault = ValueError("away")
    for _ in range(2):
        assert await world.read(DAY, consistency=STALE) == [(b"0,0", Outcome.STALE)]
        await world.filler.drain()
    assert world.seen.failed == 2


@pytest.mark.parametrize(
    ("token", "outcome", "loads"),
    [
        (Token("db", xid=5), Outcome.HIT, 1),
        (Token("db", xid=30), Outcome.MISS, 2),
        (Token("db", xid=30, applied=True), Outcome.HIT, 1),
        (Token("other", xid=5), Outcome.BYPASS, 2),
    ],
)
async def test_a_token_is_honoured(
    world: World, token: Token, outcome: Outcome, loads: int
) -> None:
    """An entry will do if it saw the transaction; an applied one asks for no more than G1."""
    await world.read(DAY)
    assert await world.read(DAY, consistency=Consistency(token=token)) == [(b"0,0", outcome)]
    assert len(world.facts.loads) == loads


async def test_until_the_database_is_known_a_token_asks_for_it(world: World) -> None:
    """What cannot be compared is read from the primary."""
    world.lease.known = None
    world.lease.end()
    token = Consistency(token=Token("db", xid=5))
    assert await world.read(DAY, consistency=token) == [(b"0,0", Outcome.BYPASS)]
