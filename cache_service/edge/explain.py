"""Explain: run a read over a reader that stores nothing and says why it answers so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cache_service.cached_reads import CachedReads
from cache_service.coherence.explain import SERVED, Explainer, Explanation
from cache_service.coherence.lease import Lease
from cache_service.coherence.outcome import Outcome
from cache_service.coherence.peers import Peers
from cache_service.edge.freshness import source_of
from cache_service.edge.kinds import kinds
from chairside.cache.v1 import cache_service_pb2
from service_kit.calls import Context
from service_kit.clock import Clock
from service_kit.validation import Violations

__all__ = ["Explain", "Explaining"]

Explaining = Callable[[], tuple[CachedReads, Explainer]]
"""Makes reads, and what explains them, of one call."""


class Explain:
    """Answers Explain by the handler of the read, run over reads of its own.

    `time` gives seconds since the epoch, for ages; `clock` is the shop's time.
    """

    def __init__(
        self,
        explaining: Explaining,
        lease: Lease,
        peers: Peers,
        clock: Clock,
        time: Callable[[], float],
    ) -> None:
        self._explaining = explaining
        self._lease = lease
        self._peers = peers
        self._clock = clock
        self._time = time

    async def explain(
        self, request: cache_service_pb2.ExplainRequest, _context: Context
    ) -> cache_service_pb2.ExplainResponse:
        """Explain every entry that the read touches; raises as the read does."""
        name = request.WhichOneof("read")
        if name is None:
            violations = Violations()
            violations.add("read", "is required")
            violations.raise_if_any()
        state = self._state()
        reads, explainer = self._explaining()
        await kinds(reads, self._clock)[str(name)].compose(getattr(request, str(name)))
        now = self._time()
        return cache_service_pb2.ExplainResponse(
            entries=[_entry(one, now) for one in explainer.found],
            entries_total=explainer.total,
            state=state,
        )

    def _state(self) -> cache_service_pb2.CacheState:
        held = self._lease.era()
        state = cache_service_pb2.CacheState(
            lease_held=held is not None, member_id=self._peers.member or ""
        )
        era = held or self._lease.known
        if era is not None:
            state.epoch, state.era = era.epoch, era.name
            state.database, state.store = era.database, era.store
        return state


def _entry(found: Explanation, now: float) -> cache_service_pb2.ExplainedEntry:
    guards: tuple[Any, ...] = found.guards or (None,) * len(found.read.tags)
    carried = found.carried or (b"",) * len(found.read.tags)
    explained = cache_service_pb2.ExplainedEntry(
        key=found.key,
        query=found.read.query,
        reason=cache_service_pb2.Reason.Value(f"REASON_{found.reason.name}"),
        reason_tags=found.tags,
        explanation=found.sentence,
        source=source_of(SERVED.get(found.reason, Outcome.MISS)),
        tags=[
            cache_service_pb2.ExplainedTag(
                name=tag, guard_nonce=(guard or b"").hex(), entry_nonce=nonce.hex()
            )
            for tag, guard, nonce in zip(found.read.tags, guards, carried, strict=True)
        ],
    )
    if found.entry is not None:
        explained.snapshot = found.entry.snapshot
        explained.size = len(found.entry.payload)
        explained.age.FromMicroseconds(max(0, int((now - found.entry.filled_at) * 1e6)))
    return explained
