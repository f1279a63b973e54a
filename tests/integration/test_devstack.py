"""The servers that devstack and the tests start."""

from pathlib import Path

import asyncpg
import pytest

from devstack import databases
from devstack.children import Child, ChildError
from devstack.postgres import PostgresServer
from devstack.valkey import ValkeyServer
from tests.support.stack import Database


async def test_a_database_is_migrated_and_open_to_both_roles(database: Database) -> None:
    """Each role logs in and reads the tables, and the cache's role cannot write them."""
    for url in (database.booking_url, database.cache_url):
        connection = await asyncpg.connect(url)
        assert await connection.fetchval("SELECT count(*) FROM organizations") == 0
        if url == database.cache_url:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute("DELETE FROM organizations")
        await connection.close()
    assert await databases.is_empty(database.url)


async def test_valkey_answers_again_after_a_kill(own_valkey: ValkeyServer) -> None:
    """A killed Valkey comes back on the same port."""
    before = own_valkey.pid
    await own_valkey.kill()
    assert not own_valkey.running
    await own_valkey.restart()
    assert own_valkey.running
    assert own_valkey.pid != before


async def test_postgres_keeps_what_was_committed_over_a_kill(server_directory: Path) -> None:
    """What was committed is there after SIGKILL and a restart on the same port."""
    async with PostgresServer(server_directory / "killed", durable=False) as server:
        connection = await asyncpg.connect(server.url())
        await connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
        await connection.close()
        await server.kill()
        assert not server.running
        await server.restart()
        connection = await asyncpg.connect(server.url())
        assert await connection.fetchval("SELECT one FROM kept") == 1
        await connection.close()


async def test_a_child_that_ends_while_starting_is_named_with_its_last_lines(
    tmp_path: Path,
) -> None:
    """The error has the name, the exit code and what was printed."""
    child = Child("Prattler", ["sh", "-c", "echo last words; exit 3"], log_path=tmp_path / "log")
    async with child:
        with pytest.raises(ChildError, match=r"(?s)Prattler ended with code 3.*last words"):
            await child.until(_never, 10)


async def _never() -> bool:
    return False
