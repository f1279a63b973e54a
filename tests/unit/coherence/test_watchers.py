"""What watchers are told, in which order, and what a heartbeat stands for."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator

import pytest

from cache_service.coherence.authority import Standing, bound
from cache_service.coherence.keeper import Keeper
from cache_service.coherence.lease import LEASE_SECONDS, Lease
from cache_service.coherence.memory import Memory
from cache_service.coherence.peers import Peers, Publication
from cache_service.coherence.watchers import (
    HEARTBEAT_SECONDS,
    MOST_WAITING,
    End,
    Told,
    WatchEnded,
    Watcher,
    Watchers,
)
from tests.unit.coherence.fakes import settle

STANDING = Standing("db", "epoch", bound("store", "db"), 1, {"member": False}, "1:1:")


class _World:
    """A process that is watched, with a lease, on a clock that stands."""

    def __init__(self) -> None:
        self.now = 100.0
        self.beats = asyncio.Semaphore(0)
        self.told_when_acknowledging: list[list[Told]] = []
        self.lease = Lease(lambda: self.now)
        self.lease.renew(STANDING, self.now)
        self.watchers = Watchers(self.lease, lambda: self.now, self._sleep)
        self.memory = Memory(10_000, lambda: self.now, self.watchers)
        self.peers = Peers(self.memory, "me", self._acknowledge, self._sleep)
        self.peers.member = "member"
        self.watched: list[Watcher] = []

    async def _sleep(self, _seconds: float) -> None:
        await self.beats.acquire()

    def _acknowledge(self, *_told: object) -> None:
        self.told_when_acknowledging += [list(one._waiting) for one in self.watched]


async def _told(watcher: Watcher, count: int) -> list[Told]:
    """Take so many that wait already."""
    told: AsyncIterator[Told] = aiter(watcher)
    return [await asyncio.wait_for(anext(told), 1) for _ in range(count)]


async def _end(watcher: Watcher) -> End:
    """Take all that waits, and return why there is no more."""
    with pytest.raises(WatchEnded) as caught:
        await _told(watcher, MOST_WAITING)
    return caught.value.why


async def test_what_is_heard_waits_for_the_watcher_before_it_is_acknowledged() -> None:
    """No turn of the loop lies between the dropping and the acknowledgement."""
    world = _World()
    with world.watchers.watch() as watcher:
        world.watched = [watcher]
        await _told(watcher, 1)
        world.peers.heard(Publication("another", 1, 7, ("day:1", "day:2")))
        assert world.told_when_acknowledging == [[Told(7, ("day:1", "day:2"))]]


async def test_a_watcher_is_told_what_it_asked_for_and_no_more() -> None:
    """By organization and by tag; nothing wanted, nothing told; all for who asks for all."""
    world = _World()
    with (
        world.watchers.watch() as every,
        world.watchers.watch(7) as of_seven,
        world.watchers.watch(7, frozenset({"day:1", "organization"})) as some,
        world.watchers.watch(8) as of_eight,
    ):
        assert len(world.watchers) == 4
        world.memory.drop(7, ["day:1", "day:2"])
        world.memory.drop(7, ["day:2"])
        world.memory.drop(7, ["organization"])
        world.memory.drop(8, ["day:1"])
        for watcher, expected in (
            (
                every,
                [(7, ("day:1", "day:2")), (7, ("day:2",)), (7, ("organization",)), (8, ("day:1",))],
            ),
            (of_seven, [(7, ("day:1", "day:2")), (7, ("day:2",)), (7, ("organization",))]),
            (some, [(7, ("day:1",)), (7, ("organization",))]),
            (of_eight, [(8, ("day:1",))]),
        ):
            first, *rest = await _told(watcher, 1 + len(expected))
            assert first == Told(elapsed=0.0)
            assert rest == [Told(*one) for one in expected]
            assert not watcher._waiting
    assert len(world.watchers) == 0
    world.memory.drop(7, ["day:1"])
    assert not every._waiting


async def test_a_heartbeat_has_its_place_behind_what_was_told_before() -> None:
    """It says how long the watch has been open when it was put there, not when it is read."""
    world = _World()
    running = asyncio.create_task(world.watchers.run())
    with world.watchers.watch() as watcher:
        for step in (1, 2):
            world.now += HEARTBEAT_SECONDS
            world.lease.renew(STANDING, world.now)
            world.memory.drop(7, [f"day:{step}"])
            world.beats.release()
            await settle()
        world.memory.drop(7, ["day:3"])
        told = await _told(watcher, 6)
    running.cancel()
    assert told == [
        Told(elapsed=0.0),
        Told(7, ("day:1",)),
        Told(elapsed=HEARTBEAT_SECONDS),
        Told(7, ("day:2",)),
        Told(elapsed=2 * HEARTBEAT_SECONDS),
        Told(7, ("day:3",)),
    ]


async def test_heartbeats_that_nobody_reads_become_one() -> None:
    """The last one says all that those before it said, if nothing was told between."""
    world = _World()
    with world.watchers.watch() as watcher:
        for _ in range(3 * MOST_WAITING):
            watcher.beat(world.now)
        world.now += 0.5
        watcher.beat(world.now)
        assert list(watcher._waiting) == [Told(elapsed=0.5)]


async def test_without_a_lease_there_is_no_heartbeat() -> None:
    """The watch ends behind what was told; one that is opened then ends at once."""
    world = _World()
    running = asyncio.create_task(world.watchers.run())
    await settle()
    with world.watchers.watch() as watcher:
        world.memory.drop(7, ["day:1"])
        world.now += LEASE_SECONDS
        world.beats.release()
        await settle()
        world.memory.drop(7, ["day:2"])
        assert await _told(watcher, 2) == [Told(elapsed=0.0), Told(7, ("day:1",))]
        assert await _end(watcher) is End.NO_LEASE
    with world.watchers.watch() as late:
        assert not late._waiting
        assert await _end(late) is End.NO_LEASE
    running.cancel()


async def test_a_heartbeat_says_nothing_of_a_pause_in_its_making() -> None:
    """Stopped between clock and lease for longer than that lasts, a process was expelled."""
    now, pause = [100.0], [0.0]

    def clock() -> float:
        before = now[0]
        now[0] += pause[0]
        return before

    lease = Lease(clock)
    lease.renew(STANDING, clock())
    watchers = Watchers(lease, clock, asyncio.sleep)
    with watchers.watch() as watcher:
        assert await _told(watcher, 1) == [Told(elapsed=0.0)]
        pause[0] = 2 * LEASE_SECONDS
        watchers._beat(watcher)
        assert await _end(watcher) is End.NO_LEASE


async def test_who_forgets_everything_says_so_before_any_heartbeat() -> None:
    """What waited is told by that, too."""
    world = _World()
    with world.watchers.watch(7, frozenset({"day:1"})) as watcher:
        world.memory.drop(7, ["day:1"])
        world.memory.forget()
        watcher.beat(world.now)
        assert await _told(watcher, 2) == [Told(everything=True), Told(elapsed=0.0)]


async def test_a_slow_reader_is_ended_and_keeps_nothing_waiting() -> None:
    """As many tags as may wait are told; with one more all are lost, and the watch is over."""
    world = _World()
    tags = [f"day:{n}" for n in range(MOST_WAITING - 2)]
    with world.watchers.watch() as watcher, world.watchers.watch() as other:
        world.memory.drop(7, tags)
        assert len(await _told(other, 2)) == 2
        world.memory.drop(7, ["day:0"])
        assert not watcher._waiting
        assert await _end(watcher) is End.TOO_SLOW
        assert await _told(other, 1) == [Told(7, ("day:0",))]


async def test_the_drain_ends_a_watch_behind_what_was_told() -> None:
    """The first reason stays."""
    world = _World()
    with world.watchers.watch() as watcher:
        world.memory.drop(7, ["day:1"])
        world.watchers.end(End.DRAINING)
        world.watchers.end(End.NO_LEASE)
        assert await _told(watcher, 2) == [Told(elapsed=0.0), Told(7, ("day:1",))]
        assert await _end(watcher) is End.DRAINING


class _Authority:
    """Says what is in force, and takes whoever registers."""

    def __init__(self) -> None:
        self.standing = STANDING

    async def look(self) -> Standing:
        return self.standing

    async def register(self, member: str, _former: str | None) -> None:
        self.standing = dataclasses.replace(self.standing, members={member: False})


class _Server:
    connected = True

    async def identity(self) -> str:
        return "store"


@pytest.mark.parametrize("how", ["expelled", "another epoch"])
async def test_no_heartbeat_comes_between_what_was_missed_and_everything(how: str) -> None:
    """Expelled, or after another epoch, a lease is held again only behind `everything`.

    Whoever expelled this process, or put another epoch in force, waited for its lease, and may
    have acknowledged what was never heard here.
    """
    world, authority = _World(), _Authority()
    keeper = Keeper(
        authority=authority,  # type: ignore[arg-type]
        server=_Server(),  # type: ignore[arg-type]
        lease=world.lease,
        memory=world.memory,
        peers=world.peers,
        rules_version=1,
        new_member=lambda: "anew",
        tell=lambda _happening: None,
        clock=lambda: world.now,
        sleep=world._sleep,
    )
    with world.watchers.watch() as watcher:
        await keeper.turn()
        watcher.beat(world.now)
        assert await _told(watcher, 1) == [Told(elapsed=0.0)]  # the control: nothing missed
        if how == "expelled":
            authority.standing = dataclasses.replace(STANDING, members={"member": True})
        else:
            authority.standing = dataclasses.replace(STANDING, epoch="another")
        while await keeper.turn():
            assert how == "expelled"
        world.watchers._beat(watcher)
        told = await _told(watcher, 2)
    assert told == [Told(everything=True), Told(elapsed=0.0)]
