"""With a rule broken, the checker must find what goes wrong; with none, nothing.

The interleaving is forced: a load that has read the old data is held (its connection to
the database, at its commit), a booking is made and acknowledged, somebody asks again, and
the load is let go.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import grpc
import pytest

from chairside.cache.v1 import cache_service_pb2 as pb
from chairside.cache.v1.cache_service_pb2_grpc import CacheServiceStub
from tests.faults.answers import Call, calls_of, decoded
from tests.faults.broken import RULES
from tests.faults.checker import Verdict, check
from tests.faults.cluster import Cluster
from tests.faults.history import History
from tests.faults.load import Load
from tests.faults.mutating import Mutator, Plan
from tests.faults.proxy import Direction, Link
from tests.faults.settle import check_database
from tests.faults.shop import Shop, open_shop

_COMMIT = b"COMMIT;"
_SECONDS = 1.0
"""For a reader to have joined a load: it leaves no trace of that outside its process, and a
busy machine keeps it from that for a while."""
_PATIENCE = 10.0
"""Of a read that is held on purpose."""


class _Booker(Mutator):
    """Books the first slot of the first barber's first day."""

    def __init__(self, shop: Shop) -> None:
        super().__init__(shop, Random(1))  # noqa: S311
        self._its_shop = shop

    def plan(self) -> Plan:
        shop = self._its_shop
        return self._plan(
            "CreateAppointment",
            barber_id=shop.barbers[0],
            service_id=next(iter(shop.services)),
            client_id=shop.clients[0],
            start_time={"seconds": shop.starts(shop.days[0])[0]},
        )


@pytest.fixture(scope="module")
def rule(server_directory: Path) -> Path:
    """Name a file whose content is the rule that the cache processes break."""
    path = server_directory / "broken-rule"
    path.touch()
    return path


@pytest.fixture(scope="module")
async def cluster(server_directory: Path, rule: Path) -> AsyncIterator[Cluster]:
    """Run one cluster whose cache processes break a rule on demand."""
    directory = server_directory / "controls"
    async with Cluster(directory, Random(1), broken=rule) as running:  # noqa: S311
        yield running


async def _grid(cluster: Cluster, call: Call) -> tuple[int, ...]:
    """Read the slots from the database, so that nothing is stored."""
    request = pb.GetAvailabilityRequest.FromString(call.request)
    request.consistency.fully_consistent = True
    async with grpc.aio.insecure_channel(cluster.caches[0].address) as channel:
        raw = await CacheServiceStub(channel).GetAvailability(request)
    ((_, starts),) = call.parse(raw)
    assert starts
    return tuple(starts)


def _load(cluster: Cluster, history: History, calls: list[Call], mutator: Mutator) -> Load:
    """Make a load whose writers tell the cache process whose connections are not held."""
    return Load(
        history,
        calls,
        mutator,
        Random(1),  # noqa: S311
        caches=[cache.address for cache in cluster.caches],
        bookings=[cluster.bookings[1].address] * 2,
        patience=_PATIENCE,
    )


async def _scenario(cluster: Cluster) -> Verdict:
    connection = await cluster.connect()
    try:
        shop = await open_shop(connection)
        call = calls_of(shop)[0]
        grid = await _grid(cluster, call)
        query = ("free", shop.barbers[0], next(iter(shop.services)), shop.days[0].toordinal())
        history = History(shop.services, {query: grid}, shop.day_of)
        async with _load(cluster, history, [call], _Booker(shop)) as load:
            await _held_load(cluster, load, call)
        history.reads = decoded(load.answered)
        verdict = check(history)
        held = min(history.reads, key=lambda read: read.started)
        assert held.answer == grid, "the held load read before the booking"
        assert (verdict.reads, verdict.applied) == (4, 1)
        assert await check_database(connection, shop, history) == []
    finally:
        await connection.close()
    return verdict


async def _held_load(cluster: Cluster, load: Load, call: Call) -> None:
    database, redis = (cluster.proxies[link][0] for link in ("cache-postgres", "cache-redis"))
    held, asked = asyncio.Event(), asyncio.Event()
    replies = 0

    def hold_at_commit(link: Link, direction: Direction, data: bytes) -> bool:
        if direction is Direction.REQUESTS and _COMMIT in data and not held.is_set():
            link.pipes[direction].held = True
            held.set()
        return False

    def count_replies(_: Link, direction: Direction, _data: bytes) -> bool:
        nonlocal replies
        replies += direction is Direction.REPLIES
        if replies == 2:
            asked.set()
        return False

    database.taps = [hold_at_commit]
    first = asyncio.create_task(load.read(call, 0))
    await asyncio.wait_for(held.wait(), 5)
    await load.write(0)
    redis.taps = [count_replies]
    second = asyncio.create_task(load.read(call, 0))
    await asyncio.wait_for(asked.wait(), 5)
    await asyncio.sleep(_SECONDS)
    database.taps = redis.taps = []
    database.heal()
    await first
    await second
    for process in (0, 1):
        await load.read(call, process)


def _break(rule: Path, name: str) -> None:
    rule.write_text(name)


async def test_the_system_withstands_a_held_load(cluster: Cluster, rule: Path) -> None:
    """Nobody gets what the held load read, once the booking is acknowledged."""
    _break(rule, "")
    verdict = await _scenario(cluster)
    assert verdict.violations == []


@pytest.mark.parametrize("broken", RULES)
async def test_a_broken_rule_is_caught(cluster: Cluster, rule: Path, broken: str) -> None:
    """The same scenario with one rule broken shows a taken slot as free."""
    _break(rule, broken)
    verdict = await _scenario(cluster)
    assert [violation.kind for violation in verdict.violations].count("stale") >= 1
    assert all("appointment" in violation.detail for violation in verdict.violations)
