"""Batches over reads that fail, wait, and never end."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from cache_service.coherence.outcome import Answer, Outcome
from cache_service.edge import batch as module
from cache_service.edge.batch import Batches, seconds_for
from cache_service.edge.composed import Composed, Part
from cache_service.edge.kinds import Kind
from cache_service.edge.near import NearResponses
from cache_service.edge.reads import Reads
from cache_service.queries.shop import ShopArguments, shop_settings
from chairside.cache.v1 import cache_service_pb2 as pb
from chairside.cache.v1.cache_service_pb2_grpc import CacheServiceStub
from service_kit.clock import SystemClock
from service_kit.errors import Unavailable
from tests.support.grpc_server import Served, serve_here
from tests.support.waiting import eventually

SECRET = "postgresql://chairside:hunter2@db/chairside"  # noqa: S105 - bait


class Servicer:
    """Batches of schedules, each answered as its organization is told to be."""

    def __init__(self, answer: Callable[[int], Awaitable[None]]) -> None:
        self.under_way = self.most = 0
        self._answer = answer
        kind = Kind("GetSchedule", 3, 5, self._compose)
        near = NearResponses(None, 0, SystemClock(), lambda: 0.0)  # type: ignore[arg-type]
        batches = Batches(Reads({"get_schedule": kind}, near, lambda: 0.0), "me", asyncio.Event())
        self.BatchGet, self.near_BatchGet = batches.batch_get, batches.near
        self.Lookup = batches.lookup

    async def _compose(self, request: Any) -> Composed:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await self._answer(request.organization_id)
        finally:
            self.under_way -= 1
        arguments = ShopArguments(request.organization_id)
        part = Part(shop_settings, arguments, Answer(b"", Outcome.MISS, "1:1:", 0.0))
        return Composed(b"", [part], 0.0)


def batch(*organizations: int) -> pb.BatchGetRequest:
    """Ask for schedules."""
    return pb.BatchGetRequest(
        reads=[{"get_schedule": {"organization_id": number}} for number in organizations]  # type: ignore[list-item]
    )


async def ask(served: Served, *organizations: int, seconds: float = 5) -> list[pb.BatchResult]:
    """Ask in one call."""
    raw = await served.call("BatchGet", batch(*organizations).SerializeToString(), seconds)
    return list(pb.BatchGetResponse.FromString(raw).results)


async def test_an_unexpected_error_is_its_reads_alone_and_keeps_its_secret() -> None:
    """An incident number crosses, under which the log has the text; the others are answered."""

    async def answer(number: int) -> None:
        if number == 2:
            raise RuntimeError(SECRET)
        if number == 3:
            raise TimeoutError(SECRET)
        if number == 4:
            reason = "DOWN"
            raise Unavailable(reason, "not now")

    async with serve_here(Servicer(answer)) as served:
        with capture_logs() as logs:
            results = await ask(served, 1, 2, 3, 4, 5)
    assert [one.error.code for one in results] == [0, 13, 13, 14, 0]
    assert [one.HasField("get_schedule") for one in results] == [True, False, False, False, True]
    assert "hunter2" not in str(results)
    assert [log["method"].rpartition("/")[2] for log in logs] == ["GetSchedule", "GetSchedule"]
    for log, result in zip(logs, results[1:3], strict=True):
        assert log["incident"] in result.error.message
        assert SECRET in str(log["exc_info"])  # the control: it was there to leak


async def test_a_read_that_takes_too_long_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the call's own deadline, so that the others' answers arrive."""
    assert module._PATIENCE < 1
    monkeypatch.setattr(module, "_PATIENCE", 0.1)  # so that a late answer is in time as well

    async def answer(number: int) -> None:
        if number == 2:
            await asyncio.Event().wait()

    servicer = Servicer(answer)
    async with serve_here(servicer) as served:
        results = await ask(served, 1, 2, 3, seconds=10)
    assert [one.error.code for one in results] == [0, 4, 0]
    assert servicer.under_way == 0


@pytest.mark.parametrize(
    ("asked", "left", "seconds"),
    [(0.25, None, 0.25), (None, None, 10), (20, None, 20), (99, None, 30), (5, 3, 3), (-1, 3, 0)],
)
def test_a_batch_of_a_stream_may_take_as_long_as_it_says(
    asked: float | None, left: float | None, seconds: float
) -> None:
    """Ten seconds unless it says so, at most thirty, and no longer than its stream has."""
    request = pb.LookupRequest()
    if asked is not None:
        request.timeout.FromNanoseconds(int(asked * 1e9))
    assert seconds_for(request, left) == seconds


async def test_a_read_of_a_stream_that_takes_too_long_fails_alone() -> None:
    """Within what its batch says, while another batch has more time."""
    go_on = asyncio.Event()

    async def answer(number: int) -> None:
        if number == 2:
            await asyncio.Event().wait()
        if number == 3:
            await go_on.wait()

    async with serve_here(Servicer(answer)) as served:
        call = CacheServiceStub(served.channel).Lookup()
        await call.write(pb.LookupRequest(id=8, reads=batch(3).reads))
        short = pb.LookupRequest(id=7, reads=batch(1, 2).reads)
        short.timeout.FromMilliseconds(100)
        await call.write(short)
        replies = [await call.read()]
        go_on.set()
        replies.append(await call.read())
        await call.done_writing()
    told = [(reply.id, [one.error.code for one in reply.results]) for reply in replies]
    assert told == [(7, [0, 4]), (8, [0])]


async def test_a_caller_that_goes_away_leaves_no_read() -> None:
    """All of a batch under way is cancelled with its call."""
    begun = asyncio.Semaphore(0)

    async def answer(_number: int) -> None:
        begun.release()
        await asyncio.Event().wait()

    servicer = Servicer(answer)
    async with serve_here(servicer) as served:
        before = len(asyncio.all_tasks())
        call = asyncio.ensure_future(ask(served, *range(1, 21)))
        for _ in range(20):
            await begun.acquire()
        assert len(asyncio.all_tasks()) > before + 20
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

        async def over() -> bool:
            return not servicer.under_way and len(asyncio.all_tasks()) <= before

        await eventually(over)


async def test_a_batch_leaves_room_for_other_reads() -> None:
    """At most 128 of its reads are under way."""

    async def answer(_number: int) -> None:
        await asyncio.sleep(0)

    servicer = Servicer(answer)
    async with serve_here(servicer) as served:
        assert len(await ask(served, *range(1, 257))) == 256
    assert servicer.most == 128
