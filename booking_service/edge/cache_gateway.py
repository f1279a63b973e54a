"""The cache service as the use cases see it."""

from collections.abc import Iterable, Sequence

import grpc
import structlog
from prometheus_client.core import Metric

from booking_service.measures import INVALIDATION_SECONDS, INVALIDATIONS
from booking_service.use_cases.ports import Changes
from cache_service.client import CacheClient, snapshot_token, transaction_token
from service_kit.clock import elapsed
from service_kit.measures import Histogram

__all__ = ["CacheGateway", "CacheTokens"]


class CacheGateway:
    """Tell the cache service what changed; a cache that cannot be told is no error."""

    def __init__(self, client: CacheClient) -> None:
        self._client = client
        self._reachable = True
        self._outcomes = {"applied": 0, "failed": 0}
        self._seconds = Histogram()

    async def invalidate(self, events: Sequence[str], timeout: float) -> bool:  # noqa: ASYNC109 - of the RPC
        """Invalidate what the events touch within `timeout` seconds; False if that failed.

        One log line tells that the cache went away and one that it is back, not one a call.
        """
        log = structlog.get_logger("booking_service.cache")
        began = elapsed()
        try:
            await self._client.invalidate_events(events, timeout)
        except grpc.aio.AioRpcError as error:
            self._outcomes["failed"] += 1
            if self._reachable:
                self._reachable = False
                log.warning(
                    "the cache does not take invalidations, its relay will follow",
                    code=error.code().name,
                    details=error.details(),
                )
            return False
        finally:
            self._seconds.observe(elapsed() - began)
        self._outcomes["applied"] += 1
        if not self._reachable:
            self._reachable = True
            log.info("the cache takes invalidations again")
        return True

    def collect(self) -> Iterable[Metric]:
        """Give Prometheus the number of mutations by whether the cache was told in time."""
        yield INVALIDATIONS.by(((outcome,), count) for outcome, count in self._outcomes.items())
        yield INVALIDATION_SECONDS.of(self._seconds)


class CacheTokens:
    """Make the tokens that the cache service reads."""

    def mutation(self, changes: Changes, *, applied: bool) -> bytes:
        """Stand for a committed transaction."""
        return transaction_token(changes.database, changes.xid, applied=applied)

    def snapshot(self, database: str, snapshot: str) -> bytes:
        """Stand for all that a snapshot has seen."""
        return snapshot_token(database, snapshot)
