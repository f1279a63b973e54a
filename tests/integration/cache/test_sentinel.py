"""The service where Sentinel says which Redis is the primary."""

import asyncio
from datetime import date
from pathlib import Path

import asyncpg
import pytest
import redis.asyncio
import trustme

from cache_service.coherence.ports import StoreUnavailableError
from cache_service.stores.redis.address import Fixed, Tls
from cache_service.stores.redis.sentinel import locate_by
from chairside.cache.v1 import cache_service_pb2 as pb
from devstack.ports import free_port
from tests.integration.cache.running import source, start_cache, starts
from tests.integration.cache.shops import open_shop
from tests.support.certificates import issue
from tests.support.stack import Database
from tests.support.tls_proxy import tls_before
from tests.support.valkey_sentinels import watched
from tests.support.waiting import eventually

MONDAY = date(2025, 3, 10)


async def test_a_failover_by_sentinel_costs_misses_and_nothing_else(
    database: Database, tmp_path: Path
) -> None:
    """The replica that follows is used by itself, and brings back nothing that was deleted."""
    connection = await asyncpg.connect(database.url)
    shop = await open_shop(connection)
    ask = shop.organization_id, shop.services[0], shop.barbers, MONDAY
    async with (
        watched(tmp_path) as watching,
        redis.asyncio.from_url(watching.replica.url) as replica,
        redis.asyncio.from_url(watching.primary.url) as primary,
    ):
        variables = {
            "CHAIRSIDE_CACHE_REDIS_TIMEOUT": "0.25",
            "CHAIRSIDE_CACHE_REDIS_URL": watching.url,
        }
        async with start_cache(
            database.cache_url, watching.primary.url, tmp_path, variables
        ) as cache:
            await cache.availability(*ask)
            assert source(await cache.availability(*ask)) == "REDIS"
            await primary.wait(1, 5000)
            guards = await replica.keys("*:guard:*")
            assert guards, "the replica has what would bring the old answer back"
            # From here on the replica hears nothing more, as one that lags does.
            await replica.config_set("masterauth", "a password that there is not")
            await primary.client_kill_filter(_type="replica")
            ten = shop.at("2025-03-10 10:00")
            await shop.book(ten)
            scope = pb.Scope(organization_id=shop.organization_id)
            await cache.stub.Invalidate(pb.InvalidateRequest(scope=scope))
            await watching.primary.kill()
            # Sentinels that were stopped for two seconds do nothing for the next thirty (TILT).
            await eventually(watching.failed_over, seconds=60)
            # Its clients were cut when it was promoted.
            async with redis.asyncio.from_url(watching.replica.url) as promoted:
                assert set(guards) <= set(await promoted.keys("*:guard:*")), "they are all back"

            async def hit_again() -> bool:
                answer = await cache.availability(*ask)
                assert ten not in starts(answer)[shop.barbers[0]]
                return source(answer) == "REDIS"

            await eventually(hit_again, seconds=10)
    await connection.close()


async def test_sentinels_that_do_not_know_are_no_address(tmp_path: Path) -> None:
    """One that is away, knows another name or is not trusted only says that the store is away."""
    async with watched(tmp_path) as watching:
        hosts = watching.url.split("//")[1].split("/")[0]
        nobody = f"127.0.0.1:{free_port()}"
        for url, found in (
            (f"redis+sentinel://{nobody},{hosts}/shop", True),
            (f"redis+sentinel://{nobody},{hosts}/other", False),
            (f"redis+sentinel://{nobody}/shop", False),
        ):
            locate = locate_by(url)
            try:
                assert (await locate()).port == watching.primary.port
                assert found
            except StoreUnavailableError:
                assert not found
            await locate.close()
        authority = trustme.CA()
        shown = issue(authority, tmp_path / "shown", "127.0.0.1")
        other = issue(trustme.CA(), tmp_path / "other", "127.0.0.1")
        async with tls_before(watching.sentinels[0].port, shown) as port:
            for ca, found in ((shown.ca, True), (other.ca, False)):
                locate = locate_by(f"rediss+sentinel://127.0.0.1:{port}/shop?ssl_ca_certs={ca}")
                try:
                    address = await locate()
                    assert (address.port, address.tls) == (watching.primary.port, Tls(ca))
                    assert found
                except StoreUnavailableError:
                    assert not found
                await locate.close()


async def test_the_setting_names_sentinels_or_a_server() -> None:
    """User, password, database and TLS are the primary's; the port of a sentinel is 26379."""
    plain = locate_by("redis://somewhere:7000/2")
    assert isinstance(plain, Fixed)
    assert (await plain()).port == 7000
    for wrong in ("redis+sentinel://one,two", "redis+sentinel://one:x/shop"):
        with pytest.raises(ValueError, match="must be"):
            locate_by(wrong)
    locate = locate_by("rediss+sentinel://me:secret@one,two:7001/shop/3")
    await asyncio.gather(locate.close())
    assert not locate.fixed
