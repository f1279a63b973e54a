"""What the cache service makes of the database's errors."""

from typing import NoReturn

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from cache_service.coherence.authority import AuthorityUnavailableError
from cache_service.database import _translated
from cache_service.stores.authority import PostgresAuthority
from service_kit.errors import Unavailable


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        (asyncpg.ConnectionDoesNotExistError, Unavailable),
        (asyncpg.AdminShutdownError, Unavailable),
        (asyncpg.TooManyConnectionsError, Unavailable),
        (asyncpg.InvalidPasswordError, Unavailable),
        (asyncpg.InvalidCatalogNameError, Unavailable),
        (asyncpg.UndefinedTableError, DBAPIError),
    ],
)
async def test_a_lost_connection_is_no_internal_error(
    fault: type[asyncpg.PostgresError], seen: type[Exception]
) -> None:
    """A connection cut in the middle of a statement may simply be asked again; a bug may not."""
    error = DBAPIError("SELECT 1", None, fault("of the server"))
    with pytest.raises(seen):
        async with _translated():
            raise error


async def test_a_connection_that_is_lost_while_it_is_set_up_is_no_internal_error() -> None:
    """SQLAlchemy lets the driver's own errors of that through."""
    error = asyncpg.InterfaceError("connection is closed")
    with pytest.raises(Unavailable):
        async with _translated():
            raise error


async def _lost() -> NoReturn:
    message = "connection is closed"
    raise asyncpg.InterfaceError(message)


async def test_the_authority_is_away_while_no_connection_can_be_set_up() -> None:
    """What renews the lease goes on trying, whichever way it asks."""
    engine = create_async_engine("postgresql+asyncpg://", async_creator=_lost)
    authority = PostgresAuthority(engine, 1.0)
    with pytest.raises(AuthorityUnavailableError):
        await authority.look()
    with pytest.raises(AuthorityUnavailableError):
        await authority.register("me", None)
