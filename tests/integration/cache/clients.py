"""A shop's clients, read through the Python client while they are added to, and judged."""

import asyncio
from dataclasses import dataclass, field
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from cache_service.client import CacheClient
from chairside.cache.v1 import cache_service_pb2 as pb
from service_kit.clock import elapsed
from tests.integration.cache.pair import Pair, everything_of
from tests.integration.cache.running import Cache, source
from tests.integration.cache.shops import Shop
from tests.support.waiting import eventually

__all__ = [
    "LEASE",
    "STALENESS",
    "WRITES",
    "Reader",
    "add_client",
    "becomes_near",
    "clients_of",
    "handled",
]

LEASE = 1.0
STALENESS = 30
WRITES = 60


def clients_of(shop: Shop, *, staleness: int = STALENESS) -> pb.ListClientsRequest:
    """Ask for the shop's clients, allowing staleness."""
    request = pb.ListClientsRequest(organization_id=shop.organization_id, page_size=500)
    if staleness:
        request.consistency.max_staleness.seconds = staleness
    return request


async def add_client(shop: Shop, teller: Cache) -> None:
    """Add a client, and have that acknowledged."""
    async with shop.acknowledged():
        await shop.connection.execute(
            "INSERT INTO clients (organization_id, name) VALUES ($1, 'C')", shop.organization_id
        )
    await teller.stub.Invalidate(everything_of(shop))


async def becomes_near(client: CacheClient, shop: Shop) -> None:
    """Ask until the client answers itself."""

    async def near() -> bool:
        return source(await client.list_clients(clients_of(shop))) == "NEAR" and len(client._near)

    await eventually(near, seconds=10)


def handled(cache: Cache, *methods: str) -> int:
    """Return how many calls of these a process has answered; else of reads, alone or in batches."""
    with urlopen(f"http://127.0.0.1:{cache.process.metrics_port}/metrics") as answer:
        text = answer.read().decode()
    return sum(
        int(sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "grpc_server_handled_total"
        and sample.labels["grpc_method"] in (methods or ("BatchGet", "ListClients"))
    )


@dataclass
class Reader:
    """Reads again and again, and judges each answer by what was acknowledged before."""

    client: CacheClient
    shop: Shop
    acknowledged: list[float] = field(default_factory=list)
    asked: int = 0
    too_old: list[str] = field(default_factory=list)

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            began = elapsed()
            answer = await self.client.list_clients(clients_of(self.shop))
            self.asked += 1
            # Served now or a little later: not older than what was acknowledged a lease before.
            needed = sum(at < began - LEASE for at in self.acknowledged)
            if len(answer.clients) < needed and not answer.cache_info.stale:
                self.too_old.append(f"{len(answer.clients)} of {needed} by {source(answer)}")
            await asyncio.sleep(0)

    async def against(self, pair: Pair) -> None:
        """Let changes be acknowledged by both processes in turn, meanwhile."""
        reading = asyncio.create_task(self.run())
        try:
            for number in range(WRITES):
                await add_client(self.shop, pair.both[number % 2])
                self.acknowledged.append(elapsed())
                await asyncio.sleep(0.05)  # a change now and then, so that there is what hits
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
