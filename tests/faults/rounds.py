"""One round: a fresh shop, load and faults for a while, and the verdict."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random
from re import Pattern
from time import monotonic

import asyncpg
import grpc

from chairside.cache.v1 import cache_service_pb2 as pb
from chairside.cache.v1.cache_service_pb2_grpc import CacheServiceStub
from tests.faults.answers import Call, calls_of, decoded
from tests.faults.checker import G2_SECONDS, Verdict, check, near_calls
from tests.faults.cluster import Cluster
from tests.faults.failpoints import failpoints
from tests.faults.faults import caller_faults, service_faults
from tests.faults.history import History, Query
from tests.faults.link_faults import link_faults
from tests.faults.load import Load, Rates
from tests.faults.mutating import Mutator
from tests.faults.postgres_faults import postgres_faults
from tests.faults.scene import Scene
from tests.faults.schedule import Happened, Schedule
from tests.faults.settle import check_database, check_totals, resolve
from tests.faults.shop import Shop, open_shop
from tests.faults.valkey_faults import valkey_faults
from tests.support.steady import Standstills
from tests.support.waiting import eventually

__all__ = ["Round", "begun", "grids", "play"]

_QUIET = G2_SECONDS + 1.0
_PATIENCE = 30.0
_TOTALS = "SELECT count(*) FROM client_days WHERE organization_id = $1"
_WAITS = "SELECT EXISTS (SELECT FROM outbox WHERE organization_id = $1 AND xid < $2::text::xid8)"


@dataclass(slots=True)
class Round:
    """What one round gave: `resolved` mutations were found committed without an answer.

    `disturbed` are quiet spans in which the machine stood still, and which count for nothing.
    `near` is how many calls began within 5 ms of an acknowledgement and were answered,
    `totals` how many days of clients' totals were compared with the rows, `waits` are the
    seconds that mutations took which were applied at their first attempt, `checking` is how
    many seconds it took to judge the answers.
    """

    seed: int
    seconds: float
    verdict: Verdict
    happened: list[Happened] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)
    disturbed: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    proxies: Counter[str] = field(default_factory=Counter)
    resolved: int = 0
    near: int = 0
    totals: int = 0
    checking: float = 0.0
    waits: list[float] = field(default_factory=list)


async def play(
    cluster: Cluster, seed: int, seconds: float, rates: Rates, kinds: Pattern[str]
) -> Round:
    """Run one round of so many seconds of load, with these kinds of faults, and check it."""
    random = Random(seed)  # noqa: S311 - the schedule is to be the same for a seed
    connection = await cluster.connect()
    shop = await open_shop(connection)
    await connection.close()
    history, calls = await begun(shop, cluster.caches[0].address)
    load = Load(
        history,
        calls,
        Mutator(shop, Random(seed + 1)),  # noqa: S311
        random,
        caches=[process.address for process in cluster.caches],
        bookings=[process.address for process in cluster.bookings],
    )
    scene = Scene(cluster, load, shop, Random(seed + 2))  # noqa: S311

    async def settled(since: float) -> float:
        return await _applied(cluster, shop, since)

    lanes = [
        {kind: fault for kind, fault in lane.items() if kinds.search(kind)}
        for lane in (
            service_faults(workers=cluster.workers) | failpoints(),
            caller_faults() | postgres_faults() | valkey_faults() | link_faults(),
        )
    ]
    began = monotonic()
    with Standstills() as standstills:
        schedule = Schedule(scene, lanes, settled, quiet_seconds=_QUIET, standstills=standstills)
        async with load:
            faults = asyncio.create_task(schedule.run(began + seconds))
            await load.run(rates, faults.done)
            await faults
    history.quiet = schedule.quiet
    connection = await cluster.connect()
    try:
        resolved = await resolve(connection, history)
        checking = monotonic()
        history.reads = decoded(load.answered)
        verdict = check(history)
        checking = monotonic() - checking
        verdict.violations += await check_database(connection, shop, history)
        verdict.violations += await check_totals(cluster.database_url, shop.organization_id)
        totals = await connection.fetchval(_TOTALS, shop.organization_id)
    finally:
        await connection.close()
    return Round(
        seed,
        monotonic() - began,
        verdict,
        schedule.happened,
        schedule.lags,
        schedule.disturbed,
        load.counts,
        _sum(cluster),
        resolved,
        near_calls(history, (one.started for one in load.answered)),
        totals,
        checking,
        [
            write.ended - write.started
            for write in history.writes
            if write.applied_at is not None and write.attempts == 1
        ],
    )


def _sum(cluster: Cluster) -> Counter[str]:
    found: Counter[str] = Counter()
    for proxy in cluster.all_proxies():
        found += proxy.counts
    return found


async def begun(shop: Shop, address: str) -> tuple[History, list[Call]]:
    """Begin the history of a shop that nothing is booked in yet; return its calls, too."""
    calls = calls_of(shop)
    slots = [call for call in calls if call.method == "GetAvailability" and call.weight > 1]
    return History(shop.services, await grids(address, slots), shop.day_of), calls


async def grids(address: str, calls: Iterable[Call]) -> dict[Query, tuple[int, ...]]:
    """Read from the database which slots there are while nothing is booked."""
    found: dict[Query, tuple[int, ...]] = {}
    async with grpc.aio.insecure_channel(address) as channel:
        for call in calls:
            request = pb.GetAvailabilityRequest.FromString(call.request)
            request.consistency.fully_consistent = True
            response = await CacheServiceStub(channel).GetAvailability(request, timeout=_PATIENCE)
            found |= dict(call.parse(response))
    return found


async def _applied(cluster: Cluster, shop: Shop, since: float) -> float:
    """Wait until all that was committed before is applied; return seconds from `since` on.

    An event is deleted from the outbox once it is applied, and not before.
    """
    connection: asyncpg.Connection = await cluster.connect()
    try:
        before = await connection.fetchval("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")

        async def applied() -> bool:
            return not await connection.fetchval(_WAITS, shop.organization_id, before)

        await eventually(applied, seconds=_PATIENCE)
    finally:
        await connection.close()
    return monotonic() - since
