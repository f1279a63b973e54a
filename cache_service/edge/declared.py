"""Serve declared queries: any query file with an `Rpc` becomes a method or a report."""

from __future__ import annotations

import importlib
import math
import pkgutil
from collections.abc import Iterable
from typing import Any
from zoneinfo import ZoneInfo

import cache_service.queries
from cache_service.cached_reads import CachedReads
from cache_service.coherence.consistency import Consistency
from cache_service.edge.composed import Composed, Part, end_of_day
from cache_service.edge.freshness import read_consistency
from cache_service.queries.declare import CachedQuery
from cache_service.queries.shop import Shop, ShopArguments, shop_settings
from service_kit.clock import Clock
from service_kit.errors import InvalidArgument
from service_kit.validation import Violations

__all__ = ["DeclaredReads", "by_rpc", "discover"]


def discover() -> list[CachedQuery[Any]]:
    """Return every query declared in a file of the queries package, by name."""
    found: dict[str, CachedQuery[Any]] = {}
    for module_info in pkgutil.iter_modules(cache_service.queries.__path__):
        module = importlib.import_module(f"{cache_service.queries.__name__}.{module_info.name}")
        for value in vars(module).values():
            if not isinstance(value, CachedQuery):
                continue
            if found.setdefault(value.name, value) is not value:
                message = f"two queries are named {value.name}"
                raise ValueError(message)
    return [found[name] for name in sorted(found)]


class DeclaredReads:
    """Answers requests through their declared query. `clock` is the shop's time."""

    def __init__(self, reads: CachedReads, clock: Clock) -> None:
        self._reads = reads
        self._clock = clock

    async def compose(self, query: CachedQuery[Any], request: Any) -> Composed:  # noqa: ANN401 - the query's own message
        """Answer a request: its entries, and what reading cuts."""
        rpc = query.rpc
        if rpc is None:
            message = f"{query.name} answers no method"
            raise TypeError(message)
        violations = Violations()
        consistency = read_consistency(violations, request.consistency, self._reads.unset)
        now, until, parts = self._clock.now(), math.inf, list[Part]()
        try:
            # Any day will do to tell what is wrong before the shop is asked for its own.
            arguments = rpc.arguments(request, now.date())
        except InvalidArgument as error:
            for violation in error.violations:
                violations.add(*violation)
        violations.raise_if_any()
        if rpc.needs_today(request):
            shop, part = await self.shop(request.organization_id, consistency)
            now = self._clock.now()
            arguments = rpc.arguments(request, shop.today(now))
            until = end_of_day(now, ZoneInfo(shop.time_zone))
            parts.append(part)
        answers = await self._reads.read(query, arguments, consistency)
        told = list(zip(arguments, answers, strict=True))
        parts += [Part(query, *one) for one in told]
        if rpc.respond is None:
            ((_, answer),) = told
            return Composed(answer.payload, parts, until)
        payloads = [(one, answer.payload) for one, answer in told]
        body, holds = rpc.respond(request, payloads, self._clock.now())
        return Composed(body, parts, min(until, holds))

    async def shop(
        self, organization_id: int, consistency: Consistency = Consistency.DEFAULT
    ) -> tuple[Shop, Part]:
        """Return the shop's settings by a guarded read, and the entry read; raises NotFound."""
        arguments = ShopArguments(organization_id)
        (answer,) = await self._reads.read(shop_settings, [arguments], consistency)
        return Shop.of(answer.payload), Part(shop_settings, arguments, answer)


def by_rpc(queries: Iterable[CachedQuery[Any]]) -> dict[str, CachedQuery[Any]]:
    """Return the queries that answer a method or a report, by its name."""
    return {query.rpc.name: query for query in queries if query.rpc is not None}
