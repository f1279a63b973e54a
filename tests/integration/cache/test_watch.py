"""Watch: who keeps answers is told of every change before a heartbeat that stands for it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import grpc
import pytest

from cache_service.invalidation import tags
from chairside.cache.v1 import cache_service_pb2 as pb
from chairside.cache.v1.cache_service_pb2_grpc import CacheServiceStub
from service_kit.clock import elapsed
from tests.integration.cache.pair import Pair, everything_of
from tests.integration.cache.running import refused
from tests.integration.cache.shops import Shop, open_shop
from tests.support.grpc_server import details_of
from tests.support.waiting import eventually

DAY = date(2025, 3, 10)
THIRD = 1 / 3


class Watching:
    """One who watches, by a clock of its own; each message is remembered."""

    def __init__(self, stub: Any, **fields: Any) -> None:
        self.opened_at = elapsed()
        self.call = stub.Watch(pb.WatchRequest(**fields))
        self.heard: list[pb.WatchResponse] = []

    async def next(self) -> pb.WatchResponse:
        """Return the next message."""
        message = await asyncio.wait_for(self.call.read(), 10)
        assert message is not grpc.aio.EOF
        self.heard.append(message)
        return message  # type: ignore[no-any-return]

    async def stands_for(self, moment: float) -> None:
        """Read until a heartbeat says that all acknowledged before that moment was told."""
        while True:
            message = await self.next()
            if message.HasField("elapsed"):
                e = message.elapsed.ToNanoseconds() / 1e9
                if self.opened_at + e > moment:
                    return

    async def ended(self, most: int = 100) -> grpc.aio.AioRpcError:
        """Read to the end, so many messages at most, and return with what error that came."""
        try:
            for _ in range(most):
                await self.next()
        except grpc.aio.AioRpcError as error:
            return error
        message = "it did not end"
        raise AssertionError(message)

    def told(self, organization_id: int) -> list[str]:
        """Return the tags of an organization told so far."""
        return [t for one in self.heard if one.organization_id == organization_id for t in one.tags]


@pytest.fixture
async def watchers(pair: Pair) -> AsyncIterator[list[Watching]]:
    """Collect who watches; at the end all hang up, and nobody is left in either process."""
    found: list[Watching] = []
    yield found
    for one in found:
        one.call.cancel()

    async def nobody() -> bool:
        return all(cache.metric("chairside_cache_watchers") == 0 for cache in pair.both)

    await eventually(nobody)


def _tag(shop: Shop, name: str) -> pb.InvalidateRequest:
    tag = pb.Tag(organization_id=shop.organization_id, name=name)
    return pb.InvalidateRequest(tags=[tag])


async def test_every_acknowledged_change_is_told_before_the_heartbeat(
    pair: Pair, watchers: list[Watching]
) -> None:
    """In both processes, whichever took the change; the control is a shop that nobody changed."""
    shop, quiet = await open_shop(pair.connection), await open_shop(pair.connection)
    watchers += [
        Watching(cache.stub, organization_id=one.organization_id)
        for cache in pair.both
        for one in (shop, quiet)
    ]
    for one in watchers:
        await one.next()
    for n in range(40):
        name = tags.day(shop.barbers[0], DAY) + f"-{n}"
        await pair.both[n % 2].stub.Invalidate(_tag(shop, name))
        acknowledged = elapsed()
        if n % 10 == 0:
            for one in watchers:
                await one.stands_for(acknowledged)
                expected = n + 1 if one in watchers[::2] else 0
                assert len(one.told(shop.organization_id)) == expected
    assert pair.both[0].metric("chairside_cache_watchers") == 2


async def test_a_change_that_nobody_acknowledged_is_told(
    pair: Pair, watchers: list[Watching]
) -> None:
    """The relay finds it in the outbox."""
    shop = await open_shop(pair.connection)
    watchers += [Watching(cache.stub, organization_id=shop.organization_id) for cache in pair.both]
    for one in watchers:
        await one.next()
    await shop.book(shop.at("2025-03-10 09:00"))
    wanted = tags.day(shop.barbers[0], DAY)
    for one in watchers:
        while wanted not in one.told(shop.organization_id):
            await one.next()


async def test_it_may_be_of_some_tags_only(pair: Pair, watchers: list[Watching]) -> None:
    """Those named, and the organization's own, whoever asks for what."""
    shop = await open_shop(pair.connection)
    some = Watching(pair.one.stub, organization_id=shop.organization_id, tags=["a"])
    watchers.append(some)
    await some.next()
    for name in ("b", "a", "c"):
        await pair.other.stub.Invalidate(_tag(shop, name))
    await pair.other.stub.Invalidate(everything_of(shop))
    await some.stands_for(elapsed())
    assert some.told(shop.organization_id) == ["a", tags.SCOPE]


async def test_heartbeats_come_in_time_and_name_the_process(
    pair: Pair, watchers: list[Watching]
) -> None:
    """The first at once, each within a third of a second; a batch names the same process."""
    shop = await open_shop(pair.connection)
    names = []
    for cache in pair.both:
        watching = Watching(cache.stub)
        watchers.append(watching)
        spans, heard = [], elapsed()
        for _ in range(4):
            message = await watching.next()
            spans.append(elapsed() - heard)
            heard = elapsed()
            assert message.HasField("elapsed")
            assert not message.everything
            assert watching.opened_at + message.elapsed.ToNanoseconds() / 1e9 <= heard
        assert max(spans) < THIRD * 3  # three times, on a machine that has other things to do
        names.append(message.process)
        read = pb.BatchRead(
            list_barbers=pb.ListBarbersRequest(organization_id=shop.organization_id)
        )
        for _ in range(2):
            answer = await cache.stub.BatchGet(pb.BatchGetRequest(reads=[read], with_tags=True))
            assert answer.process == message.process
        assert not (await cache.stub.BatchGet(pb.BatchGetRequest(reads=[read]))).process
    assert len({*names, ""}) == 3


async def test_a_lost_redis_is_everything(pair: Pair, watchers: list[Watching]) -> None:
    """What was published meanwhile was not heard: that is told before any other heartbeat."""
    watching = Watching(pair.one.stub)
    watchers.append(watching)
    await watching.next()
    await pair.one.redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    while not (message := await watching.next()).everything:
        assert message.HasField("elapsed")


async def test_without_a_lease_no_heartbeat_comes(pair: Pair, watchers: list[Watching]) -> None:
    """Postgres takes none of it in: the stream ends with NO_LEASE; one opened then ends at once."""
    watching = Watching(pair.one.stub)
    await watching.next()
    await pair.connection.execute("ALTER ROLE chairside_cache NOLOGIN")
    try:
        await pair.connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE usename = 'chairside_cache' AND datname = current_database()"
        )

        async def unleased() -> bool:
            return pair.one.metric("chairside_cache_lease_held") == 0

        await eventually(unleased)
        ended = await watching.ended()
        late = await refused(pair.one.stub.Watch(pb.WatchRequest()).read())
    finally:
        await pair.connection.execute("ALTER ROLE chairside_cache LOGIN")
    for error in (ended, late):
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert details_of(error)["ErrorInfo"].reason == "NO_LEASE"  # type: ignore[attr-defined]
    await pair.healthy()
    watchers.append(Watching(pair.one.stub))
    assert (await watchers[0].next()).HasField("elapsed")


async def test_who_reads_too_slowly_is_told_so(pair: Pair, watchers: list[Watching]) -> None:
    """More than may wait is lost, and TOO_SLOW comes behind what was sent; others hear all."""
    shop = await open_shop(pair.connection)
    quick = Watching(pair.one.stub, organization_id=shop.organization_id)
    watchers.append(quick)
    # A channel of its own, whose window does not grow with what the other reads.
    options = [("grpc.http2.bdp_probe", 0)]
    async with grpc.aio.insecure_channel(pair.one.process.address, options) as channel:
        slow = Watching(CacheServiceStub(channel), organization_id=shop.organization_id)
        await slow.next()
        await quick.next()
        for n in range(20):
            named = [
                pb.Tag(organization_id=shop.organization_id, name=f"{n}-{m}-{'x' * 150}")
                for m in range(1000)
            ]
            await pair.one.stub.Invalidate(pb.InvalidateRequest(tags=named))
            await quick.stands_for(elapsed())
        assert len(quick.told(shop.organization_id)) == 20_000
        error = await slow.ended()
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert details_of(error)["ErrorInfo"].reason == "TOO_SLOW"  # type: ignore[attr-defined]
    assert len(slow.told(shop.organization_id)) < 20_000


async def test_bad_requests_are_refused_with_every_field(pair: Pair) -> None:
    """Tags need an organization, are at most 1,000, and have names."""
    for request, fields in (
        (pb.WatchRequest(tags=["a"]), {"organization_id"}),
        (pb.WatchRequest(organization_id=-1), {"organization_id"}),
        (pb.WatchRequest(organization_id=1, tags=["", "x" * 201]), {"tags[0]", "tags[1]"}),
        (pb.WatchRequest(organization_id=1, tags=["a"] * 1001), {"tags"}),
    ):
        error = await refused(pair.one.stub.Watch(request).read())
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        found = details_of(error)["BadRequest"].field_violations  # type: ignore[attr-defined]
        assert {one.field for one in found} == fields
