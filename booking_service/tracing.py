"""What a trace shows of a mutation: what its transaction asks, its commit, and the cache told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from booking_service.edge.cache_gateway import CacheGateway
from booking_service.postgres.unit_of_work import UnitOfWork
from booking_service.use_cases.ports import Changes
from service_kit.tracing import POSTGRES

if TYPE_CHECKING:
    # At run time only where it is wanted, by service_kit.tracing.
    from service_kit.otel import Tracing

__all__ = ["TracedGateway", "TracedUnit"]


class TracedUnit(UnitOfWork):
    """The unit of work, with spans for what it asks the driver itself."""

    tracing: ClassVar[Tracing]

    async def changes(self, organization_id: int) -> Changes:
        """Return the changes as `UnitOfWork` does."""
        with self.tracing.span("changes", POSTGRES, outgoing=True):
            return await super().changes(organization_id)

    async def commit(self) -> None:
        """Commit as `UnitOfWork` does."""
        with self.tracing.span("COMMIT", POSTGRES, outgoing=True):
            await super().commit()


class TracedGateway(CacheGateway):
    """The gateway, with a span for what the caller of a mutation waits for the cache."""

    tracing: ClassVar[Tracing]

    async def invalidate(self, events: Sequence[str], timeout: float) -> bool:  # noqa: ASYNC109 - of the RPC
        """Invalidate as `CacheGateway` does."""
        with self.tracing.span("tell the cache", {"chairside.events": len(events)}):
            return await super().invalidate(events, timeout)
