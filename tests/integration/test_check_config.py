"""`check-config --connect` names all that would keep a service from serving, at once."""

import subprocess
import sys
from typing import NamedTuple

import asyncpg
import structlog
from sqlalchemy.ext.asyncio import create_async_engine
from structlog.testing import capture_logs

from booking_service.checking import RIGHTS as BOOKING_RIGHTS
from booking_service.checking import problems_of as problems_of_booking
from booking_service.postgres.revision import REVISION, until_migrated
from booking_service.postgres.unit_of_work import UnitsOfWork
from booking_service.settings import Settings as BookingSettings
from cache_service.commands.check import RIGHTS as CACHE_RIGHTS
from cache_service.commands.check import problems_of as problems_of_cache
from cache_service.database import Primary
from cache_service.invalidation.rules import RULES_VERSION
from cache_service.settings import Settings as CacheSettings
from devstack.ports import free_port
from devstack.services import environment
from service_kit.clock import SystemClock
from service_kit.errors import Unavailable
from service_kit.postgres import async_url
from tests.support.stack import Database


def _cache(database: Database, redis_url: str) -> CacheSettings:
    return CacheSettings(database_url=database.cache_url, redis_url=redis_url)


async def test_what_is_right_has_no_problem(database: Database, redis_url: str) -> None:
    """Each service's role has the rights that are asked for, and Redis does what is tried."""
    assert await problems_of_cache(_cache(database, redis_url)) == []
    settings = BookingSettings(database_url=database.booking_url, cache_target="127.0.0.1:1")
    (problem,) = await problems_of_booking(settings)
    assert problem == "the cache service at 127.0.0.1:1: UNAVAILABLE"


async def test_all_problems_are_named_at_once(database: Database) -> None:
    """The other service's role, a schema of before, newer rules, and a Redis that is not there."""
    connection = await asyncpg.connect(database.url)
    await connection.execute("UPDATE authority SET rules_version = 999")
    await connection.execute("REVOKE DELETE ON outbox FROM chairside_cache")
    nowhere = f"redis://127.0.0.1:{free_port()}/0"
    problems = await problems_of_cache(_cache(database, nowhere))
    assert problems[0] == "role chairside_cache lacks DELETE on outbox"
    assert problems[1].startswith("Redis: ")
    assert len(problems) == 2
    await connection.execute("GRANT DELETE ON outbox TO chairside_cache")
    newer = f"rules 999 in force: with its own, {RULES_VERSION}, this one serves no hits"
    assert newer in (await problems_of_cache(_cache(database, nowhere)))[0]
    await connection.execute("UPDATE alembic_version SET version_num = '0003'")
    settings = BookingSettings(database_url=database.cache_url, cache_target="127.0.0.1:1")
    problems = await problems_of_booking(settings)
    lacks = {one.removeprefix("role chairside_cache lacks ") for one in problems}
    assert {"INSERT on appointments", "SELECT on request_ids"} <= lacks
    assert "the database is at 0003, and 0005 is needed: migrate it" in problems
    assert "the cache service at 127.0.0.1:1: UNAVAILABLE" in problems
    await connection.close()


async def test_while_a_service_waits_its_log_says_for_what(database: Database) -> None:
    """In the database's own words, such as that there is none of that name; each reason once."""
    url, _, _ = database.cache_url.rpartition("/")
    engine = create_async_engine(async_url(f"{url}/nowhere"))
    waited: list[float] = []

    async def asked_by_booking() -> str | None:
        async with UnitsOfWork(engine)() as unit:
            return str(await unit.connection.scalar(REVISION))

    asked_by_cache = Primary(engine, engine, SystemClock()).revision

    async def revision() -> str | None:
        if len(waited) == 2:
            return None
        if len(waited) == 3:
            return "9999"
        return await (asked_by_cache() if waited else asked_by_booking())

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    with capture_logs() as logs:
        await until_migrated(revision, structlog.get_logger("test"), sleep)
    reasons = [one["reason"] for one in logs]
    assert reasons[0] == 'database "nowhere" does not exist'
    assert [reason.partition(":")[0] for reason in reasons[1:]] == ["the database has no schema"]
    await engine.dispose()


async def test_a_service_waits_for_the_schema_that_it_needs() -> None:
    """It is not ready on an empty database, one of before, or none; but on a newer one it is."""
    found: list[str | Exception | None] = [None, "0003", Unavailable("AWAY", "away"), "9999", "x"]
    waited: list[float] = []

    async def revision() -> str | None:
        now = found.pop(0)
        if isinstance(now, Exception):
            raise now
        return now

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    await until_migrated(revision, structlog.get_logger("test"), sleep)
    assert waited == [0.5] * 3
    assert found == ["x"]


class Found(NamedTuple):
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


def _run(*arguments: str, **variables: str) -> Found:
    done = subprocess.run(
        [sys.executable, "-m", "cache_service", "check-config", *arguments],
        env=environment(variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Found(done.returncode, done.stdout, done.stderr)


async def test_the_command_says_what_and_no_secret(redis_url: str) -> None:
    """It ends with 1, a line for each problem, and shows no password."""
    nobody = f"postgresql://chairside_cache:secret@127.0.0.1:{free_port()}/nowhere"
    variables = {"CHAIRSIDE_CACHE_DATABASE_URL": nobody, "CHAIRSIDE_CACHE_REDIS_URL": redis_url}
    found = _run("--connect", "--quiet", **variables)
    assert (found.code, found.out) == (1, "")
    assert found.err.startswith("the database: ")
    assert len(found.err.splitlines()) == 1
    assert "secret" not in found.err


def test_the_rights_asked_for_are_for_all_tables() -> None:
    """A table that no role is asked about is one that nobody would be warned of."""
    assert set(CACHE_RIGHTS) - set(BOOKING_RIGHTS) == {"authority", "members"}
    assert set(BOOKING_RIGHTS) - set(CACHE_RIGHTS) == {"idempotent_requests", "request_ids"}
