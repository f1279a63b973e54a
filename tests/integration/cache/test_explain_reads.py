"""Explain of every read: which entries it tells, its errors, and that it changes nothing."""

from datetime import timedelta
from typing import Any

import asyncpg
import grpc
import pytest

from chairside.cache.v1 import cache_service_pb2 as pb
from service_kit.values import to_date
from tests.integration.cache.each_read import each_read
from tests.integration.cache.explaining import MONDAY, day_of, explain, invalidate
from tests.integration.cache.running import Cache, refused, source
from tests.integration.cache.shops import Shop, open_shop
from tests.support.grpc_server import details_of

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
    await shop.relayed()
    request = pb.ExplainRequest(**{name: each_read(shop, client_id)[name]})
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
    await shop.relayed()
    await cache.stub.GetAvailability(day_of(shop))
    await invalidate(cache, shop, f"service:{shop.services[0]}")

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
        await explain(cache, shop, **consistency)
    listed = pb.ListBarbersRequest(organization_id=shop.organization_id)
    await cache.stub.Explain(pb.ExplainRequest(list_barbers=listed))
    assert await everything() == stored
    assert await counted() == counts
    # The control: the read does change them.
    assert source(await cache.stub.GetAvailability(day_of(shop))) == "DATABASE"
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
    slots = day_of(shop)
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
