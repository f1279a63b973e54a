"""Serve declared queries: any query file with an `Rpc` becomes a method or a report."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Awaitable, Callable, Iterable
from datetime import date
from typing import Any

from google.protobuf.message import Message

import cache_service.queries
from cache_service.cached_reads import CachedReads
from cache_service.coherence.consistency import Consistency
from cache_service.coherence.outcome import Answer
from cache_service.edge.freshness import cache_info, outcome_of, read_consistency
from cache_service.queries.declare import CachedQuery
from cache_service.queries.shop import Shop, ShopArguments, shop_settings
from service_kit.clock import Clock
from service_kit.errors import InvalidArgument
from service_kit.rpc import Context, annotate
from service_kit.validation import Violations

__all__ = ["DeclaredReads", "by_rpc", "discover"]

Method = Callable[[Any, Context], Awaitable[bytes]]


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
    """Answers requests through their declared query.

    `time` gives seconds since the epoch, for ages; `clock` is the shop's time.
    """

    def __init__(self, reads: CachedReads, clock: Clock, time: Callable[[], float]) -> None:
        self._reads = reads
        self._clock = clock
        self._time = time

    def method(self, query: CachedQuery[Any], response: type[Message]) -> Method:
        """Make the method that answers with this query."""
        number = response.DESCRIPTOR.fields_by_name["cache_info"].number

        async def answer(request: Any, context: Context) -> bytes:  # noqa: ANN401 - its own message
            return await self.answer(query, request, context, number)

        return answer

    async def answer(
        self,
        query: CachedQuery[Any],
        request: Any,  # noqa: ANN401 - the query's own message
        context: Context,
        cache_info_number: int,
    ) -> bytes:
        """Answer a request: its entries, what reading cuts, and how it was come by."""
        rpc = query.rpc
        if rpc is None:
            message = f"{query.name} answers no method"
            raise TypeError(message)
        violations = Violations()
        consistency = read_consistency(violations, request.consistency)
        try:
            # Any day will do to tell what is wrong before the shop is asked for its own.
            arguments = rpc.arguments(request, self._clock.now().date())
        except InvalidArgument as error:
            for violation in error.violations:
                violations.add(*violation)
        violations.raise_if_any()
        if rpc.needs_today(request):
            today = await self.today(request.organization_id, consistency)
            arguments = rpc.arguments(request, today)
        answers = await self._reads.read(query, arguments, consistency)
        annotate(context, outcome=outcome_of(answers).value)
        payloads = [answer.payload for answer in answers]
        if rpc.respond is None:
            (body,) = payloads
        else:
            body = rpc.respond(
                request, list(zip(arguments, payloads, strict=True)), self._clock.now()
            )
        return body + cache_info(cache_info_number, answers, self._time())

    async def today(self, organization_id: int, consistency: Consistency) -> date:
        """Return the shop's local day by a guarded read."""
        shop, _ = await self.shop(organization_id, consistency)
        return shop.today(self._clock.now())

    async def shop(
        self, organization_id: int, consistency: Consistency = Consistency.DEFAULT
    ) -> tuple[Shop, Answer]:
        """Return the shop's settings by a guarded read, and how it went; raises NotFound."""
        arguments = [ShopArguments(organization_id)]
        (answer,) = await self._reads.read(shop_settings, arguments, consistency)
        return Shop.of(answer.payload), answer


def by_rpc(queries: Iterable[CachedQuery[Any]]) -> dict[str, CachedQuery[Any]]:
    """Return the queries that answer a method or a report, by its name."""
    return {query.rpc.name: query for query in queries if query.rpc is not None}
