"""The command `audit`: what is wrong is found, what is on its way is not, the rest is told."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chairside.cache.v1 import cache_service_pb2 as pb
from devstack.valkey import ValkeyServer
from tests.integration.cache.auditing import (
    Audited,
    audit,
    audited_cache,
    clients,
    command,
    monday,
    tamper,
    three_slots,
)
from tests.support.stack import Database
from tests.support.waiting import eventually


@pytest.fixture
async def audited(
    database: Database, own_valkey: ValkeyServer, tmp_path: Path
) -> AsyncIterator[Audited]:
    """Serve every hit from Redis."""
    async with audited_cache(database, own_valkey, tmp_path) as running:
        yield running


async def test_the_command_does_not_count_what_is_invalidated_meanwhile(
    audited: Audited,
) -> None:
    """An entry that differs at its first look and is a miss at the second is skipped."""
    cache, shop = audited
    await monday(cache, shop)
    await tamper(cache, "availability", three_slots)
    lock = shop.connection.transaction()
    await lock.start()
    await shop.connection.execute("LOCK TABLE special_hours IN ACCESS EXCLUSIVE MODE")
    auditing = asyncio.create_task(audit(cache, shop))

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


async def test_what_the_command_skips_is_told(audited: Audited) -> None:
    """Damaged entries, and those of no query of this version, are counted as such."""
    cache, shop = audited
    await monday(cache, shop)
    await clients(cache, shop)
    (name,) = await cache.redis.keys("*:entry:availability*")
    await cache.redis.set(name, b"garbage")
    await cache.redis.set(name.replace(b"availability", b"prophecy"), b"anything")
    report = await audit(cache, shop)
    assert report.mismatches == []
    assert report.unknown == 1
    assert report.queries["availability"].skipped == {"unreadable": 1}
    assert report.queries["clients"].matching == 1


async def test_the_command_says_why_it_cannot_audit(
    audited: Audited, own_valkey: ValkeyServer
) -> None:
    """Without Redis it ends with exit code 2 and a line, not with "all is well"."""
    cache, shop = audited
    await own_valkey.kill()
    ran = await command(cache, shop)
    assert ran.returncode == 2
    assert ran.stderr.strip() == "Redis does not answer"
