"""Publications are dropped first, then acknowledged; silence is told by name."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field

import pytest

from cache_service.coherence.authority import AuthorityUnavailableError, Standing
from cache_service.coherence.era import Era
from cache_service.coherence.lease import Lease
from cache_service.coherence.looks import Looks
from cache_service.coherence.memory import Memory
from cache_service.coherence.outcome import Answer, Outcome
from cache_service.coherence.peers import Peers, Publication
from tests.unit.coherence.fakes import read_of, settle

ERA = Era("database", "epoch", "server")
READ = read_of("one", "day:1")


@dataclass
class _World:
    """Peers of one process, with what they sent and a sleep that ends when it is told."""

    sent: list[tuple[Publication, str]] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    memory: Memory = field(default_factory=lambda: Memory(10_000, lambda: 0.0))

    def __post_init__(self) -> None:
        def acknowledge(*told: object) -> None:
            assert self.memory.get(ERA, 1, READ.key) is None, "dropped before it is told"
            self.sent.append(told)  # type: ignore[arg-type]

        def sleep(_seconds: float) -> Awaitable[None]:
            return self.over.wait()  # type: ignore[return-value]

        self.peers = Peers(self.memory, "me", acknowledge, sleep)
        self.memory.put(ERA, 0, 1, READ, Answer(b"", Outcome.HIT, "1:1:", 0.0), 9.0)


async def test_what_is_heard_is_dropped_and_then_acknowledged() -> None:
    """The publisher is told its own number and who heard it; who is no member tells nobody."""
    world = _World()
    publication = Publication("another", 7, 1, READ.tags)
    world.peers.member = "member"
    world.peers.heard(publication)
    assert world.sent == [(publication, "member")]
    world.peers.member = None
    world.peers.heard(publication)
    assert len(world.sent) == 1


async def test_a_publisher_hears_its_own_publication() -> None:
    """It drops and counts for itself, without a message."""
    world = _World()
    world.peers.member = "member"
    number = world.peers.publish()
    world.peers.heard(Publication("me", number, 1, READ.tags))
    assert await world.peers.silent([number], ["member"], 1.0) == set()
    assert world.sent == []
    assert world.memory.get(ERA, 1, READ.key) is None


async def test_silence_ends_with_the_last_acknowledgement_or_the_time() -> None:
    """All numbers must be acknowledged by all members; late ones are named."""
    world = _World()
    first, second = world.peers.publish(), world.peers.publish()
    waiting = asyncio.create_task(world.peers.silent([first, second], ["a", "b"], 1.0))
    for number, member in ((first, "a"), (first, "b"), (second, "b"), (second, "nobody")):
        world.peers.acknowledged(number, member)
        await settle()
        assert not waiting.done()
    world.peers.acknowledged(second, "a")
    assert await waiting == set()
    again = asyncio.create_task(world.peers.silent([world.peers.publish()], ["a", "b"], 1.0))
    await settle()
    world.peers.acknowledged(second + 1, "b")
    world.over.set()
    assert await again == {"a"}
    world.peers.done([first, second, second + 1])
    world.peers.acknowledged(second, "late")


async def test_who_goes_away_leaves_no_task() -> None:
    """A cancelled wait takes its timer with it."""
    world = _World()
    before = asyncio.all_tasks()
    waiting = asyncio.create_task(world.peers.silent([world.peers.publish()], ["a"], 1.0))
    await settle()
    assert len(asyncio.all_tasks() - before) == 3
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await settle()
    assert asyncio.all_tasks() <= before


class _Authority:
    """Answers a look when it is told, and counts."""

    def __init__(self) -> None:
        self.looks = 0
        self.go_on = asyncio.Event()
        self.away = False

    async def look(self) -> Standing:
        """Look, once it may."""
        self.looks += 1
        number = self.looks
        await self.go_on.wait()
        if self.away:
            raise AuthorityUnavailableError
        return Standing("database", str(number), None, 1, {}, "1:1:")


async def test_a_look_serves_only_who_asked_before_it_began() -> None:
    """Ten who ask while one is under way share the next one, and never that one."""
    authority = _Authority()
    looks = Looks(authority, Lease(lambda: 0.0))  # type: ignore[arg-type]
    first = asyncio.create_task(looks.look())
    await settle()
    later = [asyncio.create_task(looks.look()) for _ in range(10)]
    await settle()
    assert authority.looks == 1
    authority.go_on.set()
    assert (await first).epoch == "1"
    assert {(await one).epoch for one in later} == {"2"}
    assert authority.looks == 2


async def test_a_look_that_fails_fails_for_its_own_callers_only() -> None:
    """The next one is asked anew, and a caller that went away takes nothing along."""
    authority = _Authority()
    looks = Looks(authority, Lease(lambda: 0.0))  # type: ignore[arg-type]
    authority.away = True
    first, gone = asyncio.create_task(looks.look()), asyncio.create_task(looks.look())
    await settle()
    gone.cancel()
    authority.go_on.set()
    with pytest.raises(AuthorityUnavailableError):
        await first
    authority.away = False
    assert (await looks.look()).epoch == "2"
