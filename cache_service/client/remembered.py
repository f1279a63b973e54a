"""Tokens of mutations that were not applied yet, carried by the reads that follow.

A mutation whose token says that it was not applied (`cache_applied = false`) is applied by
the relay, within a second of Redis, Postgres and a cache process being able to talk. Until
then a default read may be older than it. Whoever made it should not see that, so its later
reads carry the token.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from cache_service.coherence.tokens import parse_token
from chairside.cache.v1 import types_pb2

__all__ = ["Tokens"]

REMEMBERED = 60.0
"""Seconds: the relay needs about one, and an outage of minutes is no caller's next read."""


class _Demand(NamedTuple):
    token: bytes | None
    """None: of more than one mutation, which one demand cannot name: the database has all."""
    until: float


class Tokens:
    """What each organization's reads must have seen. `clock` gives seconds that only go forward."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._demands: dict[int, _Demand] = {}

    def __bool__(self) -> bool:
        return bool(self._demands)

    def saw(self, organization_id: int, token: bytes) -> None:
        """Remember a mutation's token, unless it was applied when it was given.

        So does a damaged one, which stands for anything: it asks for the database.
        """
        told = parse_token(token)
        if told is not None and told.xid is not None and told.applied:
            return
        now = self._clock()
        for known, demand in list(self._demands.items()):
            if demand.until <= now:
                del self._demands[known]
        before = self._demands.get(organization_id)
        one = told is not None and (before is None or before.token == token)
        self._demands[organization_id] = _Demand(token if one else None, now + REMEMBERED)

    def demand(self, organization_id: int) -> types_pb2.Consistency | None:
        """Return what a read of the organization must ask for; None: nothing of its own."""
        demand = self._demands.get(organization_id)
        if demand is None:
            return None
        if demand.until <= self._clock():
            del self._demands[organization_id]
            return None
        if demand.token is None:
            return types_pb2.Consistency(fully_consistent=True)
        return types_pb2.Consistency(at_least_as_fresh=demand.token)
