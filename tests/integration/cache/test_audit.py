"""The auditor in the running service: what is wrong is found, what is on its way is not."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chairside.cache.v1 import cache_service_pb2 as pb
from devstack.valkey import ValkeyServer
from tests.integration.cache.auditing import (
    CHECKED,
    DROPPED,
    MISMATCHED,
    NAME,
    Audited,
    all_is_well,
    ask,
    audit,
    audited_cache,
    clients,
    command,
    everything,
    monday,
    tamper,
    three_slots,
    until,
)
from tests.integration.cache.running import source, starts
from tests.support.stack import Database
from tests.support.waiting import eventually


@pytest.fixture
async def audited(
    database: Database, own_valkey: ValkeyServer, tmp_path: Path
) -> AsyncIterator[Audited]:
    """Serve every hit from Redis."""
    async with audited_cache(database, own_valkey, tmp_path) as running:
        yield running


@pytest.fixture
async def near(
    database: Database, own_valkey: ValkeyServer, tmp_path: Path
) -> AsyncIterator[Audited]:
    """Serve hits from the process's memory."""
    memory = {"CHAIRSIDE_CACHE_MEMORY_BYTES": "1000000"}
    async with audited_cache(database, own_valkey, tmp_path, **memory) as running:
        yield running


@pytest.mark.parametrize("memory", ["0", "1000000"])
async def test_what_is_right_is_checked_and_nothing_else(
    database: Database, own_valkey: ValkeyServer, tmp_path: Path, memory: str
) -> None:
    """Every hit of every query is compared, while bookings are made, and none is wrong."""
    kept = {"CHAIRSIDE_CACHE_MEMORY_BYTES": memory}
    async with audited_cache(database, own_valkey, tmp_path, **kept) as (cache, shop):
        hits = 0
        for hour in (9, 11, 13):
            await shop.book(shop.at(f"2025-03-10 {hour:02d}:00"))
            await ask(cache, shop)
            hits += await ask(cache, shop)
        assert hits >= 2 * len(everything(shop))
        await until(cache, CHECKED, hits)
        assert cache.metric(MISMATCHED) == 0
        assert cache.metric(DROPPED) == 0

        async def applied() -> bool:
            return not await shop.connection.fetchval("SELECT count(*) FROM outbox")

        await eventually(applied)
        await ask(cache, shop)
        await all_is_well(cache, shop)


async def test_a_tampered_entry_is_found(audited: Audited) -> None:
    """Checksum and nonces are right, the payload is not: it counts once it hit for two seconds."""
    cache, shop = audited
    await monday(cache, shop)
    await tamper(cache, "availability", three_slots)
    found = await monday(cache, shop)
    assert source(found) == "REDIS"
    assert len(starts(found)[shop.barbers[0]]) == 3
    await until(cache, MISMATCHED, 1)
    assert cache.metric(CHECKED) == 1
    (line,) = (one for one in cache.process.output().splitlines() if "not what the" in one)
    told = json.loads(line)
    assert told["level"] == "error"
    assert f"availability:barber:{shop.barbers[0]}:" in told["key"]
    assert told["source"] == "hit"
    assert all(len(nonce) == 32 for nonce in told["nonces"])
    assert len(told["nonces"]) == 5
    assert told["served"] != told["loaded"]

    ran = await command(cache, shop, "--json")
    assert (ran.returncode, ran.stderr) == (1, "")
    report = json.loads(ran.stdout)
    (mismatch,) = report["mismatches"]
    assert mismatch["key"].startswith("availability:barber:")
    assert mismatch["nonces"] == told["nonces"]
    assert (mismatch["entry"], mismatch["loaded"]) == (told["served"], told["loaded"])
    tally = {"entries": 1, "checked": 1, "matching": 0, "mismatched": 1, "skipped": {}}
    assert report["queries"]["availability"] == tally
    ran = await command(cache, shop)
    assert ran.returncode == 1
    assert f"MISMATCH {mismatch['key']}" in ran.stdout


async def test_no_name_is_told(audited: Audited) -> None:
    """The log says which entry is wrong without what a caller typed, or what is in it."""
    cache, shop = audited
    assert [one.name for one in (await clients(cache, shop)).clients] == [NAME]
    empty = pb.ListClientsResponse().SerializeToString()
    await tamper(cache, "list:clients", lambda _payload: empty)
    assert not (await clients(cache, shop)).clients
    await until(cache, MISMATCHED, 1)
    output = cache.process.output()
    assert "list:clients:query:=*:" in output
    assert not any(word in output for word in NAME.split())


async def test_an_entry_invalidated_meanwhile_does_not_count(audited: Audited) -> None:
    """It was wrong at the first look and is a miss at the second: that is no mismatch."""
    cache, shop = audited
    await monday(cache, shop)
    await clients(cache, shop)
    await tamper(cache, "availability", three_slots)
    await monday(cache, shop)
    # Judged one after another: when this one is, the first look at that one is over.
    await clients(cache, shop)
    await until(cache, CHECKED, 1)
    everything = pb.InvalidateRequest(scope=pb.Scope(organization_id=shop.organization_id))
    await cache.stub.Invalidate(everything)
    await until(cache, CHECKED, 2)
    assert cache.metric(MISMATCHED) == 0
    assert cache.metric(DROPPED) == 0


async def test_a_near_hit_that_is_wrong_is_found(near: Audited) -> None:
    """A change that no trigger saw leaves memory and Redis wrong, as a restore would."""
    cache, shop = near
    await monday(cache, shop)
    await shop.connection.execute("SET session_replication_role = replica")
    await shop.book(shop.at("2025-03-10 09:00"))
    found = await monday(cache, shop)
    assert source(found) == "NEAR"
    await until(cache, MISMATCHED, 1)
    assert '"source": "near"' in cache.process.output()
    assert len((await audit(cache, shop)).mismatches) == 1


async def test_an_answer_that_the_database_refuses_is_wrong(audited: Audited) -> None:
    """An entry about somebody who is not there any more differs from any that could be."""
    cache, shop = audited
    await monday(cache, shop)
    await shop.connection.execute("SET session_replication_role = replica")
    await shop.connection.execute("UPDATE barbers SET active = false")
    assert source(await monday(cache, shop)) == "REDIS"
    await until(cache, MISMATCHED, 1)
    assert [one.loaded for one in (await audit(cache, shop)).mismatches] == [""]


async def test_without_a_share_nothing_is_audited(
    database: Database, own_valkey: ValkeyServer, tmp_path: Path
) -> None:
    """A tampered entry is served, and nobody looks."""
    off = {"CHAIRSIDE_CACHE_AUDIT_SHARE": "0"}
    async with audited_cache(database, own_valkey, tmp_path, **off) as (cache, shop):
        await monday(cache, shop)
        await tamper(cache, "availability", three_slots)
        for _ in range(50):
            assert source(await monday(cache, shop)) == "REDIS"
        assert [cache.metric(name) for name in (CHECKED, MISMATCHED, DROPPED)] == [0, 0, 0]


async def test_audits_never_hold_up_hits(audited: Audited) -> None:
    """While the database does not answer, hits are served, and what cannot wait is dropped."""
    cache, shop = audited
    await monday(cache, shop)
    lock = shop.connection.transaction()
    await lock.start()
    await shop.connection.execute("LOCK TABLE special_hours IN ACCESS EXCLUSIVE MODE")
    for _ in range(300):
        assert source(await monday(cache, shop)) == "REDIS"
    await until(cache, DROPPED, 300 - 256 - 1)
    await lock.rollback()
    await until(cache, CHECKED, 200, seconds=60)
    assert cache.metric(CHECKED) + cache.metric(DROPPED) <= 300
    assert cache.metric(MISMATCHED) == 0
