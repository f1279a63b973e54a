"""A shop whose every hit is audited, and ways to make its entries wrong."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import asyncpg
from google.protobuf.message import Message

from cache_service.coherence.entry import decode, encode, nonces_in
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
from tests.integration.cache.running import Cache, start_cache
from tests.integration.cache.shops import Shop, open_shop
from tests.support.stack import Database
from tests.support.waiting import eventually

__all__ = [
    "CHECKED",
    "DROPPED",
    "MISMATCHED",
    "NAME",
    "Audited",
    "all_is_well",
    "ask",
    "audit",
    "audited_cache",
    "clients",
    "command",
    "everything",
    "monday",
    "tamper",
    "three_slots",
    "until",
]

MONDAY = date(2025, 3, 10)
NAME = "Hildegard von Bingen"
CHECKED, MISMATCHED, DROPPED = (
    f"chairside_cache_audit_{name}_total" for name in ("checked", "mismatched", "dropped")
)
EVERY_HIT = {"CHAIRSIDE_CACHE_AUDIT_SHARE": "1"}
Audited = tuple[Cache, Shop]


@asynccontextmanager
async def audited_cache(
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


async def monday(cache: Cache, shop: Shop) -> pb.GetAvailabilityResponse:
    """Ask for one barber's Monday."""
    return await cache.availability(shop.organization_id, shop.services[0], shop.barbers, MONDAY)


async def clients(cache: Cache, shop: Shop) -> Any:
    """List the clients of that name."""
    request = pb.ListClientsRequest(organization_id=shop.organization_id, query=NAME)
    return await cache.stub.ListClients(request)


async def tamper(cache: Cache, pattern: str, change: Callable[[bytes], bytes]) -> None:
    """Change the payload of the only such entry; key, nonces, times and checksum stay right."""
    (name,) = await cache.redis.keys(f"*:entry:{pattern}*")
    raw = await cache.redis.get(name)
    entry = decode(name.decode(), None, raw)
    assert entry is not None
    changed = entry._replace(payload=change(entry.payload))
    await cache.redis.set(
        name, encode(name.decode(), b"".join(nonces_in(raw)), changed), keepttl=True
    )


def three_slots(payload: bytes) -> bytes:
    """Keep but the first three slots of a day."""
    day = DaySlots.decode(payload)
    return day._replace(starts=day.starts[:3], wire=day.wire[: 18 * 3]).encode()


async def until(cache: Cache, name: str, value: float, seconds: float = 10.0) -> None:
    """Wait until a metric has reached a value."""

    async def there() -> bool:
        return await asyncio.to_thread(cache.metric, name) >= value

    await eventually(there, seconds=seconds)


def _variables(cache: Cache) -> dict[str, str]:
    """Return the settings of a process."""
    given = (cache.process.environ or {}).items()
    return {name: value for name, value in given if name.startswith("CHAIRSIDE_")}


async def command(cache: Cache, shop: Shop, *options: str) -> subprocess.CompletedProcess[str]:
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


async def audit(cache: Cache, shop: Shop) -> AuditReport:
    """Do what the command does."""
    return await run_audit(load(Settings, _variables(cache)), shop.organization_id)


def everything(shop: Shop) -> list[tuple[str, Message]]:
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


async def ask(cache: Cache, shop: Shop) -> int:
    """Ask for everything; return how many answers came out of a cache."""
    answers = [await getattr(cache.stub, method)(request) for method, request in everything(shop)]
    return sum(answer.cache_info.source != types_pb2.SOURCE_DATABASE for answer in answers)


async def all_is_well(cache: Cache, shop: Shop) -> None:
    """Run the command in both forms: it accounts for every entry, and finds nothing wrong."""
    ran = await command(cache, shop)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "availability" in ran.stdout
    report = await audit(cache, shop)
    assert report.mismatches == []
    assert report.unknown == 0
    tallies = report.queries.values()
    assert sum(one.entries for one in tallies) == len(await cache.entries(shop.organization_id))
    assert sum(one.checked for one in tallies) >= 20
    assert all(set(one.skipped) <= {"invalidated"} for one in tallies)
