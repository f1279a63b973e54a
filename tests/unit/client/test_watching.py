"""The stream that feeds the near cache: how far its word reaches, and what its loss means."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from cache_service.client.near import Near
from cache_service.client.reads import READS
from cache_service.client.watching import Watcher
from chairside.cache.v1 import cache_service_pb2 as pb
from chairside.cache.v1.cache_service_pb2_grpc import CacheServiceStub
from tests.support.grpc_server import serve_here
from tests.support.waiting import eventually
from tests.unit.client.fake_cache import FakeCache, Stream, ask, slots_of

READ = READS["get_availability"]
QUESTION = ask(1, staleness=30)
RAW = QUESTION.SerializeToString()


@dataclass
class Watch:
    """A watcher over a fake service, under a clock that the test sets."""

    fake: FakeCache
    near: Near
    watcher: Watcher
    clock: list[float] = field(default_factory=list)

    async def stream(self, number: int = 0) -> Stream:
        """Wait until so many streams and one more were opened, and return the last of them."""

        async def opened() -> bool:
            return len(self.fake.streams) > number

        await eventually(opened)
        return self.fake.streams[number]

    async def keep(self) -> None:
        """Keep an answer, as soon as the stream was heard."""

        async def heard() -> Any:
            return self.near.asks(READ, 1, RAW, 30.0)

        self.near.put(await eventually(heard), slots_of(1), ["day"], "p1")
        assert len(self.near) == 1

    def hits(self) -> bool:
        """Tell whether the answer is served."""
        return self.near.get(READ, RAW) is not None

    async def heard(self, stream: Stream) -> None:
        """Wait until all that was sent on the stream was heard, and keep the answer again."""
        stream.tell("day")
        await self.becomes(served=False)
        await self.keep()

    async def becomes(self, *, served: bool) -> None:
        """Wait until the answer is served, or is not."""

        async def as_wanted() -> bool:
            return self.hits() is served

        await eventually(as_wanted)


@pytest.fixture
async def watch() -> AsyncIterator[Watch]:
    """Open a stream at 1000.0 seconds, with a lease of one, and keep an answer of then."""
    fake, clock = FakeCache(), [1000.0]
    near = Near(100_000, lease=1.0, ttl=30.0, clock=lambda: clock[0])
    async with serve_here(fake) as served:
        watcher = Watcher(
            near,
            partial(CacheServiceStub(served.channel).Watch, pb.WatchRequest()),  # type: ignore[arg-type]
            clock=lambda: clock[0],
            jitter=lambda: 0.0,
        )
        watcher.start()
        watch = Watch(fake, near, watcher, clock)
        stream = await watch.stream()
        stream.beat(0.0)
        await watch.keep()
        yield watch
        await watcher.close()
        for stream in fake.streams:

            async def gone(stream: Stream = stream) -> bool:
                return stream.ended.is_set()

            await eventually(gone)


async def test_the_view_is_as_old_as_the_opening_and_what_the_server_counted(watch: Watch) -> None:
    """It counts from before the stream was asked for, and less the clocks' margin."""
    stream = await watch.stream()
    watch.clock[0] = 1002.5
    assert not watch.hits()
    stream.beat(2.0)
    # Told until 1000 + 2.0 * 0.97 = 1001.94, so good until 1002.94.
    await watch.becomes(served=True)
    watch.clock[0] = 1002.93
    assert watch.hits()
    watch.clock[0] = 1002.95
    assert not watch.hits()


async def test_what_is_told_is_dropped(watch: Watch) -> None:
    """A tag drops what depends on it, everything drops the rest."""
    stream = await watch.stream()
    stream.tell("other")
    stream.tell("day", organization_id=2)
    stream.beat(0.1)
    stream.tell("day")
    await watch.becomes(served=False)
    await watch.keep()
    stream.tell_everything()
    await watch.becomes(served=False)
    assert len(watch.near) == 0


async def test_a_lost_stream_empties_the_cache_and_is_opened_again(watch: Watch) -> None:
    """What changed in between nobody told of."""
    (await watch.stream()).end()
    await watch.becomes(served=False)
    assert len(watch.near) == 0
    assert watch.near.asks(READ, 1, RAW, 30.0) is None
    again = await watch.stream(1)
    again.beat(0.0)
    await watch.keep()
    assert watch.hits()


async def test_a_stream_grown_old_has_a_successor_and_nothing_is_lost(watch: Watch) -> None:
    """The old one goes on until it has told of all before the new one was heard."""
    old = await watch.stream()
    watch.clock[0] = 1005.0
    old.beat(5.0)
    new = await watch.stream(1)
    new.beat(0.0)
    await watch.heard(new)
    watch.clock[0] = 1005.1
    # Told until 1000 + 5.1 * 0.97 = 1004.947: not yet all until the new one was heard.
    old.beat(5.1)
    await watch.heard(old)
    assert not old.ended.is_set()
    watch.clock[0] = 1005.3
    old.beat(5.2)
    # Told until 1005.044: the new one, heard at 1005, knows all that follows.

    async def ended() -> bool:
        return old.ended.is_set()

    await eventually(ended)
    assert len(watch.near) == 1
    new.beat(0.2)
    # Its margin began anew: told until 1005.194, not 1005.17 and less.
    watch.clock[0] = 1006.19
    await watch.becomes(served=True)
    new.tell("day")
    await watch.becomes(served=False)


async def test_a_successor_of_another_process_begins_with_nothing(watch: Watch) -> None:
    """What its process heard before, the other one's answers may not know."""
    old = await watch.stream()
    watch.clock[0] = 1005.0
    old.beat(5.0)
    new = await watch.stream(1)
    new.beat(0.0, "p2")
    await watch.heard(new)
    assert len(watch.near) == 1
    watch.clock[0] = 1005.3
    old.beat(5.3)
    await watch.becomes(served=False)

    async def emptied() -> bool:
        return len(watch.near) == 0

    await eventually(emptied)
    new.beat(0.3, "p2")
    asked = watch.near.asks(READ, 1, RAW, 30.0)
    assert asked is not None
    watch.near.put(asked, slots_of(1), ["day"], "p2")
    await watch.becomes(served=True)


async def test_losing_a_stream_loses_its_successor_too(watch: Watch) -> None:
    """A successor that was not in force yet has not been told of all, and is not kept."""
    old = await watch.stream()
    watch.clock[0] = 1005.0
    old.beat(5.0)
    new = await watch.stream(1)
    old.end()
    third = await watch.stream(2)

    async def ended() -> bool:
        return new.ended.is_set()

    await eventually(ended)
    third.beat(0.0)
    await watch.keep()


async def test_a_successor_that_is_lost_is_tried_again(watch: Watch) -> None:
    """The stream in force goes on meanwhile."""
    old = await watch.stream()
    watch.clock[0] = 1005.0
    old.beat(5.0)
    (await watch.stream(1)).end()

    async def tried() -> bool:
        old.beat(5.0)
        return len(watch.fake.streams) > 2

    await eventually(tried)
    assert len(watch.near) == 1


async def test_closing_ends_the_streams_for_good(watch: Watch) -> None:
    """No task, no stream, and none is opened again."""
    await watch.watcher.close()
    watch.watcher.start()
    assert len(watch.fake.streams) == 1
    assert len(watch.near) == 0
