"""What the fixtures of `tests/conftest.py` hand out."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

from devstack import databases
from devstack.postgres import PostgresServer
from devstack.services import ROOT, ServiceProcess
from devstack.valkey import ValkeyServer

__all__ = ["ROLE_PASSWORD", "Database", "System", "start_system"]

ROLE_PASSWORD = "a secret that must not cross the wire"  # noqa: S105 - of a throwaway server


@dataclass(frozen=True, slots=True)
class Database:
    """A migrated database of one's own: URLs of the owner and of both services' roles."""

    name: str
    url: str
    booking_url: str
    cache_url: str


@dataclass(slots=True)
class System:
    """Both services as real processes, with channels to them."""

    cache: ServiceProcess
    booking: ServiceProcess
    cache_channel: grpc.aio.Channel
    booking_channel: grpc.aio.Channel
    database: Database
    postgres: PostgresServer
    valkey: ValkeyServer


def database_of(server: PostgresServer, name: str) -> Database:
    """Describe a database that exists."""
    url = server.url(name)
    return Database(
        name,
        url,
        databases.role_url(url, databases.BOOKING_ROLE, ROLE_PASSWORD),
        databases.role_url(url, databases.CACHE_ROLE, ROLE_PASSWORD),
    )


@asynccontextmanager
async def start_system(
    database: Database,
    postgres: PostgresServer,
    valkey: ValkeyServer,
    logs: Path,
    variables: Mapping[str, str] | None = None,
    *,
    root: Path = ROOT,
) -> AsyncIterator[System]:
    """Start both services of `root` on free ports; `variables` are further CHAIRSIDE_ ones."""
    more = dict(variables or {})
    cache = ServiceProcess(
        "cache_service",
        {
            "CHAIRSIDE_CACHE_LISTEN": "127.0.0.1:0",
            "CHAIRSIDE_CACHE_METRICS_LISTEN": "127.0.0.1:0",
            "CHAIRSIDE_CACHE_DATABASE_URL": database.cache_url,
            "CHAIRSIDE_CACHE_REDIS_URL": valkey.url,
            "CHAIRSIDE_CACHE_WORKERS": "1",  # one process to kill or to freeze
            # A loaded machine is not what these tests are about, nor is any of a silent Redis.
            "CHAIRSIDE_CACHE_REDIS_TIMEOUT": "2",
            **more,
        },
        logs,
        root,
    )
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(cache)
        booking = ServiceProcess(
            "booking_service",
            {
                "CHAIRSIDE_BOOKING_LISTEN": "127.0.0.1:0",
                "CHAIRSIDE_BOOKING_METRICS_LISTEN": "127.0.0.1:0",
                "CHAIRSIDE_BOOKING_DATABASE_URL": database.booking_url,
                "CHAIRSIDE_BOOKING_CACHE_TARGET": cache.address,
                **more,
            },
            logs,
            root,
        )
        await stack.enter_async_context(booking)
        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(process.address))
            for process in (cache, booking)
        ]
        yield System(cache, booking, *channels, database, postgres, valkey)
