"""The auditor and its command: what is wrong is found, what is only on its way is not."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from google.protobuf.message import Message

from cache_service.coherence.entry import Entry, decode, encode, nonces_in
from cache_service.commands.audit import run_audit
from cache_service.commands.audit_report import AuditReport
from cache_service.queries.availability import DaySlots
from cache_service.settings import Settings
from chairside.cache.v1 import cache_service_pb2 as pb
from chairside.cache.v1 import types_pb2
from devstack.services import environment
from devstack.valkey import ValkeyServer
from service_kit.settings import load
from service_kit.values import to_date
from tests.integration.cache.running import Cache, source, start_cache, starts
from tests.integration.cache.shops import Shop, open_shop
from tests.support.stack import Database
from tests.support.waiting import eventually

MONDAY = date(2025, 3, 10)
NAME = "Hildegard von Bingen"
CHECKED, MISMATCHED, DROPPED = (
    f"chairside_cache_audit_{name}_total" for name in ("checked", "mismatched", "dropped")
)
EVERY_HIT = {"CHAIRSIDE_CACHE_AUDIT_SHARE": "1"}
Audited = tuple[Cache, Shop]


@asynccontextmanager
async def _audited(
    database: Database, valkey: ValkeyServer, logs: Path, **variables: str
) -> AsyncIterator[Audited]:
    """Run a process that audits every hit, over a shop and a Redis of its own."""
    connection = await asyncpg.connect(database.url)
    shop = await open_shop(connection)
    await connection.execute(
        "INSERT INTO clients (organization_id, name) VALUES ($1, $2)", shop.organization_id, NAME
    )
    await connection.execute("DELETE FROM outbox")
    more = {**EVERY_HIT, **variables}
    async with start_cache(database.cache_url, valkey.url, logs, more) as cache:
        yield cache, shop
    await connection.close()


@pytest.fixture
async def audited(
    database: Database, own_valkey: ValkeyServer, tmp_path: Path
) -> AsyncIterator[Audited]:
    """Serve every hit from Redis."""
    async with _audited(database, own_valkey, tmp_path) as running:
        yield running


@pytest.fixture
async def near(
    database: Database, own_valkey: ValkeyServer, tmp_path: Path
) -> AsyncIterator[Audited]:
    """Serve hits from the process's memory."""
    memory = {"CHAIRSIDE_CACHE_MEMORY_BYTES": "1000000"}
    async with _audited(database, own_valkey, tmp_path, **memory) as running:
        yield running


async def _monday(cache: Cache, shop: Shop) -> pb.GetAvailabilityResponse:
    return await cache.availability(shop.organization_id, shop.services[0], shop.barbers, MONDAY)


async def _clients(cache: Cache, shop: Shop) -> Any:
    request = pb.ListClientsRequest(organization_id=shop.organization_id, query=NAME)
    return await cache.stub.ListClients(request)


async def _tamper(cache: Cache, pattern: str, change: Callable[[bytes], bytes]) -> None:
    """Change the payload of the only such entry; key, nonces, times and checksum stay right."""
    (name,) = await cache.redis.keys(f"*:entry:{pattern}*")
    raw = await cache.redis.get(name)
    entry = decode(name.decode(), None, raw)
    assert entry is not None
    changed = Entry(change(entry.payload), entry.snapshot, entry.filled_at)
    await cache.redis.set(
        name, encode(name.decode(), b"".join(nonces_in(raw)), changed), keepttl=True
    )


def _three_slots(payload: bytes) -> bytes:
    day = DaySlots.decode(payload)
    return day._replace(starts=day.starts[:3], wire=day.wire[: 18 * 3]).encode()


async def _until(cache: Cache, name: str, value: float, seconds: float = 10.0) -> None:
    async def there() -> bool:
        return await asyncio.to_thread(cache.metric, name) >= value

    await eventually(there, seconds=seconds)


def _variables(cache: Cache) -> dict[str, str]:
    """Return the settings of a process."""
    given = (cache.process.environ or {}).items()
    return {name: value for name, value in given if name.startswith("CHAIRSIDE_")}


async def _command(cache: Cache, shop: Shop, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the command as an operator does."""
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "cache_service", "audit", str(shop.organization_id), *options],
        env=environment(_variables(cache)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def _audit(cache: Cache, shop: Shop) -> AuditReport:
    """Do what the command does."""
    return await run_audit(load(Settings, _variables(cache)), shop.organization_id)


def _everything(shop: Shop) -> list[tuple[str, Message]]:
    """Give a request of every read."""
    organization = {"organization_id": shop.organization_id}
    barber = organization | {"barber_id": shop.barbers[0]}
    days = {"start_date": to_date(MONDAY), "end_date": to_date(MONDAY + timedelta(days=3))}
    reports: list[dict[str, Any]] = [
        days | {"revenue": {}},
        days | {"appointment_stats": {}},
        days | {"patterns": {}},
        days | {"barber_performance": {}},
        {"six_figure": {"target_annual_income": 1000.0}},
        {"retention": {}},
        {"lifetime_value": {}},
        {"comparison": {}},
        days | {"dashboard": {"target_annual_income": 1000.0}},
    ]
    client = pb.GetUserDataRequest(**organization, client_id=1)
    return [
        ("GetAvailability", pb.GetAvailabilityRequest(**organization, service_id=shop.services[0])),
        ("GetSchedule", pb.GetScheduleRequest(**barber)),
        ("GetBookedSlots", pb.GetBookedSlotsRequest(**barber, **days)),
        ("GetUserData", client),
        ("ListAppointments", pb.ListAppointmentsRequest(**organization)),
        ("ListClients", pb.ListClientsRequest(**organization, query=NAME)),
        ("ListServices", pb.ListServicesRequest(**organization)),
        ("ListBarbers", pb.ListBarbersRequest(**organization)),
        *(("GetAnalytics", pb.GetAnalyticsRequest(**organization, **one)) for one in reports),
    ]


async def _ask(cache: Cache, shop: Shop) -> int:
    """Ask for everything; return how many answers came out of a cache."""
    answers = [await getattr(cache.stub, method)(request) for method, request in _everything(shop)]
    return sum(answer.cache_info.source != types_pb2.SOURCE_DATABASE for answer in answers)


@pytest.mark.parametrize("memory", ["0", "1000000"])
async def test_what_is_right_is_checked_and_nothing_else(
    database: Database, own_valkey: ValkeyServer, tmp_path: Path, memory: str
) -> None:
    """Every hit of every query is compared, while bookings are made, and none is wrong."""
    kept = {"CHAIRSIDE_CACHE_MEMORY_BYTES": memory}
    async with _audited(database, own_valkey, tmp_path, **kept) as (cache, shop):
        hits = 0
        for hour in (9, 11, 13):
            await shop.book(shop.at(f"2025-03-10 {hour:02d}:00"))
            await _ask(cache, shop)
            hits += await _ask(cache, shop)
        assert hits >= 2 * len(_everything(shop))
        await _until(cache, CHECKED, hits)
        assert cache.metric(MISMATCHED) == 0
        assert cache.metric(DROPPED) == 0

        async def applied() -> bool:
            return not await shop.connection.fetchval("SELECT count(*) FROM outbox")

        await eventually(applied)
        await _ask(cache, shop)
        await _all_is_well(cache, shop)


async def _all_is_well(cache: Cache, shop: Shop) -> None:
    """Run the command in both forms: it accounts for every entry, and finds nothing wrong."""
    ran = await _command(cache, shop)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "availability" in ran.stdout
    report = await _audit(cache, shop)
    assert report.mismatches == []
    assert report.unknown == 0
    tallies = report.queries.values()
    assert sum(one.entries for one in tallies) == len(await cache.entries(shop.organization_id))
    assert sum(one.checked for one in tallies) >= 20
    assert all(set(one.skipped) <= {"invalidated"} for one in tallies)


async def test_a_tampered_entry_is_found(audited: Audited) -> None:
    """Checksum and nonces are right, the payload is not: it counts once it hit for two seconds."""
    cache, shop = audited
    await _monday(cache, shop)
    await _tamper(cache, "availability", _three_slots)
    found = await _monday(cache, shop)
    assert source(found) == "REDIS"
    assert len(starts(found)[shop.barbers[0]]) == 3
    await _until(cache, MISMATCHED, 1)
    assert cache.metric(CHECKED) == 1
    (line,) = (one for one in cache.process.output().splitlines() if "not what the" in one)
    told = json.loads(line)
    assert told["level"] == "error"
    assert f"availability:barber:{shop.barbers[0]}:" in told["key"]
    assert told["source"] == "hit"
    assert all(len(nonce) == 32 for nonce in told["nonces"])
    assert len(told["nonces"]) == 5
    assert told["served"] != told["loaded"]

    ran = await _command(cache, shop, "--json")
    assert (ran.returncode, ran.stderr) == (1, "")
    report = json.loads(ran.stdout)
    (mismatch,) = report["mismatches"]
    assert mismatch["key"].startswith("availability:barber:")
    assert mismatch["nonces"] == told["nonces"]
    assert (mismatch["entry"], mismatch["loaded"]) == (told["served"], told["loaded"])
    tally = {"entries": 1, "checked": 1, "matching": 0, "mismatched": 1, "skipped": {}}
    assert report["queries"]["availability"] == tally
    ran = await _command(cache, shop)
    assert ran.returncode == 1
    assert f"MISMATCH {mismatch['key']}" in ran.stdout


async def test_no_name_is_told(audited: Audited) -> None:
    """The log says which entry is wrong without what a caller typed, or what is in it."""
    cache, shop = audited
    assert [one.name for one in (await _clients(cache, shop)).clients] == [NAME]
    empty = pb.ListClientsResponse().SerializeToString()
    await _tamper(cache, "list:clients", lambda _payload: empty)
    assert not (await _clients(cache, shop)).clients
    await _until(cache, MISMATCHED, 1)
    output = cache.process.output()
    assert "list:clients:query:=*:" in output
    assert not any(word in output for word in NAME.split())


async def test_an_entry_invalidated_meanwhile_does_not_count(audited: Audited) -> None:
    """It was wrong at the first look and is a miss at the second: that is no mismatch."""
    cache, shop = audited
    await _monday(cache, shop)
    await _clients(cache, shop)
    await _tamper(cache, "availability", _three_slots)
    await _monday(cache, shop)
    # Judged one after another: when this one is, the first look at that one is over.
    await _clients(cache, shop)
    await _until(cache, CHECKED, 1)
    everything = pb.InvalidateRequest(scope=pb.Scope(organization_id=shop.organization_id))
    await cache.stub.Invalidate(everything)
    await _until(cache, CHECKED, 2)
    assert cache.metric(MISMATCHED) == 0
    assert cache.metric(DROPPED) == 0


async def test_the_command_does_not_count_what_is_invalidated_meanwhile(
    audited: Audited,
) -> None:
    """An entry that differs at its first look and is a miss at the second is skipped."""
    cache, shop = audited
    await _monday(cache, shop)
    await _tamper(cache, "availability", _three_slots)
    lock = shop.connection.transaction()
    await lock.start()
    await shop.connection.execute("LOCK TABLE special_hours IN ACCESS EXCLUSIVE MODE")
    auditing = asyncio.create_task(_audit(cache, shop))

    async def loads() -> bool:
        query = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        return await shop.connection.fetchval(query) > 0

    # By then it has found the entry to be a hit.
    await eventually(loads, seconds=30)
    everything = pb.InvalidateRequest(scope=pb.Scope(organization_id=shop.organization_id))
    await cache.stub.Invalidate(everything)
    await lock.rollback()
    report = await auditing
    assert report.mismatches == []
    assert report.queries["availability"].skipped == {"invalidated": 1}


async def test_a_near_hit_that_is_wrong_is_found(near: Audited) -> None:
    """A change that no trigger saw leaves memory and Redis wrong, as a restore would."""
    cache, shop = near
    await _monday(cache, shop)
    await shop.connection.execute("SET session_replication_role = replica")
    await shop.book(shop.at("2025-03-10 09:00"))
    found = await _monday(cache, shop)
    assert source(found) == "NEAR"
    await _until(cache, MISMATCHED, 1)
    assert '"source": "near"' in cache.process.output()
    assert len((await _audit(cache, shop)).mismatches) == 1


async def test_an_answer_that_the_database_refuses_is_wrong(audited: Audited) -> None:
    """An entry about somebody who is not there any more differs from any that could be."""
    cache, shop = audited
    await _monday(cache, shop)
    await shop.connection.execute("SET session_replication_role = replica")
    await shop.connection.execute("UPDATE barbers SET active = false")
    assert source(await _monday(cache, shop)) == "REDIS"
    await _until(cache, MISMATCHED, 1)
    assert [one.loaded for one in (await _audit(cache, shop)).mismatches] == [""]


async def test_what_the_command_skips_is_told(audited: Audited) -> None:
    """Damaged entries, and those of no query of this version, are counted as such."""
    cache, shop = audited
    await _monday(cache, shop)
    await _clients(cache, shop)
    (name,) = await cache.redis.keys("*:entry:availability*")
    await cache.redis.set(name, b"garbage")
    await cache.redis.set(name.replace(b"availability", b"prophecy"), b"anything")
    report = await _audit(cache, shop)
    assert report.mismatches == []
    assert report.unknown == 1
    assert report.queries["availability"].skipped == {"unreadable": 1}
    assert report.queries["clients"].matching == 1


async def test_without_a_share_nothing_is_audited(
    database: Database, own_valkey: ValkeyServer, tmp_path: Path
) -> None:
    """A tampered entry is served, and nobody looks."""
    off = {"CHAIRSIDE_CACHE_AUDIT_SHARE": "0"}
    async with _audited(database, own_valkey, tmp_path, **off) as (cache, shop):
        await _monday(cache, shop)
        await _tamper(cache, "availability", _three_slots)
        for _ in range(50):
            assert source(await _monday(cache, shop)) == "REDIS"
        assert [cache.metric(name) for name in (CHECKED, MISMATCHED, DROPPED)] == [0, 0, 0]


async def test_audits_never_hold_up_hits(audited: Audited) -> None:
    """While the database does not answer, hits are served, and what cannot wait is dropped."""
    cache, shop = audited
    await _monday(cache, shop)
    lock = shop.connection.transaction()
    await lock.start()
    await shop.connection.execute("LOCK TABLE special_hours IN ACCESS EXCLUSIVE MODE")
    for _ in range(300):
        assert source(await _monday(cache, shop)) == "REDIS"
    await _until(cache, DROPPED, 300 - 256 - 1)
    await lock.rollback()
    await _until(cache, CHECKED, 200)
    assert cache.metric(CHECKED) + cache.metric(DROPPED) <= 300
    assert cache.metric(MISMATCHED) == 0


async def test_the_command_says_why_it_cannot_audit(
    audited: Audited, own_valkey: ValkeyServer
) -> None:
    """Without Redis it ends with exit code 2 and a line, not with "all is well"."""
    cache, shop = audited
    await own_valkey.kill()
    ran = await _command(cache, shop)
    assert ran.returncode == 2
    assert ran.stderr.strip() == "Redis does not answer"
