"""The life of the process: its settings, its drain, its clock, its deadline, its secrets."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path

import asyncpg
import grpc
import pytest
from typer.testing import CliRunner

from cache_service.__main__ import cli
from chairside.cache.v1 import cache_service_pb2 as pb
from chairside.cache.v1 import types_pb2
from devstack.ports import free_port
from devstack.services import ServiceProcess, environment
from devstack.valkey import ValkeyServer
from service_kit.values import to_date
from tests.integration.cache.running import CLOCK, Cache, refused, source, start_cache, starts
from tests.integration.cache.shops import Shop
from tests.support.grpc_log import without_grpcs_own
from tests.support.grpc_server import details_of
from tests.support.stack import ROLE_PASSWORD, Database
from tests.support.waiting import eventually

MONDAY = date(2025, 3, 10)
FULL = types_pb2.Consistency(fully_consistent=True)
REQUIRED = {"CHAIRSIDE_CACHE_DATABASE_URL": "postgresql://u:secret@127.0.0.1:1/d"}


@pytest.fixture
async def own_cache(
    cache: Cache, shared_database: Database, tmp_path: Path
) -> AsyncIterator[Cache]:
    """Run a second process over the same Redis, which may be stopped."""
    async with start_cache(shared_database.cache_url, cache.redis_url, tmp_path) as running:
        yield running


async def test_a_drain_lets_calls_end(
    own_cache: Cache, shop: Shop, shared_database: Database
) -> None:
    """On SIGTERM a call under way is answered, no new one is begun, and the exit code is 0."""
    ask = shop.organization_id, shop.services[0], shop.barbers, MONDAY
    blocker = await asyncpg.connect(shared_database.url)
    lock = blocker.transaction()
    await lock.start()
    await blocker.execute("LOCK TABLE special_hours IN ACCESS EXCLUSIVE MODE")
    call = asyncio.create_task(own_cache.availability(*ask, consistency=FULL))

    async def waits() -> bool:
        return await blocker.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted") > 0

    await eventually(waits)
    own_cache.process.signal(signal.SIGTERM)

    async def drains() -> bool:
        return '"draining"' in own_cache.process.output()

    await eventually(drains)
    error = await refused(own_cache.availability(*ask, consistency=FULL))
    assert error.code() == grpc.StatusCode.UNAVAILABLE
    assert not call.done()
    await lock.rollback()
    await blocker.close()
    assert len(starts(await call)[shop.barbers[0]]) == 8
    assert await own_cache.process.wait() == 0
    assert '"stopped"' in own_cache.process.output()
    assert "Traceback" not in own_cache.process.output()


async def test_a_deadline_is_kept_while_the_database_does_not_answer(
    cache: Cache, shop: Shop, shared_database: Database
) -> None:
    """A call ends at its deadline, and one after it is answered as ever."""
    blocker = await asyncpg.connect(shared_database.url)
    lock = blocker.transaction()
    await lock.start()
    await blocker.execute("LOCK TABLE special_hours IN ACCESS EXCLUSIVE MODE")
    request = pb.GetAvailabilityRequest(
        organization_id=shop.organization_id,
        service_id=shop.services[0],
        barber_ids=shop.barbers,
        start_date=to_date(MONDAY),
    )
    began = asyncio.get_running_loop().time()
    error = await refused(cache.stub.GetAvailability(request, timeout=0.5))
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert asyncio.get_running_loop().time() - began < 5  # the lock is still held
    await lock.rollback()
    await blocker.close()
    assert await cache.availability(shop.organization_id, shop.services[0], shop.barbers, MONDAY)


async def test_a_process_whose_clock_is_ahead_reads_the_same_entries(
    cache: Cache, shop: Shop, shared_database: Database, tmp_path: Path
) -> None:
    """What time cuts is cut at reading: a hold that is over by another clock is free there."""
    async with shop.acknowledged():
        nine = shop.at("2025-03-10 09:00")
        await shop.book(nine, hold_until=CLOCK + timedelta(days=1))
    await shop.relayed()
    ask = shop.organization_id, shop.services[0], shop.barbers, MONDAY
    assert nine not in starts(await cache.availability(*ask))[shop.barbers[0]]
    later = {"CHAIRSIDE_CLOCK_START": (CLOCK + timedelta(days=2)).isoformat()}
    async with start_cache(shared_database.cache_url, cache.redis_url, tmp_path, later) as ahead:
        answer = await ahead.availability(*ask)
        assert source(answer) == "REDIS"
        assert nine in starts(answer)[shop.barbers[0]]


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_it_waits_for_its_database(
    valkey: ValkeyServer, tmp_path: Path, workers: str
) -> None:
    """Until it knows its database it does not serve; SIGTERM ends the waiting."""
    port = free_port()
    variables = {
        "CHAIRSIDE_CACHE_LISTEN": f"127.0.0.1:{port}",
        "CHAIRSIDE_CACHE_METRICS_LISTEN": "127.0.0.1:0",
        "CHAIRSIDE_CACHE_DATABASE_URL": "postgresql://u:p@127.0.0.1:1/d",
        "CHAIRSIDE_CACHE_REDIS_URL": valkey.url,
        "CHAIRSIDE_CACHE_WORKERS": workers,
    }
    process = ServiceProcess("cache_service", variables, tmp_path)
    starting = asyncio.create_task(process.start())

    async def waits() -> bool:
        return process.log_path.exists() and "waiting for the database" in process.output()

    await eventually(waits, seconds=30)
    process.address = f"127.0.0.1:{port}"
    assert not await process.serving()
    process.signal(signal.SIGTERM)
    assert await process.wait() == 0
    await asyncio.gather(starting, return_exceptions=True)


async def test_no_secret_crosses_any_boundary(
    cache: Cache, shop: Shop, shared_database: Database
) -> None:
    """What fails unexpectedly says so without its text, and no password is in the log."""
    admin = await asyncpg.connect(shared_database.url)
    await admin.execute("REVOKE SELECT ON special_hours FROM chairside_cache")
    try:
        error = await refused(
            cache.availability(
                shop.organization_id, shop.services[0], shop.barbers, MONDAY, consistency=FULL
            )
        )
    finally:
        await admin.execute("GRANT SELECT ON special_hours TO chairside_cache")
        await admin.close()
    assert error.code() == grpc.StatusCode.INTERNAL
    incident = details_of(error)["ErrorInfo"].metadata["incident"]  # type: ignore[attr-defined]
    assert "special_hours" not in (error.details() or "")
    assert incident in cache.process.output()
    assert ROLE_PASSWORD not in cache.process.output()


@pytest.mark.parametrize(
    ("variables", "lines"),
    [
        ({}, ["CHAIRSIDE_CACHE_DATABASE_URL: is required"]),
        (
            {**REQUIRED, "CHAIRSIDE_CACHE_LISTN": "127.0.0.1:1"},
            ["CHAIRSIDE_CACHE_LISTN: is not a setting; did you mean CHAIRSIDE_CACHE_LISTEN?"],
        ),
        (
            {
                **REQUIRED,
                "CHAIRSIDE_CACHE_LISTEN": "nowhere",
                "CHAIRSIDE_CACHE_REDIS_TIMEOUT": "60",
                "CHAIRSIDE_CLOCK_START": "yesterday",
            },
            ["CHAIRSIDE_CACHE_LISTEN:", "CHAIRSIDE_CACHE_REDIS_TIMEOUT:", "CHAIRSIDE_CLOCK_START:"],
        ),
        ({**REQUIRED, "CHAIRSIDE_CACHE_TTLS": "five"}, ["CHAIRSIDE_CACHE_TTLS: must be a JSON"]),
        *(
            (
                {**REQUIRED, "CHAIRSIDE_CACHE_TTLS": f'{{"availability": {seconds}}}'},
                ["CHAIRSIDE_CACHE_TTLS"],
            )
            for seconds in ('"soon"', "null", "true", "[]", "0", "-1", "NaN", "1e300", "1" * 400)
        ),
        (
            {
                **REQUIRED,
                "CHAIRSIDE_CACHE_LISTEN": "unix:/tmp/chairside.sock",
                "CHAIRSIDE_CACHE_WORKERS": "2",
                "CHAIRSIDE_CACHE_CALLERS": "/nowhere",
                "CHAIRSIDE_CACHE_TLS_KEY": "/nowhere",
            },
            [
                "CHAIRSIDE_CACHE_CALLERS: /nowhere: No such file",
                "CHAIRSIDE_CACHE_TLS_KEY: needs a certificate",
                "CHAIRSIDE_CACHE_WORKERS: must be 1",
            ],
        ),
        (
            {**REQUIRED, "CHAIRSIDE_CACHE_TTLS": '{"nonsense": 5}'},
            ["CHAIRSIDE_CACHE_TTLS: nonsense is not a query"],
        ),
        *(
            (
                {**REQUIRED, "CHAIRSIDE_CACHE_REDIS_URL": f"rediss://me:{rest}"},
                [f"CHAIRSIDE_CACHE_REDIS_URL: {why}"],
            )
            for rest, why in (
                ("secr/et@localhost/0", "cannot be read"),
                ("secret@localhost/0?ssl_ca_certs=/nowhere", "/nowhere: No such file"),
            )
        ),
    ],
)
def test_wrong_settings_are_told_in_one_line_each(
    variables: dict[str, str], lines: list[str]
) -> None:
    """Every wrong or unknown setting is named at once, without secrets; the exit code is 2."""
    found = CliRunner().invoke(cli, ["check-config"], env=variables)
    assert found.exit_code == 2
    told = found.stderr.strip().splitlines()
    assert len(told) == len(lines)
    for line, expected in zip(sorted(told), sorted(lines), strict=True):
        assert line.startswith(expected)
    assert "secr" not in found.output


def test_a_socket_is_not_shared_by_workers_of_the_command_either() -> None:
    """What the option says is checked as the setting is."""
    variables = {**REQUIRED, "CHAIRSIDE_CACHE_LISTEN": "unix:/tmp/chairside.sock"}
    found = CliRunner().invoke(cli, ["serve", "--workers", "2"], env=variables)
    assert found.exit_code == 2
    assert found.stderr.startswith("CHAIRSIDE_CACHE_WORKERS: must be 1")


async def _serve(variables: dict[str, str]) -> tuple[int, list[str]]:
    """Start the process, which must end; return its exit code and what it complains of."""
    found = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "cache_service", "serve"],
        env=environment(variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return found.returncode, without_grpcs_own(found.stderr)


async def test_an_unknown_setting_ends_the_process(cache: Cache) -> None:
    """A misspelt variable is an error with exit code 2, not a default that nobody asked for."""
    assert cache.process.running
    code, complaints = await _serve({**REQUIRED, "CHAIRSIDE_CACHE_LISTN": "127.0.0.1:1"})
    assert (code, len(complaints)) == (2, 1)
    assert "did you mean CHAIRSIDE_CACHE_LISTEN?" in complaints[0]


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_port_in_use_is_said_in_one_line(cache: Cache, workers: str) -> None:
    """A second process on the same port does not start, and does not share it."""
    address = cache.process.address
    variables = {
        "CHAIRSIDE_CACHE_LISTEN": address,
        "CHAIRSIDE_CACHE_METRICS_LISTEN": "127.0.0.1:0",
        "CHAIRSIDE_CACHE_WORKERS": workers,
    }
    code, complaints = await _serve({**REQUIRED, **variables})
    assert code == 2
    assert f"CHAIRSIDE_CACHE_LISTEN: {address} cannot be bound; is it in use?" in complaints


async def test_every_line_of_the_log_is_json(cache: Cache) -> None:
    """Whoever reads the log needs no other parser; settings are told once, passwords hidden."""
    events = [json.loads(line)["event"] for line in cache.process.output().splitlines()]
    assert events[0] == "settings"
    assert events.count("settings") == 1
    assert "serving" in events
