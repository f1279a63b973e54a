"""`new-epoch`: after it no process serves an entry from before, in Redis or in memory."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import asyncpg
import pytest

from cache_service.commands.new_epoch import run_new_epoch
from cache_service.settings import Settings
from chairside.cache.v1 import cache_service_pb2 as pb
from devstack.services import environment
from devstack.valkey import ValkeyServer
from service_kit.settings import load
from tests.integration.cache.running import Cache, source, start_cache, starts
from tests.integration.cache.shops import Shop, open_shop
from tests.support.stack import Database
from tests.support.waiting import eventually

MONDAY = date(2025, 3, 10)
MEMORY = {"CHAIRSIDE_CACHE_MEMORY_BYTES": "1000000", "CHAIRSIDE_CACHE_AUDIT_SHARE": "0"}


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    """Open a shop."""
    connection = await asyncpg.connect(database.url)
    yield await open_shop(connection)
    await connection.close()


def _new_epoch(database: Database) -> subprocess.CompletedProcess[str]:
    variables = {"CHAIRSIDE_CACHE_DATABASE_URL": database.cache_url}
    return subprocess.run(
        [sys.executable, "-m", "cache_service", "new-epoch"],
        env=environment(variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def _epoch(cache: Cache, shop: Shop) -> str:
    request = pb.ListBarbersRequest(organization_id=shop.organization_id)
    explained = await cache.stub.Explain(pb.ExplainRequest(list_barbers=request))
    return explained.state.epoch if explained.state.lease_held else ""


async def test_no_entry_from_before_is_hit_again(
    database: Database, shop: Shop, own_valkey: ValkeyServer, tmp_path: Path
) -> None:
    """Two processes serve what a restore made wrong, from memory and Redis; then never again."""
    ask = shop.organization_id, shop.services[0], shop.barbers, MONDAY
    nine = shop.at("2025-03-10 09:00")
    redis_url, folders = own_valkey.url, (tmp_path / "one", tmp_path / "two")
    async with (
        start_cache(database.cache_url, redis_url, folders[0], MEMORY) as one,
        start_cache(database.cache_url, redis_url, folders[1]) as two,
    ):
        caches = (one, two)
        for cache in caches:
            await cache.availability(*ask)
        # As after a restore: the data are others, and no trigger saw it.
        await shop.connection.execute("SET session_replication_role = replica")
        await shop.book(nine)
        for cache, kind in zip(caches, ("NEAR", "REDIS"), strict=True):
            wrong = await cache.availability(*ask)
            assert (source(wrong), nine in starts(wrong)[shop.barbers[0]]) == (kind, True)
        before = await _epoch(one, shop)
        assert before
        assert before == await _epoch(two, shop)
        stored = await one.entries(shop.organization_id)

        running = asyncio.create_task(asyncio.to_thread(_new_epoch, database))
        right = {one.process.pid: 0, two.process.pid: 0}

        async def both_are_on_again() -> bool:
            """Look at every answer meanwhile: once it was right it is never wrong again."""
            for cache in caches:
                answer = await cache.availability(*ask)
                if nine not in starts(answer)[shop.barbers[0]]:
                    right[cache.process.pid] += 1
                else:
                    assert not right[cache.process.pid], "an entry from before was hit again"
            return running.done() and all(
                [await _epoch(cache, shop) not in {"", before} for cache in caches]
            )

        await eventually(both_are_on_again, seconds=30)
        ran = await running
        assert (ran.returncode, ran.stderr) == (0, "")
        lines = ran.stdout.splitlines()
        assert lines[0] == f"epoch {before} is not in force any more; the cache is off"
        assert lines[-1] == f"the cache is on again, under epoch {await _epoch(one, shop)}"
        for cache in caches:
            await cache.availability(*ask)
            answer = await cache.availability(*ask)
            assert source(answer) in {"NEAR", "REDIS"}
            assert nine not in starts(answer)[shop.barbers[0]]
        # They are there still, and the names of the new ones are others.
        assert set(stored) < set(await one.entries(shop.organization_id))


async def test_without_any_process_it_stays_off(database: Database) -> None:
    """It says so: the first process to run turns the cache on."""
    connection = await asyncpg.connect(database.url)
    await connection.execute("UPDATE authority SET redis_identity = 'a:b'")
    before = await connection.fetchval("SELECT epoch::text FROM authority")
    settings = load(Settings, {"CHAIRSIDE_CACHE_DATABASE_URL": database.cache_url})
    for expected in (f"epoch {before} is not in force any more", "the cache is off already"):
        told: list[str] = []
        await run_new_epoch(settings, told.append)
        assert told[0].startswith(expected)
        assert told[-1].startswith("nobody has turned the cache on yet")
        row = await connection.fetchrow("SELECT epoch::text, redis_identity FROM authority")
        assert row["epoch"] != before
        assert row["redis_identity"] is None
    await connection.close()


async def test_without_a_database_it_says_so() -> None:
    """Exit code 2 and one line."""
    nowhere = Database("d", "", "", "postgresql://u:p@127.0.0.1:1/d")
    ran = await asyncio.to_thread(_new_epoch, nowhere)
    assert ran.returncode == 2
    assert len(ran.stderr.strip().splitlines()) == 1
    assert "does not answer" in ran.stderr
