"""Whose error a shared load's error is."""

import asyncio
from collections.abc import Sequence

import pytest

from cache_service.coherence.outcome import Outcome
from cache_service.coherence.ports import Load, Loaded, Read
from tests.unit.coherence.fakes import ORGANIZATION, World, read_of, settle

GOOD = read_of("good", "day:1")
BAD = read_of("bad", "day:2")


class _Held:
    """A database that does not know `BAD`, and answers when it is let go."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.go = asyncio.Event()
        self.loads: list[list[str]] = []

    def load(self, *reads: Read) -> Load:
        """Return the load of these reads."""

        async def load(wanted: Sequence[int]) -> Loaded:
            self.loads.append([reads[position].key for position in wanted])
            await self.go.wait()
            if BAD in [reads[position] for position in wanted]:
                raise LookupError(BAD.key)
            return await self.world.facts.load(*reads)(wanted)

        return load

    async def read(self, *reads: Read) -> list[tuple[bytes, Outcome]]:
        """Read with this load."""
        answers = await self.world.reader.read(ORGANIZATION, reads, self.load(*reads))
        return [(answer.payload, answer.outcome) for answer in answers]


@pytest.mark.parametrize("away", [False, True], ids=["store there", "store away"])
async def test_anothers_bad_argument_is_not_my_error(world: World, *, away: bool) -> None:
    """Who joined the load of a request that also asked for something unknown is answered."""
    if away:
        world.store.refused = {"fetch"}
    held = _Held(world)
    other = asyncio.create_task(held.read(GOOD, BAD))
    await settle()
    mine = asyncio.create_task(held.read(GOOD))
    both = asyncio.create_task(held.read(read_of("more", "day:3"), GOOD))
    await settle()
    held.go.set()
    with pytest.raises(LookupError, match="bad"):
        await other
    assert (await mine)[0][0] == b"0,0"
    assert [payload for payload, _ in await both] == [b"0,0", b"0,0"]


async def test_my_own_bad_argument_is(world: World) -> None:
    """Who asked for the unknown too, among others or alone, gets the error."""
    held = _Held(world)
    tasks = [asyncio.create_task(held.read(*reads)) for reads in ((GOOD, BAD), (BAD,), (BAD, GOOD))]
    await settle()
    held.go.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [LookupError] * 3
    assert (await held.read(GOOD))[0][0] == b"0,0"


async def test_callers_of_one_entry_hear_of_its_one_failure(world: World) -> None:
    """A thousand callers of an entry that cannot be loaded cost one failed load."""
    held = _Held(world)
    tasks = [asyncio.create_task(held.read(BAD)) for _ in range(1000)]
    await settle()
    held.go.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(result) for result in results} == {LookupError}
    assert len(held.loads) == 1
