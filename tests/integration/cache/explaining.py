"""Asking why one barber's day hits or misses."""

from datetime import date
from typing import Any

from chairside.cache.v1 import cache_service_pb2 as pb
from chairside.cache.v1 import types_pb2
from service_kit.values import to_date
from tests.integration.cache.running import Cache
from tests.integration.cache.shops import Shop

__all__ = ["MONDAY", "day_of", "explain", "invalidate", "reason_of"]

MONDAY = date(2025, 3, 10)


def day_of(shop: Shop, **fields: Any) -> pb.GetAvailabilityRequest:
    """Ask for one barber's Monday."""
    return pb.GetAvailabilityRequest(
        organization_id=shop.organization_id,
        service_id=shop.services[0],
        barber_ids=shop.barbers,
        start_date=to_date(MONDAY),
        **fields,
    )


async def explain(
    cache: Cache, shop: Shop, **consistency: Any
) -> tuple[pb.ExplainedEntry, pb.CacheState]:
    """Explain that day's only entry."""
    demand = types_pb2.Consistency(**consistency) if consistency else None
    request = pb.ExplainRequest(get_availability=day_of(shop, consistency=demand))
    answer = await cache.stub.Explain(request)
    (entry,) = answer.entries
    assert answer.entries_total == 1
    assert entry.explanation
    return entry, answer.state


async def reason_of(cache: Cache, shop: Shop, **consistency: Any) -> str:
    """Name the reason of that entry."""
    entry, _ = await explain(cache, shop, **consistency)
    return pb.Reason.Name(entry.reason)


async def invalidate(cache: Cache, shop: Shop, *tags: str) -> None:
    """Invalidate tags by name."""
    await cache.stub.Invalidate(
        pb.InvalidateRequest(
            tags=[pb.Tag(organization_id=shop.organization_id, name=tag) for tag in tags]
        )
    )
