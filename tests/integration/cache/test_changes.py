"""How changes reach the cache: the outbox and its relay, Invalidate, and Warm before them."""

import json
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import grpc
import pytest

from cache_service.edge.declared import discover
from chairside.cache.v1 import cache_service_pb2 as pb
from chairside.cache.v1 import events_pb2, types_pb2
from service_kit.values import to_date
from tests.integration.cache.running import Cache, refused, source, starts
from tests.integration.cache.shops import Shop
from tests.support.grpc_server import details_of
from tests.support.waiting import eventually

MONDAY = date(2025, 3, 10)
TUESDAY = date(2025, 3, 11)


async def _waiting(shop: Shop) -> int:
    count: int = await shop.connection.fetchval(
        "SELECT count(*) FROM outbox WHERE organization_id = $1", shop.organization_id
    )
    return count


async def test_a_change_by_anybody_is_seen_within_a_second(cache: Cache, shop: Shop) -> None:
    """What is inserted with psql is relayed from the outbox, which is empty then."""
    ask = shop.organization_id, shop.services[0], shop.barbers, MONDAY
    nine = shop.at("2025-03-10 09:00")
    assert nine in starts(await cache.availability(*ask))[shop.barbers[0]]
    assert source(await cache.availability(*ask)) == "REDIS"
    await shop.book(nine)
    assert await _waiting(shop) == 1

    async def seen() -> bool:
        return nine not in starts(await cache.availability(*ask))[shop.barbers[0]]

    async def emptied() -> bool:
        return await _waiting(shop) == 0

    await eventually(seen)
    await eventually(emptied)
    assert source(await cache.availability(*ask)) == "REDIS"


async def test_another_day_is_left_alone(cache: Cache, shop: Shop) -> None:
    """A booking of one day costs the others no hit."""
    far = MONDAY + timedelta(days=7)
    ask = shop.organization_id, shop.services[0], shop.barbers
    await cache.availability(*ask, MONDAY)
    await cache.availability(*ask, far)
    await shop.book(shop.at("2025-03-10 09:00"))

    async def emptied() -> bool:
        return await _waiting(shop) == 0

    await eventually(emptied)
    assert source(await cache.availability(*ask, far)) == "REDIS"
    assert source(await cache.availability(*ask, MONDAY)) == "DATABASE"


@pytest.mark.parametrize(
    "event",
    [
        '{"from_a_newer_version": {"x": 1}}',
        '"no event at all"',
        "[]",
        '{"appointment": {"new": {"date": {"year": 2025, "month": 13, "day": 40}}}}',
        '{"appointment": {}}',
        "{}",
    ],
)
async def test_an_event_that_cannot_be_read_does_not_stop_the_relay(
    cache: Cache, shop: Shop, event: str
) -> None:
    """It touches its whole organization, is done with, and those behind it are applied."""
    ask = shop.organization_id, shop.services[0], shop.barbers, MONDAY
    await cache.availability(*ask)
    assert source(await cache.availability(*ask)) == "REDIS"
    body: Any = json.loads(event)
    if isinstance(body, dict) and body:
        body = {"organization_id": shop.organization_id, **body}
    await shop.connection.execute(
        "INSERT INTO outbox (organization_id, event) VALUES ($1, $2)",
        shop.organization_id,
        json.dumps(body),
    )

    async def emptied() -> bool:
        return await _waiting(shop) == 0

    await eventually(emptied)
    assert source(await cache.availability(*ask)) == "DATABASE"
    await shop.book(shop.at("2025-03-10 09:00"))
    await eventually(emptied)


def _event(shop: Shop) -> dict[str, Any]:
    facts = events_pb2.AppointmentFacts(barber_id=shop.barbers[0], date=to_date(MONDAY))
    change = events_pb2.AppointmentChange(new=facts)
    return {"events": [events_pb2.Event(organization_id=shop.organization_id, appointment=change)]}


def _tag(shop: Shop) -> dict[str, Any]:
    name = f"day:{shop.barbers[0]}:{MONDAY}"
    return {"tags": [pb.Tag(organization_id=shop.organization_id, name=name)]}


def _scope_of(**fields: Any) -> Callable[[Shop], dict[str, Any]]:
    def scope(shop: Shop) -> dict[str, Any]:
        mine = {"barber_id": shop.barbers[0]} if fields.get("barber") else {}
        rest = {key: value for key, value in fields.items() if key != "barber"}
        return {"scope": pb.Scope(organization_id=shop.organization_id, **mine, **rest)}

    return scope


@pytest.mark.parametrize(
    ("request_of", "day_after_goes"),
    [
        (_event, True),  # without its blocked days a booking is taken to touch those around it
        (_tag, False),
        (_scope_of(), True),
        (_scope_of(barber=True), True),
        (_scope_of(barber=True, date=to_date(MONDAY)), False),
        (_scope_of(date=to_date(MONDAY)), True),  # a day of every barber has no tag of its own
    ],
    ids=["event", "tag", "organization", "barber", "barber's day", "day"],
)
async def test_invalidate_drops_what_it_names(
    cache: Cache, shop: Shop, request_of: Callable[[Shop], dict[str, Any]], *, day_after_goes: bool
) -> None:
    """Once it is answered, the next read is of the database, and others are left alone."""
    ask = shop.organization_id, shop.services[0], shop.barbers
    for day in (MONDAY, TUESDAY):
        await cache.availability(*ask, day)
        assert source(await cache.availability(*ask, day)) == "REDIS"
    answer = await cache.stub.Invalidate(pb.InvalidateRequest(**request_of(shop)))
    assert answer.tags_invalidated >= 1
    tuesday = await cache.availability(*ask, TUESDAY)
    assert source(tuesday) == ("DATABASE" if day_after_goes else "REDIS")
    assert source(await cache.availability(*ask, MONDAY)) == "DATABASE"
    assert source(await cache.availability(*ask, MONDAY)) == "REDIS"


async def test_the_token_of_an_invalidation_stands_for_all_before_it(
    cache: Cache, shop: Shop
) -> None:
    """With it, an entry filled before is read anew, and one filled after is a hit."""
    ask = shop.organization_id, shop.services[0], shop.barbers, TUESDAY
    await cache.availability(*ask)
    async with shop.acknowledged():
        await shop.add_service()  # another transaction, of which the entry has not seen anything
    answer = await cache.stub.Invalidate(pb.InvalidateRequest(**_tag(shop)))
    token = types_pb2.Consistency(at_least_as_fresh=answer.token)
    assert source(await cache.availability(*ask)) == "REDIS"
    assert source(await cache.availability(*ask, consistency=token)) == "DATABASE"
    assert source(await cache.availability(*ask, consistency=token)) == "REDIS"


async def test_an_allowed_staleness_is_served_and_refreshed_behind(
    cache: Cache, shop: Shop
) -> None:
    """What was invalidated is served as stale to who allows it, and soon is fresh again."""
    ask = shop.organization_id, shop.services[0], shop.barbers, MONDAY
    await cache.availability(*ask)
    nine = shop.at("2025-03-10 09:00")
    async with shop.acknowledged():
        await shop.book(nine)
    await cache.stub.Invalidate(pb.InvalidateRequest(**_event(shop)))
    minute = types_pb2.Consistency(max_staleness={"seconds": 60})
    stale = await cache.availability(*ask, consistency=minute)
    assert (source(stale), stale.cache_info.stale) == ("REDIS", True)
    assert nine in starts(stale)[shop.barbers[0]]

    async def refreshed() -> bool:
        answer = await cache.availability(*ask, consistency=minute)
        assert source(answer) == "REDIS"
        return not answer.cache_info.stale and nine not in starts(answer)[shop.barbers[0]]

    await eventually(refreshed)
    await cache.stub.Invalidate(pb.InvalidateRequest(**_event(shop)))
    moment = types_pb2.Consistency(max_staleness={"nanos": 1})
    assert source(await cache.availability(*ask, consistency=moment)) == "DATABASE"


async def test_invalidate_of_what_is_not_there_is_done(cache: Cache, shop: Shop) -> None:
    """Repeats, unknown organizations and unknown tags are harmless."""
    tags = [pb.Tag(organization_id=10**12, name="no such tag")] * 2
    for _ in range(2):
        answer = await cache.stub.Invalidate(pb.InvalidateRequest(tags=tags, **_event(shop)))
        assert answer.token


async def test_warm_fills_what_is_not_fresh(cache: Cache, shop: Shop) -> None:
    """It counts what it filled: everything, then nothing, then what was invalidated."""
    async with shop.acknowledged():
        other = await shop.add_barber(offers=shop.services)
    organization = {"organization_id": shop.organization_id}

    async def warm(**fields: Any) -> int:
        answer = await cache.stub.Warm(pb.WarmRequest(**organization, **fields))
        filled: int = answer.entries_filled
        return filled

    assert await warm(barber_ids=[other], days_ahead=3) == 3
    assert await warm() == 7 + 4
    assert await warm() == 0
    today = date(2025, 3, 5)
    ask = shop.organization_id, shop.services[0], ()
    assert source(await cache.availability(*ask, today, 7)) == "REDIS"
    scope = _scope_of(barber=True, date=to_date(today))
    await cache.stub.Invalidate(pb.InvalidateRequest(**scope(shop)))
    assert await warm() == 1
    error = await refused(warm(barber_ids=[10**15]))
    assert error.code() == grpc.StatusCode.NOT_FOUND
    assert details_of(error)["ErrorInfo"].reason == "BARBER_NOT_FOUND"


async def test_stats_add_up(cache: Cache, shop: Shop) -> None:
    """An organization's counts are what was done with its entries, and part of all counts."""
    request = pb.GetStatsRequest(organization_id=shop.organization_id)
    empty = await cache.stub.GetStats(request)
    assert not empty.queries
    assert not empty.HasField("hit_ratio")
    ask = shop.organization_id, shop.services[0], shop.barbers, MONDAY
    before = await cache.stub.GetStats(pb.GetStatsRequest())
    await cache.availability(*ask)
    for _ in range(3):
        await cache.availability(*ask)
    await cache.availability(*ask, consistency=types_pb2.Consistency(fully_consistent=True))
    await refused(cache.availability(*ask[:2], (10**15,), MONDAY))
    stats = await cache.stub.GetStats(request)
    (own,) = stats.queries
    counts = (own.query, own.hits, own.misses, own.loads, own.errors, own.entries)
    assert counts == ("availability", 3, 1, 2, 1, 1)
    assert own.bytes > 100
    assert own.hit_ratio == stats.hit_ratio == 0.75
    after = await cache.stub.GetStats(pb.GetStatsRequest())
    totals = [
        next((one for one in stats.queries if one.query == "availability"), pb.QueryStats())
        for stats in (before, after)
    ]
    assert totals[1].hits - totals[0].hits == 3
    assert totals[1].bytes - totals[0].bytes == own.bytes
    assert after.redis_available
    assert after.redis_used_memory_bytes > 100_000
    assert after.uptime.ToMicroseconds() > before.uptime.ToMicroseconds() > 0
    assert {one.query for one in after.queries} <= {query.name for query in discover()}
