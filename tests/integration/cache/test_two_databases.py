"""Several cache services over one Redis, each of a database of its own."""

from datetime import date
from pathlib import Path

import asyncpg

from chairside.cache.v1 import cache_service_pb2 as pb
from tests.integration.cache.running import Cache, source, start_cache, starts
from tests.integration.cache.shops import Shop, open_shop
from tests.support.stack import Database
from tests.support.waiting import eventually

MONDAY = date(2025, 3, 10)
_NEXT = "SELECT setval(pg_get_serial_sequence('{}', 'id'), $1, false)"


async def _twin_of(shop: Shop, connection: asyncpg.Connection) -> Shop:
    """Open a shop with the very ids of another database's, and other hours."""
    ids = shop.organization_id, shop.barbers[0], shop.services[0]
    for table, number in zip(("organizations", "barbers", "services"), ids, strict=True):
        await connection.fetchval(_NEXT.format(table), number)
    twin = await open_shop(connection, hours="{[720,840)}")
    assert (twin.organization_id, twin.barbers[0], twin.services[0]) == ids
    return twin


async def test_databases_that_share_a_redis_share_nothing_in_it(
    cache: Cache, shop: Shop, database: Database, tmp_path: Path
) -> None:
    """The same ids are other shops: each is served its own, and invalidated alone."""
    connection = await asyncpg.connect(database.url)
    twin = await _twin_of(shop, connection)
    ask = shop.organization_id, shop.services[0], shop.barbers, MONDAY
    async with start_cache(database.cache_url, cache.redis_url, tmp_path) as other:

        async def both_hit() -> bool:
            answers = [await one.availability(*ask) for one in (cache, other)]
            hours = [len(starts(answer)[shop.barbers[0]]) for answer in answers]
            assert hours == [8, 2]
            return [source(answer) for answer in answers] == ["REDIS", "REDIS"]

        await eventually(both_hit, seconds=20)
        assert len(await cache.entries(shop.organization_id)) == 2
        async with twin.acknowledged():
            await twin.book(twin.at("2025-03-10 12:00"))
        scope = pb.Scope(organization_id=twin.organization_id)
        await other.stub.Invalidate(pb.InvalidateRequest(scope=scope))
        answer = await other.availability(*ask)
        assert (source(answer), len(starts(answer)[shop.barbers[0]])) == ("DATABASE", 1)
        assert source(await cache.availability(*ask)) == "REDIS"
    await connection.close()
