"""Explain: each reason provoked for real, on a service that runs; and that it changes nothing."""

import signal
from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import pytest

from cache_service.coherence.tokens import transaction_token
from chairside.cache.v1 import analytics_pb2, types_pb2
from chairside.cache.v1 import cache_service_pb2 as pb
from devstack.valkey import ValkeyServer
from service_kit.values import to_date
from tests.integration.cache.running import Cache, refused, source, start_cache
from tests.integration.cache.shops import Shop, open_shop
from tests.support.grpc_server import details_of
from tests.support.stack import Database
from tests.support.waiting import eventually

MONDAY = date(2025, 3, 10)
FULL = types_pb2.Consistency(fully_consistent=True)


def _day(shop: Shop, **fields: Any) -> pb.GetAvailabilityRequest:
    """Ask for one barber's Monday."""
    return pb.GetAvailabilityRequest(
        organization_id=shop.organization_id,
        service_id=shop.services[0],
        barber_ids=shop.barbers,
        start_date=to_date(MONDAY),
        **fields,
    )


async def _explain(
    cache: Cache, shop: Shop, **consistency: Any
) -> tuple[pb.ExplainedEntry, pb.CacheState]:
    """Explain that day's only entry."""
    demand = types_pb2.Consistency(**consistency) if consistency else None
    request = pb.ExplainRequest(get_availability=_day(shop, consistency=demand))
    answer = await cache.stub.Explain(request)
    (entry,) = answer.entries
    assert answer.entries_total == 1
    assert entry.explanation
    return entry, answer.state


async def _reason(cache: Cache, shop: Shop, **consistency: Any) -> str:
    entry, _ = await _explain(cache, shop, **consistency)
    return pb.Reason.Name(entry.reason)


async def _invalidate(cache: Cache, shop: Shop, *tags: str) -> None:
    await cache.stub.Invalidate(
        pb.InvalidateRequest(
            tags=[pb.Tag(organization_id=shop.organization_id, name=tag) for tag in tags]
        )
    )


@pytest.fixture
async def near(cache: Cache, shared_database: Database, tmp_path: Path) -> AsyncIterator[Cache]:
    """Run a second process over the same Redis, which keeps answers itself."""
    redis_url = (cache.process.environ or {})["CHAIRSIDE_CACHE_REDIS_URL"]
    variables = {"CHAIRSIDE_CACHE_MEMORY_BYTES": "1000000"}
    async with start_cache(shared_database.cache_url, redis_url, tmp_path, variables) as running:
        yield running


async def test_an_entry_that_is_not_there_and_one_that_is(cache: Cache, shop: Shop) -> None:
    """Before the first read it is absent; after it all guards have the entry's nonces."""
    absent, state = await _explain(cache, shop)
    assert absent.reason == pb.REASON_MISS_ABSENT
    assert (absent.query, absent.source) == ("availability", types_pb2.SOURCE_DATABASE)
    assert not absent.HasField("age")
    assert not absent.size
    assert state.lease_held
    assert all((state.epoch, state.era, state.database, state.store, state.member_id))

    await cache.stub.GetAvailability(_day(shop))
    hit, _ = await _explain(cache, shop)
    assert (hit.reason, hit.source) == (pb.REASON_HIT_REDIS, types_pb2.SOURCE_REDIS)
    assert [hit.key.encode()] == await cache.entries(shop.organization_id)
    assert f":{state.era}:" in hit.key
    barber, service = shop.barbers[0], shop.services[0]
    assert [tag.name for tag in hit.tags] == [
        "organization",
        f"day:{barber}:{MONDAY}",
        f"hours:barber:{barber}",
        f"barber:{barber}",
        f"service:{service}",
    ]
    assert all(len(tag.guard_nonce) == 32 for tag in hit.tags)
    assert [tag.guard_nonce for tag in hit.tags] == [tag.entry_nonce for tag in hit.tags]
    assert hit.snapshot.count(":") == 2
    assert hit.size > 0
    assert 0 <= hit.age.ToMicroseconds() < 60_000_000


async def test_guards_that_are_gone_or_changed_are_named(cache: Cache, shop: Shop) -> None:
    """An invalidated tag is gone; once another entry has filled it, it has changed."""
    await cache.stub.GetAvailability(_day(shop))
    barber = f"barber:{shop.barbers[0]}"
    await _invalidate(cache, shop, barber)
    gone, _ = await _explain(cache, shop)
    assert (gone.reason, list(gone.reason_tags)) == (pb.REASON_MISS_GUARD_GONE, [barber])
    assert barber in gone.explanation
    assert [tag.name for tag in gone.tags if not tag.guard_nonce] == [barber]
    assert all(tag.entry_nonce for tag in gone.tags)

    tuesday = MONDAY + timedelta(days=1)
    await cache.availability(shop.organization_id, shop.services[0], shop.barbers, tuesday)
    changed, _ = await _explain(cache, shop)
    assert (changed.reason, list(changed.reason_tags)) == (pb.REASON_MISS_GUARD_CHANGED, [barber])
    assert barber in changed.explanation
    different = [tag.name for tag in changed.tags if tag.guard_nonce != tag.entry_nonce]
    assert different == [barber]
    assert changed.source == types_pb2.SOURCE_DATABASE


async def test_staleness_is_allowed_only_while_it_is_young_enough(cache: Cache, shop: Shop) -> None:
    """An invalidated entry will do for a minute's staleness, and not for a microsecond's."""
    await cache.stub.GetAvailability(_day(shop))
    await _invalidate(cache, shop, "organization")
    entry, _ = await _explain(cache, shop, max_staleness={"seconds": 60})
    assert (entry.reason, entry.source) == (pb.REASON_STALE_ALLOWED, types_pb2.SOURCE_REDIS)
    assert await _reason(cache, shop, max_staleness={"nanos": 1000}) == "REASON_MISS_GUARD_GONE"
    # The read itself would refresh it behind; an explanation does not.
    assert await _reason(cache, shop) == "REASON_MISS_GUARD_GONE"


async def test_an_entry_that_cannot_be_read(cache: Cache, shop: Shop) -> None:
    """One flipped bit is told as such, and what cannot be read is not told."""
    await cache.stub.GetAvailability(_day(shop))
    (key,) = await cache.entries(shop.organization_id)
    raw = await cache.redis.get(key)
    await cache.redis.set(key, raw[:-1] + bytes((raw[-1] ^ 1,)))
    entry, _ = await _explain(cache, shop)
    assert entry.reason == pb.REASON_MISS_UNREADABLE
    assert not entry.snapshot
    assert all(tag.guard_nonce and not tag.entry_nonce for tag in entry.tags)
    await cache.redis.set(key, raw)
    assert await _reason(cache, shop) == "REASON_HIT_REDIS"


async def test_what_the_read_demands_decides(cache: Cache, shop: Shop) -> None:
    """A token to come misses, a past one hits, a foreign one and none at all bypass."""
    await cache.stub.GetAvailability(_day(shop))
    _, state = await _explain(cache, shop)

    async def with_token(database: str, xid: int) -> str:
        token = transaction_token(database, xid, applied=False)
        return await _reason(cache, shop, at_least_as_fresh=token)

    assert await with_token(state.database, 2**40) == "REASON_MISS_TOKEN"
    assert await with_token(state.database, 1) == "REASON_HIT_REDIS"
    assert await with_token("1-1", 1) == "REASON_BYPASS_FOREIGN_TOKEN"
    full = "REASON_BYPASS_FULLY_CONSISTENT"
    assert await _reason(cache, shop, fully_consistent=True) == full
    assert await _reason(cache, shop, at_least_as_fresh=b"no token") == full


async def test_an_answer_kept_in_memory_is_near(near: Cache, shop: Shop) -> None:
    """It hits near once this process has read it; what the token demands still holds."""
    await near.stub.GetAvailability(_day(shop))
    entry, state = await _explain(near, shop)
    assert (entry.reason, entry.source) == (pb.REASON_HIT_NEAR, types_pb2.SOURCE_NEAR)
    assert entry.snapshot
    assert entry.size > 0
    token = transaction_token(state.database, 2**40, applied=False)
    assert await _reason(near, shop, at_least_as_fresh=token) == "REASON_MISS_TOKEN"
    await _invalidate(near, shop, "organization")
    assert await _reason(near, shop) == "REASON_MISS_GUARD_GONE"


async def test_without_a_lease_nothing_hits(
    near: Cache, shop: Shop, connection: asyncpg.Connection
) -> None:
    """While nobody can read the authority the lease runs out; what may be stale still is."""
    await near.stub.GetAvailability(_day(shop))
    lock = connection.transaction()
    await lock.start()
    await connection.execute("LOCK TABLE members IN ACCESS EXCLUSIVE MODE")
    try:

        async def expired() -> bool:
            return await _reason(near, shop) == "REASON_NO_LEASE"

        await eventually(expired)
        entry, state = await _explain(near, shop)
        assert not state.lease_held
        assert state.epoch, "what it last knew"
        assert entry.source == types_pb2.SOURCE_DATABASE
        stale = await _reason(near, shop, max_staleness={"seconds": 60})
        assert stale == "REASON_STALE_ALLOWED"
    finally:
        await lock.rollback()

    async def again() -> bool:
        return await _reason(near, shop) in {"REASON_HIT_NEAR", "REASON_HIT_REDIS"}

    await eventually(again)


async def test_a_redis_that_is_away_and_a_cache_that_is_off(
    database: Database, own_valkey: ValkeyServer, tmp_path: Path
) -> None:
    """First Redis does not answer, then a mutation has the cache turned off; all recovers."""
    owner = await asyncpg.connect(database.url)
    shop = await open_shop(owner)
    patience = {"CHAIRSIDE_CACHE_REDIS_TIMEOUT": "0.1"}
    async with start_cache(database.cache_url, own_valkey.url, tmp_path, patience) as cache:
        await cache.stub.GetAvailability(_day(shop))
        assert await _reason(cache, shop) == "REASON_HIT_REDIS"
        own_valkey.signal(signal.SIGSTOP)
        try:
            assert await _reason(cache, shop) == "REASON_STORE_UNAVAILABLE"
            await _invalidate(cache, shop, "organization")
            _, state = await _explain(cache, shop)
            assert not state.lease_held
            assert not state.epoch
            assert await _reason(cache, shop) == "REASON_CACHE_OFF"
        finally:
            own_valkey.signal(signal.SIGCONT)

        async def on_again() -> bool:
            return await _reason(cache, shop) == "REASON_MISS_ABSENT"

        await eventually(on_again, seconds=10)
    await owner.close()


def _reads(shop: Shop, client_id: int) -> dict[str, dict[str, Any]]:
    """Give a request of each read, by its field of ExplainRequest."""
    monday = {"start_date": to_date(MONDAY), "end_date": to_date(MONDAY + timedelta(days=3))}
    barber = {"barber_id": shop.barbers[0]}
    return {
        "get_availability": {"service_id": shop.services[0]},
        "get_analytics": monday | {"revenue": analytics_pb2.RevenueOptions()},
        "get_schedule": barber,
        "get_booked_slots": barber,
        "get_user_data": {"client_id": client_id},
        "list_appointments": {},
        "list_clients": {"query": "a: strange, text"},
        "list_services": {},
        "list_barbers": {},
    }


READS = [field.name for field in pb.ExplainRequest.DESCRIPTOR.fields]


@pytest.mark.parametrize("name", READS)
async def test_every_read_is_explained_by_the_entries_that_it_stores(
    cache: Cache, shop: Shop, name: str
) -> None:
    """The keys explained are those that the read itself then stores; all hit afterwards."""
    client_id = await shop.connection.fetchval(
        "INSERT INTO clients (organization_id, name) VALUES ($1, 'C') RETURNING id",
        shop.organization_id,
    )
    fields = {"organization_id": shop.organization_id, **_reads(shop, client_id)[name]}
    request = pb.ExplainRequest(**{name: fields})
    before = await cache.stub.Explain(request)
    assert {one.reason for one in before.entries} == {pb.REASON_MISS_ABSENT}
    assert await cache.redis.keys(f"chairside:{{{shop.organization_id}}}:*") == []

    method = name.title().replace("_", "")
    await getattr(cache.stub, method)(getattr(request, name))
    after = await cache.stub.Explain(request)
    stored = await cache.entries(shop.organization_id)
    assert sorted(one.key.encode() for one in after.entries) == stored
    assert [one.key for one in after.entries] == [one.key for one in before.entries]
    assert {one.reason for one in after.entries} == {pb.REASON_HIT_REDIS}
    assert after.entries_total == len(stored)


async def test_it_changes_nothing(cache: Cache, shop: Shop) -> None:
    """No entry, guard or lifetime in Redis, no count and no outbox row is another after it."""
    await cache.stub.GetAvailability(_day(shop))
    await _invalidate(cache, shop, f"service:{shop.services[0]}")

    async def everything() -> dict[bytes, tuple[bytes, int]]:
        keys = await cache.redis.keys("*")
        return {
            key: (await cache.redis.get(key), await cache.redis.expiretime(key)) for key in keys
        }

    async def counted() -> Any:
        stats = await cache.stub.GetStats(pb.GetStatsRequest())
        own = await cache.stub.GetStats(pb.GetStatsRequest(organization_id=shop.organization_id))
        return stats.queries, own.queries

    stored, counts = await everything(), await counted()
    for consistency in ({}, {"max_staleness": {"seconds": 60}}, {"fully_consistent": True}):
        await _explain(cache, shop, **consistency)
    listed = pb.ListBarbersRequest(organization_id=shop.organization_id)
    await cache.stub.Explain(pb.ExplainRequest(list_barbers=listed))
    assert await everything() == stored
    assert await counted() == counts
    # The control: the read does change them.
    assert source(await cache.stub.GetAvailability(_day(shop))) == "DATABASE"
    assert await everything() != stored
    assert await counted() != counts


async def test_more_than_a_thousand_entries_are_counted(
    cache: Cache, connection: asyncpg.Connection
) -> None:
    """The first thousand are told, and how many there are."""
    shop = await open_shop(connection, barbers=17)
    request = pb.GetAvailabilityRequest(
        organization_id=shop.organization_id,
        service_id=shop.services[0],
        start_date=to_date(MONDAY),
        end_date=to_date(MONDAY + timedelta(days=60)),
    )
    answer = await cache.stub.Explain(pb.ExplainRequest(get_availability=request))
    assert len(answer.entries) == 1000
    assert answer.entries_total == 1 + 17 * 60, "the roster and each barber's days"
    assert len({one.key for one in answer.entries}) == 1000


async def test_its_errors_are_those_of_the_read(cache: Cache, shop: Shop) -> None:
    """What is wrong or not there is told as the read tells it."""
    error = await refused(cache.stub.Explain(pb.ExplainRequest()))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    (violation,) = details_of(error)["BadRequest"].field_violations  # type: ignore[attr-defined]
    assert violation.field == "read"

    organization = shop.organization_id
    schedule = pb.GetScheduleRequest(organization_id=organization, barber_id=10**12)
    analytics = pb.GetAnalyticsRequest(organization_id=organization, barber_id=-1)
    page = pb.ListClientsRequest(organization_id=0, page_size=-1)
    slots = _day(shop)
    slots.barber_ids[:] = [10**12]
    for method, name, request in (
        ("GetSchedule", "get_schedule", schedule),
        ("GetAnalytics", "get_analytics", analytics),
        ("ListClients", "list_clients", page),
        ("GetAvailability", "get_availability", slots),
    ):
        own = await refused(getattr(cache.stub, method)(request))
        explained = await refused(cache.stub.Explain(pb.ExplainRequest(**{name: request})))
        assert explained.code() == own.code()
        assert explained.details() == own.details()
        assert details_of(explained) == details_of(own)
