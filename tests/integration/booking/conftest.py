"""A house and a shop for each test."""

from collections.abc import AsyncIterator

import pytest

from tests.conftest import NewDatabase
from tests.integration.booking.house import House, Shop, open_house, open_shop
from tests.support.stack import Database


@pytest.fixture
async def house(database: Database) -> AsyncIterator[House]:
    """Serve over a fresh database."""
    async with open_house(database) as opened:
        yield opened


@pytest.fixture(scope="module")
async def bare_house(new_database: NewDatabase) -> AsyncIterator[House]:
    """Serve over one empty database for a whole module, of tests that change nothing."""
    async with new_database() as database, open_house(database) as opened:
        yield opened


@pytest.fixture
async def shop(house: House) -> Shop:
    """Open a shop with two barbers."""
    return await open_shop(house)
