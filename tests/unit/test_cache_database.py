"""What the cache service makes of the database's errors."""

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError

from cache_service.database import _translated
from service_kit.errors import Unavailable


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        (asyncpg.ConnectionDoesNotExistError, Unavailable),
        (asyncpg.AdminShutdownError, Unavailable),
        (asyncpg.TooManyConnectionsError, Unavailable),
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
