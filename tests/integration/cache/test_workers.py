"""Several workers on one port: one service to its callers, coherent, and never fewer for long."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import grpc
import psutil
import pytest

from cache_service.telemetry.measures import OVER_WORKERS
from chairside.cache.v1 import types_pb2
from tests.conftest import NewDatabase
from tests.integration.cache.crew import WORKERS, Crew, open_crew
from tests.integration.cache.pair import NINE, ask, everything_of
from tests.integration.cache.running import Cache, refused, source, starts
from tests.integration.cache.shops import Shop, open_shop
from tests.support.waiting import eventually

ROUNDS = 40
FULL = types_pb2.Consistency(fully_consistent=True)


@pytest.fixture(scope="module")
async def shared_crew(new_database: NewDatabase, server_directory: Path) -> AsyncIterator[Crew]:
    """Run one service for all tests that leave it able to recover."""
    async with new_database() as database, open_crew(database, server_directory / "crew") as crew:
        yield crew


@pytest.fixture
async def crew(shared_crew: Crew) -> Crew:
    """Give a test the service, with all of its workers."""
    await shared_crew.healthy()
    return shared_crew


@pytest.fixture
async def own_crew(new_database: NewDatabase, tmp_path: Path) -> AsyncIterator[Crew]:
    """Run a service that the test may end."""
    async with new_database() as database, open_crew(database, tmp_path) as crew:
        yield crew


async def _near(worker: Cache, shop: Shop) -> None:
    async def near() -> bool:
        return source(await ask(worker, shop)) == "NEAR"

    await eventually(near)


def _alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if psutil.pid_exists(pid)]


async def test_workers_answer_on_one_port_as_one_service(crew: Crew) -> None:
    """Each is a member of its own; settings and the start are told once, each line is JSON."""
    async with crew.each() as workers:
        assert len(workers) == WORKERS
    assert len(crew.pids()) == WORKERS
    assert set(OVER_WORKERS) <= crew.metrics().keys()  # what is said there is of gauges there are
    assert await crew.connection.fetchval("SELECT count(*) FROM members") >= WORKERS

    async def called() -> bool:  # the access log is written behind the calls
        return bool(crew.events("call"))

    await eventually(called)
    events = [json.loads(line)["event"] for line in crew.process.output().splitlines()]
    assert events[0] == "settings"
    assert (events.count("settings"), events.count("serving")) == (1, 1)


async def test_memory_is_coherent_across_workers(crew: Crew) -> None:
    """What one worker acknowledged as invalidated, no other answers out of its memory."""
    shop = await open_shop(crew.connection)
    nine, (barber,) = shop.at(NINE), shop.barbers
    async with crew.each() as workers:
        async with shop.acknowledged():
            await shop.book(nine)
        taken = True
        for number in range(ROUNDS):
            teller = workers[number % WORKERS]
            for worker in workers:
                await _near(worker, shop)  # the control: memory would answer as it was before
                assert (nine in starts(await ask(worker, shop))[barber]) != taken
            taken = not taken
            async with shop.acknowledged():
                await shop.connection.execute(
                    "UPDATE appointments SET status = $2 WHERE organization_id = $1",
                    shop.organization_id,
                    "scheduled" if taken else "cancelled",
                )
            await teller.stub.Invalidate(everything_of(shop))
            answers = await asyncio.gather(*(ask(worker, shop) for worker in workers))
            assert [nine in starts(one)[barber] for one in answers] == [not taken] * WORKERS


async def test_a_killed_worker_is_replaced_and_no_count_goes_backwards(crew: Crew) -> None:
    """Calls made of the dead stay counted, the new one's are added, and health is back."""
    shop = await open_shop(crew.connection)
    name = "chairside_cache_reads_total"
    before = await crew.all_told()
    async with crew.each() as workers:
        for worker in workers:
            for _ in range(10):
                await ask(worker, shop)
        told = await crew.all_told()
        assert told[name] == before.get(name, 0) + 10 * WORKERS
        victim = crew.pids()[0]
        os.kill(victim, signal.SIGKILL)

        async def replaced() -> bool:
            seen = crew.metrics()
            assert seen[name] >= told[name]
            restarts = "chairside_worker_restarts_total"
            return seen[restarts] == before[restarts] + 1

        await eventually(replaced, seconds=90)
        await crew.healthy()
    assert victim not in crew.pids()
    assert (crew.events("worker ended")[-1]["pid"], crew.events("worker ended")[-1]["code"]) == (
        victim,
        -signal.SIGKILL,
    )
    await eventually(crew.process.serving)  # the kernel chooses who is asked
    async with crew.each() as workers:
        for worker in workers:
            await ask(worker, shop)
    after = await crew.all_told()
    assert after[name] == told[name] + WORKERS
    assert after["grpc_server_handling_seconds_count"] > told["grpc_server_handling_seconds_count"]


async def test_metrics_answer_while_a_worker_hangs(crew: Crew) -> None:
    """Its counts are the last known, its gauges are left out, and it is told that it is silent."""
    before = await crew.all_told()
    victim = crew.pids()[-1]

    async def one_is_silent() -> dict[str, float]:
        began = time.monotonic()
        told = await asyncio.to_thread(crew.metrics)
        assert time.monotonic() - began < 2
        assert told["chairside_workers_silent"] == 1  # on a busy machine perhaps two, at first
        return told

    os.kill(victim, signal.SIGSTOP)
    try:
        told = await eventually(one_is_silent)
    finally:
        os.kill(victim, signal.SIGCONT)
    assert told["chairside_workers"] == WORKERS
    name = "grpc_server_handled_total"  # nobody calls meanwhile
    assert told[name] == before[name] > 0
    await crew.healthy()
    assert crew.pids()[-1] == victim


def _stop(crew: Crew, how: str) -> None:
    if how == "SIGTERM":
        crew.process.signal(signal.SIGTERM)
    else:  # as a terminal does, to the whole group
        os.killpg(crew.process.pid, signal.SIGINT)


@pytest.mark.parametrize("how", ["SIGTERM", "Ctrl-C"])
async def test_a_drain_lets_calls_of_every_worker_end(own_crew: Crew, how: str) -> None:
    """Calls under way are answered, no new one is begun, no worker is left, the code is 0."""
    shop = await open_shop(own_crew.connection)
    blocker = await asyncpg.connect(own_crew.database.url)
    lock = blocker.transaction()
    await lock.start()
    await blocker.execute("LOCK TABLE special_hours IN ACCESS EXCLUSIVE MODE")
    pids = own_crew.pids()
    async with own_crew.each() as workers:
        calls = [asyncio.create_task(ask(worker, shop, consistency=FULL)) for worker in workers]

        async def all_wait() -> bool:
            waiting = await blocker.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted")
            return bool(waiting >= WORKERS)

        await eventually(all_wait)
        _stop(own_crew, how)

        async def drain() -> bool:
            return len(own_crew.events("draining")) == WORKERS + 1

        await eventually(drain)
        for worker in workers:
            error = await refused(ask(worker, shop, consistency=FULL))
            assert error.code() == grpc.StatusCode.UNAVAILABLE
        assert not any(call.done() for call in calls)
        assert _alive(pids) == pids
        await lock.rollback()
        await blocker.close()
        for answer in await asyncio.gather(*calls):
            assert len(starts(answer)[shop.barbers[0]]) == 8
    assert await own_crew.process.wait() == 0
    assert _alive(pids) == []
    assert len(own_crew.events("draining")) == len(own_crew.events("stopped")) == WORKERS + 1
    assert own_crew.events("worker ended") == []
    assert "Traceback" not in own_crew.process.output()
    assert await own_crew.connection.fetchval("SELECT count(*) FROM members") == 0


async def test_workers_do_not_outlive_their_supervisor(own_crew: Crew) -> None:
    """Killed outright, it leaves no worker behind: each drains and gives up its membership."""
    pids = own_crew.pids()
    assert _alive(pids) == pids
    own_crew.process.signal(signal.SIGKILL)
    await own_crew.process.wait()

    async def gone() -> bool:
        return not _alive(pids)

    await eventually(gone, seconds=20)
    assert len(own_crew.events("the supervisor is gone")) == WORKERS
    assert len(own_crew.events("stopped")) == WORKERS
    assert await own_crew.connection.fetchval("SELECT count(*) FROM members") == 0
