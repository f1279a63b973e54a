"""Start everything in order, watch it, and stop it in the opposite order."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass

from rich.console import Console

from devstack import databases
from devstack.children import Child
from devstack.loading import Loaded, load
from devstack.options import Options
from devstack.postgres import PostgresServer
from devstack.services import ServiceProcess
from devstack.valkey import ValkeyServer

__all__ = ["Addresses", "Stack", "start"]

_ROLE_PASSWORD = "chairside"  # noqa: S105 - of a server that listens on the loopback only
_DATABASE = "chairside"
_VALKEY_PAUSE = 5.0


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where everything listens; written to `state.json` of the data directory, too."""

    cache: str
    booking: str
    cache_metrics: str
    booking_metrics: str
    postgres_url: str
    redis_url: str


@dataclass(frozen=True, slots=True)
class Stack:
    """The running system. `valkey` is None if the Redis is not ours."""

    addresses: Addresses
    loaded: Loaded
    vital: tuple[Child, ...]
    valkey: ValkeyServer | None

    async def watch(self, console: Console) -> None:
        """Wait until a child ends that the system cannot do without; raises ChildError.

        Valkey is not one of them: it is started again after a while, and until then the
        services show that they answer without it.
        """
        ends = {asyncio.create_task(child.wait()): child for child in self._children()}
        try:
            while True:
                done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    child = ends.pop(task)
                    if child is not self.valkey:
                        what = f"ended with code {task.result()}"
                        raise child.failure(what)
                    console.print(f"[yellow]Valkey ended; starting it in {_VALKEY_PAUSE:g} s[/]")
                    await asyncio.sleep(_VALKEY_PAUSE)
                    await child.start()
                    console.print("[green]Valkey is back[/]")
                    ends[asyncio.create_task(child.wait())] = child
        finally:
            for task in ends:
                task.cancel()

    def _children(self) -> tuple[Child, ...]:
        return self.vital if self.valkey is None else (*self.vital, self.valkey)


@asynccontextmanager
async def start(options: Options, console: Console) -> AsyncIterator[Stack]:
    """Run the system while the context lasts; ChildError names what did not start, and why."""
    options.data.mkdir(parents=True, exist_ok=True)
    logs = options.data / "logs"
    async with AsyncExitStack() as stack:
        vital: list[Child] = []
        admin = options.postgres_url
        if not admin:
            with _step(console, "Postgres"):
                postgres = PostgresServer((options.shop_data / "postgres").resolve())
                vital.append(await stack.enter_async_context(postgres))
            admin = postgres.url()
        redis = options.redis_url
        valkey = None
        if not redis:
            with _step(console, "Valkey"):
                valkey = ValkeyServer((options.data / "valkey").resolve())
                await stack.enter_async_context(valkey)
            redis = valkey.url
        owner = databases.database_url(admin, _DATABASE)
        with _step(console, "Migrations"):
            await databases.create_database(admin, _DATABASE)
            await databases.migrate(owner, _ROLE_PASSWORD)
        # No spinner: the loader draws its own bar.
        loaded = await load(owner, options)
        console.print(f"[green]ok[/] Data: {loaded.source}")
        shared = {}
        if loaded.clock_start and not options.real_clock:
            shared["CHAIRSIDE_CLOCK_START"] = loaded.clock_start
        cache = ServiceProcess(
            "cache_service",
            {
                "CHAIRSIDE_CACHE_LISTEN": options.cache,
                "CHAIRSIDE_CACHE_METRICS_LISTEN": options.cache_metrics,
                "CHAIRSIDE_CACHE_DATABASE_URL": databases.role_url(
                    owner, databases.CACHE_ROLE, _ROLE_PASSWORD
                ),
                "CHAIRSIDE_CACHE_REDIS_URL": redis,
                **shared,
            },
            logs,
        )
        with _step(console, "Cache service"):
            vital.append(await stack.enter_async_context(cache))
        booking = ServiceProcess(
            "booking_service",
            {
                "CHAIRSIDE_BOOKING_LISTEN": options.booking,
                "CHAIRSIDE_BOOKING_METRICS_LISTEN": options.booking_metrics,
                "CHAIRSIDE_BOOKING_DATABASE_URL": databases.role_url(
                    owner, databases.BOOKING_ROLE, _ROLE_PASSWORD
                ),
                "CHAIRSIDE_BOOKING_CACHE_TARGET": cache.address,
                **shared,
            },
            logs,
        )
        with _step(console, "Booking service"):
            vital.append(await stack.enter_async_context(booking))
        addresses = Addresses(
            cache.address,
            booking.address,
            f"127.0.0.1:{cache.metrics_port}",
            f"127.0.0.1:{booking.metrics_port}",
            owner,
            redis,
        )
        state = options.data / "state.json"
        state.write_text(json.dumps(asdict(addresses), indent=2))
        stack.callback(state.unlink, missing_ok=True)
        yield Stack(addresses, loaded, tuple(vital), valkey)


@contextmanager
def _step(console: Console, name: str) -> Iterator[None]:
    began = time.monotonic()
    with console.status(f"{name} ..."):
        yield
    console.print(f"[green]ok[/] {name} ({time.monotonic() - began:.1f} s)")
