"""One running cache service for all tests that do it no harm; each has a shop of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from devstack.valkey import ValkeyServer
from tests.conftest import NewDatabase
from tests.integration.cache.pair import Pair, open_pair
from tests.integration.cache.running import Cache, start_cache
from tests.integration.cache.shops import Shop, open_shop
from tests.integration.cache.stores import ORGANIZATION, Place
from tests.support.stack import Database
from tests.support.valkey_cluster import ValkeyCluster


@pytest.fixture(scope="package")
async def shared_database(new_database: NewDatabase) -> AsyncIterator[Database]:
    """Give all of these tests one database."""
    async with new_database() as database:
        yield database


@pytest.fixture(scope="package")
async def cache(shared_database: Database, server_directory: Path) -> AsyncIterator[Cache]:
    """Run the service over that database and a Redis of its own."""
    directory = server_directory / "cache-tests"
    async with (
        ValkeyServer(directory) as valkey,
        start_cache(shared_database.cache_url, valkey.url, directory) as running,
    ):
        yield running


@pytest.fixture(scope="package")
async def near(
    cache: Cache, shared_database: Database, server_directory: Path
) -> AsyncIterator[Cache]:
    """Run a second process over the same Redis, which keeps answers itself."""
    variables = {"CHAIRSIDE_CACHE_MEMORY_BYTES": "20000000"}
    url, logs = shared_database.cache_url, server_directory / "near-tests"
    async with start_cache(url, cache.redis_url, logs, variables) as running:
        yield running


@pytest.fixture(scope="package")
async def shared_pair(new_database: NewDatabase, server_directory: Path) -> AsyncIterator[Pair]:
    """Run two processes that keep answers in memory, over a Redis that tests may break."""
    async with new_database() as database, open_pair(database, server_directory / "pair") as both:
        yield both


@pytest.fixture
async def pair(shared_pair: Pair) -> Pair:
    """Give a test both processes, healthy; it leaves them able to become so by themselves."""
    await shared_pair.healthy()
    return shared_pair


@pytest.fixture
async def held_shop(pair: Pair) -> Shop:
    """Open a shop whose Monday, with nine o'clock still free, both have in memory."""
    shop = await open_shop(pair.connection)
    for cache in pair.both:
        await pair.held(cache, shop)
    return shop


@pytest.fixture
async def connection(shared_database: Database) -> AsyncIterator[asyncpg.Connection]:
    """Connect to the database as its owner, as somebody with psql does."""
    opened = await asyncpg.connect(shared_database.url)
    try:
        yield opened
    finally:
        await opened.close()


@pytest.fixture
async def shop(connection: asyncpg.Connection) -> Shop:
    """Open a shop in New York with one barber, nine to five, slots of an hour."""
    return await open_shop(connection)


@pytest.fixture(scope="package")
async def valkey_cluster(server_directory: Path) -> AsyncIterator[ValkeyCluster]:
    """Run a cluster without replicas, not to be killed by a test."""
    async with ValkeyCluster(server_directory / "valkey-cluster") as cluster:
        yield cluster


@pytest.fixture(params=["one server", "a cluster"])
async def place(
    request: pytest.FixtureRequest, redis_url: str, valkey_cluster: ValkeyCluster
) -> Place:
    """Give a test an empty place for a store; it runs over each kind of place."""
    if request.param == "one server":
        return Place(redis_url, redis_url)
    await valkey_cluster.flush()
    server = valkey_cluster.servers[valkey_cluster.shard(ORGANIZATION)]
    return Place(valkey_cluster.url, server.url)
