"""What a trace shows of the cache service: loads, round trips to Redis, invalidations.

Each is a part of the protocol with spans around what it does; the parts themselves know of
none. They are put in where traces are wanted.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from cache_service.coherence.authority import Standing
from cache_service.coherence.era import Era
from cache_service.coherence.invalidator import Invalidator, Touched
from cache_service.coherence.ports import Loaded
from cache_service.database import Primary
from cache_service.queries.declare import Arguments, CachedQuery
from cache_service.stores.authority import PostgresAuthority
from cache_service.stores.redis import scripts
from cache_service.stores.redis.store import RedisStore
from service_kit.tracing import POSTGRES, REDIS

if TYPE_CHECKING:
    # At run time only where it is wanted, by service_kit.tracing.
    from service_kit.otel import Tracing

__all__ = ["TracedAuthority", "TracedInvalidator", "TracedPrimary", "TracedStore"]

A = TypeVar("A", bound=Arguments)

_SCRIPTS = {
    script.digest: name
    for name, script in vars(scripts).items()
    if isinstance(script, scripts.Script)
}
"""What a script is called, by its digest."""


class TracedStore(RedisStore):
    """The store, with a span for each round trip."""

    tracing: ClassVar[Tracing]

    async def fetch(
        self, era: Era, organization_id: int, keys: Sequence[str], tags: Sequence[str]
    ) -> tuple[Sequence[bytes | None], Sequence[bytes | None]]:
        """Fetch as `RedisStore` does, which has a way of its own for that."""
        with self._round_trip(scripts.FETCH, len(keys) + len(tags)):
            return await super().fetch(era, organization_id, keys, tags)

    async def _run(
        self,
        era: Era,
        organization_id: int,
        script: scripts.Script,
        keys: Sequence[str],
        *arguments: str | bytes | int,
    ) -> Any:  # noqa: ANN401 - the shape of a reply is its script's affair
        with self._round_trip(script, len(keys)):
            return await super()._run(era, organization_id, script, keys, *arguments)

    def _round_trip(self, script: scripts.Script, keys: int) -> AbstractContextManager[None]:
        name = _SCRIPTS[script.digest]
        told: dict[str, str | int] = {
            **REDIS,
            "db.operation.name": "EVALSHA",
            "db.stored_procedure.name": name,
            "chairside.keys": keys,
        }
        return self.tracing.span(f"redis {name}", told, outgoing=True)


class TracedPrimary(Primary):
    """The primary, with a span for each load."""

    tracing: ClassVar[Tracing]

    async def load(self, query: CachedQuery[A], arguments: Sequence[A]) -> Loaded:
        """Load as `Primary` does."""
        told: dict[str, str | int] = {
            "chairside.query": query.name,
            "chairside.entries": len(arguments),
        }
        with self.tracing.span(f"load {query.name}", told):
            return await super().load(query, arguments)


class TracedAuthority(PostgresAuthority):
    """The authority, with a span for each look."""

    tracing: ClassVar[Tracing]

    async def look(self) -> Standing:
        """Look as `PostgresAuthority` does."""
        with self.tracing.span("look", POSTGRES, outgoing=True):
            return await super().look()


class TracedInvalidator(Invalidator):
    """The invalidator, with a span for all of it, the relay's too, and one for its wait."""

    tracing: ClassVar[Tracing]

    async def invalidate(self, touched: Touched) -> Standing:
        """Invalidate as `Invalidator` does."""
        told: dict[str, str | int] = {"chairside.tags": sum(map(len, touched.values()))}
        with self.tracing.span("invalidate", told, alone=True):
            return await super().invalidate(touched)

    async def _everywhere(self, numbers: list[int], standing: Standing) -> None:
        told: dict[str, str | int] = {"chairside.members": len(standing.members)}
        with self.tracing.span("wait for members", told):
            await super()._everywhere(numbers, standing)

    async def _known_off(self, epoch: str) -> None:
        with self.tracing.span("wait for leases"):
            await super()._known_off(epoch)
