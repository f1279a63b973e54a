"""Fixtures of real servers, started once and shared.

- `postgres` (session): a `PostgresServer` of its own, without fsync.
- `database` (function): a fresh migrated `Database` (url, booking_url, cache_url), a copy
  of a template and so quick; empty of rows. `new_database` (session) makes more of them,
  for a module's own fixture: `async with new_database() as database: ...`.
- `valkey` (session): the shared `ValkeyServer`; not to be killed by a test.
  `redis_url` (function): its URL, everything flushed.
- `own_valkey` (function): a `ValkeyServer` to kill, stop and restart.
- `system` (module): both services as real processes (`System`) over a fresh database and a
  Valkey of their own. `new_system` (session) makes more of them, with further variables:
  `async with new_system({"CHAIRSIDE_CLOCK_START": "..."}, database=...) as system: ...`.

With CI=true a skipped test fails the run: a test that did not run is no evidence.
"""

import asyncio
import itertools
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import settings

from devstack import databases
from devstack.postgres import PostgresServer
from devstack.services import ROOT
from devstack.valkey import ValkeyServer
from tests.support.stack import ROLE_PASSWORD, Database, System, database_of, start_system

_TEMPLATE = "migrated"

settings.load_profile("ci")  # everywhere: the same examples, and none has a deadline

NewDatabase = Callable[[], AbstractAsyncContextManager[Database]]
NewSystem = Callable[..., AbstractAsyncContextManager[System]]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    """Turn a skip into a failure in CI."""
    report = yield
    if os.environ.get("CI") == "true" and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def server_directory() -> Iterator[Path]:
    """Keep the servers' files where an unprivileged Postgres may go."""
    with tempfile.TemporaryDirectory(prefix="chairside-tests-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        yield directory


@pytest.fixture(scope="session")
async def postgres(server_directory: Path) -> AsyncIterator[PostgresServer]:
    """Run one Postgres for all tests."""
    async with PostgresServer(server_directory / "postgres", durable=False) as server:
        yield server


@pytest.fixture(scope="session")
async def new_database(postgres: PostgresServer) -> NewDatabase:
    """Make the template, and hand out a function that copies it."""
    await databases.create_database(postgres.url(), _TEMPLATE)
    await databases.migrate(postgres.url(_TEMPLATE), ROLE_PASSWORD)
    numbers = itertools.count(1)
    turn = asyncio.Lock()  # only one may copy a template at a time

    @asynccontextmanager
    async def make() -> AsyncIterator[Database]:
        name = f"test_{next(numbers)}"
        async with turn:
            await databases.create_database(postgres.url(), name, template=_TEMPLATE)
        try:
            yield database_of(postgres, name)
        finally:
            await databases.drop_database(postgres.url(), name)

    return make


@pytest.fixture
async def database(new_database: NewDatabase) -> AsyncIterator[Database]:
    """Give the test a database of its own."""
    async with new_database() as fresh:
        yield fresh


@pytest.fixture(scope="session")
async def valkey(server_directory: Path) -> AsyncIterator[ValkeyServer]:
    """Run one Valkey for all tests that only use it."""
    async with ValkeyServer(server_directory / "valkey") as server:
        yield server


@pytest.fixture
async def redis_url(valkey: ValkeyServer) -> str:
    """Flush the shared Valkey and return its URL."""
    reader, writer = await asyncio.open_connection("127.0.0.1", valkey.port)
    writer.write(b"FLUSHALL\r\n")
    assert await reader.readline() == b"+OK\r\n"
    writer.close()
    await writer.wait_closed()
    return valkey.url


@pytest.fixture
async def own_valkey(tmp_path: Path) -> AsyncIterator[ValkeyServer]:
    """Run a Valkey that the test may kill."""
    async with ValkeyServer(tmp_path / "valkey") as server:
        yield server


@pytest.fixture(scope="session")
def new_system(
    postgres: PostgresServer, new_database: NewDatabase, server_directory: Path
) -> NewSystem:
    """Hand out a function that starts both services."""
    numbers = itertools.count(1)

    @asynccontextmanager
    async def make(
        variables: Mapping[str, str] | None = None,
        *,
        database: Database | None = None,
        root: Path = ROOT,
    ) -> AsyncIterator[System]:
        directory = server_directory / f"system-{next(numbers)}"
        async with AsyncExitStack() as stack:
            chosen = database or await stack.enter_async_context(new_database())
            valkey = await stack.enter_async_context(ValkeyServer(directory))
            yield await stack.enter_async_context(
                start_system(chosen, postgres, valkey, directory, variables, root=root)
            )

    return make


@pytest.fixture(scope="module")
async def system(new_system: NewSystem) -> AsyncIterator[System]:
    """Run both services for one module."""
    async with new_system() as running:
        yield running
