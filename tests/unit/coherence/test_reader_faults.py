"""Callers that leave, a shared cache that fails, loads that raise."""

import asyncio

import pytest

from cache_service.coherence.consistency import Consistency
from cache_service.coherence.outcome import Outcome
from tests.unit.coherence.fakes import World, nothing, read_of

DAY = read_of("day", "day:7")


async def test_a_cancelled_caller_does_not_cancel_the_load(world: World) -> None:
    """A load goes on without its caller, and what it stores serves the next."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def held() -> None:
        begun.set()
        await go_on.wait()

    world.facts.before = held
    caller = asyncio.create_task(world.read(DAY))
    await begun.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    go_on.set()
    await world.filler.drain()
    assert await world.read(DAY) == [(b"0,0", Outcome.HIT)]
    assert len(world.facts.loads) == 1


async def test_a_failed_load_of_a_caller_that_left_is_nobodys_error(world: World) -> None:
    """A load that fails after its caller went away disturbs neither the loop nor the next."""
    complaints: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: complaints.append(context))
    try:
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def held() -> None:
            begun.set()
            await go_on.wait()

        world.facts.before, world.facts.fault = held, RuntimeError("away")
        caller = asyncio.create_task(world.read(DAY))
        await begun.wait()
        caller.cancel()
        go_on.set()
        await asyncio.gather(caller, return_exceptions=True)
        await world.filler.drain()
        world.facts.before, world.facts.fault = nothing, None
        assert await world.read(DAY) == [(b"0,0", Outcome.MISS)]
    finally:
        loop.set_exception_handler(None)
    assert complaints == []


@pytest.mark.parametrize(
    ("refused", "outcome", "hits_later"),
    [
        (["fetch"], Outcome.UNCACHED, False),
        (["take"], Outcome.UNCACHED, False),
        (["put"], Outcome.MISS, False),
        (["fetch", "take", "put"], Outcome.UNCACHED, False),
        ([], Outcome.MISS, True),
    ],
)
async def test_a_store_that_fails_is_nobodys_error(
    world: World, refused: list[str], outcome: Outcome, *, hits_later: bool
) -> None:
    """Whichever call fails, the answers are right, in order, and nothing wrong is kept."""
    reads = [read_of(f"day {n}", f"day:{n}") for n in range(3)]
    world.facts.versions["day:1"] = 4
    world.store.refused = set(refused)
    assert await world.read(*reads) == [(b"0,0", outcome), (b"0,4", outcome), (b"0,0", outcome)]
    assert bool(world.store.entries) is hits_later
    assert world.seen.outcomes == [outcome] * 3
    world.store.refused.clear()
    later = {outcome for _, outcome in await world.read(*reads)}
    assert later == {Outcome.HIT if hits_later else Outcome.MISS}


async def test_a_short_hit_while_the_store_is_away_is_no_hit(world: World) -> None:
    """The short way reports no hit, counts nothing and raises nothing."""
    await world.read(DAY)
    world.seen.outcomes.clear()
    world.store.refused = {"fetch"}
    assert await world.hit(DAY) is None
    assert world.seen.outcomes == []


@pytest.mark.parametrize("consistency", [Consistency.DEFAULT, Consistency.FULL])
async def test_what_a_load_raises_is_raised_and_not_cached(
    world: World, consistency: Consistency
) -> None:
    """An error of the database reaches the caller, is counted, and leaves no entry."""
    world.facts.fault = LookupError("no such barber")
    with pytest.raises(LookupError):
        await world.read(DAY, consistency=consistency)
    assert world.store.entries == {}
    assert world.seen.failed == 1
    assert world.seen.outcomes == []
    world.facts.fault = None
    assert (await world.read(DAY))[0][0] == b"0,0"


async def test_some_hits_do_not_save_a_request_whose_load_fails(world: World) -> None:
    """Where one part cannot be loaded there is no answer, and the hit parts stay."""
    await world.read(DAY)
    world.facts.fault = LookupError("no such barber")
    with pytest.raises(LookupError):
        await world.read(DAY, read_of("night", "night:7"))
    assert await world.read(DAY) == [(b"0,0", Outcome.HIT)]
