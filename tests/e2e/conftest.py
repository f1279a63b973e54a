"""A running system with a shop as `make run` makes it up: organization 1."""

import sys
from collections.abc import AsyncIterator

import pytest

from devstack.services import environment
from devstack.valkey import ValkeyServer
from tests.conftest import NewDatabase, NewSystem
from tests.e2e.programs import run
from tests.e2e.secured import Secured, start_secured
from tests.integration.cache.test_redis_secured import RULES
from tests.support.stack import System

WORKERS = 2
"""Of the cache service: as on a machine of two cores."""


@pytest.fixture(scope="package")
async def town(new_system: NewSystem, new_database: NewDatabase) -> AsyncIterator[System]:
    """Run both services over a generated shop; for tests that kill nothing."""
    async with new_database() as database:
        made = await run(
            [sys.executable, "-m", "booking_service", "generate"],
            environment({"CHAIRSIDE_BOOKING_DATABASE_URL": database.url}),
        )
        assert made.code == 0, made.err
        variables = {
            "CHAIRSIDE_CACHE_WORKERS": str(WORKERS),
            "CHAIRSIDE_BOOKING_CACHE_TIMEOUT": "20",  # a busy machine is no outage
        }
        async with new_system(variables, database=database) as system:
            yield system


@pytest.fixture(scope="module")
async def secured(
    new_database: NewDatabase, valkey: ValkeyServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Secured]:
    """Start both services with all that docs/security.md has, and two shops."""
    directory = tmp_path_factory.mktemp("secured")
    async with (
        new_database() as database,
        start_secured(database, valkey, RULES, directory) as running,
    ):
        assert running.mine["organization"] == "1", "whom the callers file names"
        yield running
