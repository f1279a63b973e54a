"""GetAnalytics: the report decides which query answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cache_service.coherence.consistency import Consistency
from cache_service.edge.composed import Composed
from cache_service.edge.declared import DeclaredReads
from cache_service.edge.freshness import read_consistency
from cache_service.queries.declare import CachedQuery
from chairside.cache.v1 import cache_service_pb2
from service_kit.validation import Violations

__all__ = ["Analytics"]


class Analytics:
    """Answers GetAnalytics with the query of the report asked for."""

    def __init__(self, declared: DeclaredReads, reports: Mapping[str, CachedQuery[Any]]) -> None:
        self._declared = declared
        self._reports = reports

    async def compose(self, request: cache_service_pb2.GetAnalyticsRequest) -> Composed:
        """Answer with the report asked for."""
        report = request.WhichOneof("report")
        if report is None:
            violations = Violations()
            violations.id("organization_id", request.organization_id)
            violations.optional_id("barber_id", request.barber_id)
            read_consistency(violations, request.consistency, Consistency.DEFAULT)
            violations.add("report", "is required")
            violations.raise_if_any()
        query = self._reports[str(report)]
        return await self._declared.compose(query, request)
