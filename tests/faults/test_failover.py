"""A primary killed under load, where Sentinel or the cluster itself replaces it.

The replica hears nothing of the last second before: it is promoted with guards that were
deleted and entries that were invalidated, as one that lags is.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from time import monotonic

import asyncpg
import pytest
import redis.asyncio

from cache_service.coherence.lease import LEASE_SECONDS
from devstack.services import ServiceProcess
from devstack.valkey import ValkeyServer
from tests.faults.answers import Call, decoded
from tests.faults.checker import Verdict, check
from tests.faults.history import History, Read
from tests.faults.load import Load, Rates
from tests.faults.mutating import Mutator
from tests.faults.rounds import begun
from tests.faults.settle import check_database, resolve
from tests.faults.shop import Shop, open_shop
from tests.support.stack import Database
from tests.support.steady import undisturbed
from tests.support.valkey_cluster import PRIMARIES, ValkeyCluster
from tests.support.valkey_sentinels import watched
from tests.support.waiting import eventually

_RATES = Rates(reads=50, writes=8, woken=5)
_BOUND = LEASE_SECONDS + 1.0
"""Seconds after the failover in which hits must be served again."""
_CACHED = {"NEAR", "REDIS"}
_BOTH = (0, 1)
_SOME = 5
"""Mutations: some tenths of a second of them."""
_PAUSE = 0.02
_NOTICED = 0.5
"""Seconds after which it is known at the latest that the primary is gone."""
_PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class _Pair:
    """The primary of a shop's keys, its replica, the setting, and whether that was promoted."""

    primary: ValkeyServer
    replica: ValkeyServer
    url: str
    failed_over: Callable[[], Awaitable[bool]]


@asynccontextmanager
async def _by_sentinel(directory: Path, _organization_id: int) -> AsyncIterator[_Pair]:
    async with watched(directory) as all_of_it:
        pair = all_of_it.primary, all_of_it.replica, all_of_it.url
        yield _Pair(*pair, all_of_it.failed_over)


@asynccontextmanager
async def _in_a_cluster(directory: Path, organization_id: int) -> AsyncIterator[_Pair]:
    async with ValkeyCluster(directory, replicas=1) as cluster:
        at = cluster.shard(organization_id)
        pair = cluster.servers[at], cluster.servers[at + PRIMARIES], cluster.url
        yield _Pair(*pair, lambda: cluster.failed_over(at))


@dataclass(slots=True)
class _Times:
    """When what happened, and what of it was seen, on the load's clock."""

    killed: float = 0.0
    failed_over: float = 0.0
    kept: int = 0
    """Guards that the replica had when it heard nothing more, and still has."""


async def _guards(server: ValkeyServer) -> set[bytes]:
    async with redis.asyncio.from_url(server.url) as client:
        return set(await client.keys("*:guard:*"))


async def _deafen(pair: _Pair) -> None:
    """Keep from the replica what changes from now on."""
    async with (
        redis.asyncio.from_url(pair.replica.url) as replica,
        redis.asyncio.from_url(pair.primary.url) as primary,
    ):
        await primary.wait(1, 5000)
        await replica.config_set("masterauth", "a password that there is not")
        await primary.client_kill_filter(_type="replica")


async def _fail_over(pair: _Pair, load: Load, call: Call, times: _Times) -> None:
    """Let the load warm up, kill the primary, and wait until both processes serve hits."""
    await _both_hit(load, call)
    await _applied(load)
    await _deafen(pair)
    old = await _guards(pair.replica)
    await _applied(load)
    times.killed = monotonic()
    await pair.primary.kill()
    await eventually(pair.failed_over, seconds=_PATIENCE)
    times.failed_over = monotonic()
    times.kept = len(old & await _guards(pair.replica))
    await _both_hit(load, call)
    await _applied(load)


async def _applied(load: Load) -> None:
    """Wait until some more mutations are applied."""
    enough = load.counts["applied"] + _SOME

    async def applied() -> bool:
        return load.counts["applied"] >= enough

    await eventually(applied, seconds=_PATIENCE)


async def _both_hit(load: Load, call: Call) -> None:
    """Ask both processes for one answer, again and again, until each has served it as a hit."""

    async def one_hits(process: int) -> None:
        while True:
            since = len(load.answered)
            await load.read(call, process)
            mine = [
                one for one in load.answered[since:] if (one.call, one.process) == (call, process)
            ]
            if any(map(_is_hit, decoded(mine))):
                return
            await asyncio.sleep(_PAUSE)

    async with asyncio.timeout(_PATIENCE):
        await asyncio.gather(*map(one_hits, _BOTH))


def _is_hit(read: Read) -> bool:
    return read.source in _CACHED and not read.flagged


@asynccontextmanager
async def _services(
    database: Database, redis_url: str, logs: Path
) -> AsyncIterator[tuple[list[ServiceProcess], ServiceProcess]]:
    """Run two cache processes, and a booking service that tells the second."""
    ports = {"LISTEN": "127.0.0.1:0", "METRICS_LISTEN": "127.0.0.1:0", "ACCESS_LOG": "false"}
    cache = {f"CHAIRSIDE_CACHE_{name}": value for name, value in ports.items()} | {
        "CHAIRSIDE_CACHE_DATABASE_URL": database.cache_url,
        "CHAIRSIDE_CACHE_REDIS_URL": redis_url,
        "CHAIRSIDE_CACHE_WORKERS": "1",
    }
    booking = {f"CHAIRSIDE_BOOKING_{name}": value for name, value in ports.items()} | {
        "CHAIRSIDE_BOOKING_DATABASE_URL": database.booking_url,
    }
    async with AsyncExitStack() as stack:
        caches = [ServiceProcess("cache_service", cache, logs / f"{number}") for number in _BOTH]
        await asyncio.gather(*map(stack.enter_async_context, caches))
        booking["CHAIRSIDE_BOOKING_CACHE_TARGET"] = caches[1].address
        service = ServiceProcess("booking_service", booking, logs)
        yield caches, await stack.enter_async_context(service)


async def _judged(database: Database, shop: Shop, history: History) -> Verdict:
    connection = await asyncpg.connect(database.url)
    try:
        await resolve(connection, history)
        verdict = check(history)
        verdict.violations += await check_database(connection, shop, history)
    finally:
        await connection.close()
    return verdict


@dataclass(frozen=True, slots=True)
class _Course:
    """What one went like; `failed` are calls."""

    times: _Times
    history: History
    verdict: Verdict
    failed: int


async def _course(
    kind: Callable[[Path, int], AsyncIterator[_Pair]], database: Database, directory: Path
) -> _Course:
    connection = await asyncpg.connect(database.url)
    shop = await open_shop(connection)
    await connection.close()
    times = _Times()
    async with AsyncExitStack() as stack:
        pair = await stack.enter_async_context(kind(directory, shop.organization_id))
        caches, booking = await stack.enter_async_context(
            _services(database, pair.url, directory / "logs")
        )
        history, calls = await begun(shop, caches[0].address)
        load = Load(
            history,
            calls,
            Mutator(shop, Random(1)),  # noqa: S311
            Random(2),  # noqa: S311
            caches=[cache.address for cache in caches],
            bookings=[booking.address] * 2,
            patience=_PATIENCE,
        )
        async with load:
            course = asyncio.create_task(_fail_over(pair, load, calls[0], times))
            await load.run(_RATES, course.done)
            await course
    history.reads = decoded(load.answered)
    return _Course(times, history, await _judged(database, shop, history), load.counts["failed"])


@pytest.mark.parametrize("kind", [_by_sentinel, _in_a_cluster])
async def test_a_primary_killed_under_load_costs_misses_and_nothing_else(
    kind: Callable[[Path, int], AsyncIterator[_Pair]],
    database: Database,
    tmp_path_factory: pytest.TempPathFactory,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No read is stale, and hits come back within the failover, the lease, and a second."""
    stale = []

    async def failed_over() -> None:
        course = await _course(kind, database, tmp_path_factory.mktemp("failover"))
        times, verdict = course.times, course.verdict
        stale.append(verdict.violations)
        took = times.failed_over - times.killed
        back = max(_first_hit(course, process) - times.killed for process in _BOTH)
        with capsys.disabled():
            sys.stdout.write(
                f"\n{kind.__name__[1:]}: failed over after {took:.2f} s, hits at both processes"
                f" after {back:.2f} s; {verdict.reads:,} reads, {verdict.hits:,} of them hits,"
                f" {verdict.near:,} within 5 ms of an acknowledgement, {verdict.applied} mutations"
                f" applied; {len(verdict.violations)} stale; {course.failed} failed\n"
            )
        _assert_that_it_bit(course)
        assert back <= took + _BOUND

    await undisturbed(failed_over)
    assert stale == [[]] * len(stale)


def _first_hit(course: _Course, process: int) -> float:
    """Return when the process had served its first hit after the failover."""
    return min(
        one.ended
        for one in course.history.reads
        if one.process == process and one.started > course.times.failed_over and _is_hit(one)
    )


def _assert_that_it_bit(course: _Course) -> None:
    """There was something to be stale, and a time without a cache."""
    times, history = course.times, course.history
    assert times.kept > 0, "guards of before the kill are back"
    assert course.verdict.near > 100
    applied = [one.applied_at for one in history.writes if one.applied_at is not None]
    assert min(applied) < times.killed < times.failed_over < max(applied)
    # Turned off after the kill, the cache is not on again before a lease has passed.
    without = times.killed + _NOTICED, times.killed + LEASE_SECONDS
    between = [
        one.source
        for one in history.reads
        # What is flagged is judged as if it had begun earlier than it did.
        if without[0] < one.started < without[1] and not one.flagged
    ]
    assert "DATABASE" in between
    assert not _CACHED & set(between)
