"""Declared queries, read through the protocol: what the edge calls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import TypeVar

from cache_service.auditor import Auditor
from cache_service.coherence.consistency import Consistency
from cache_service.coherence.load_gate import LoadsExhaustedError
from cache_service.coherence.memory import NearAnswer
from cache_service.coherence.outcome import Answer
from cache_service.coherence.ports import Load, Loaded, Read
from cache_service.coherence.question import Question
from cache_service.coherence.reader import Reader
from cache_service.coherence.tagged import Kept
from cache_service.database import Primary
from cache_service.invalidation.tags import SCOPE
from cache_service.queries.declare import Arguments, CachedQuery
from service_kit.errors import ResourceExhausted

__all__ = ["CachedReads"]

A = TypeVar("A", bound=Arguments)

_RETRY = 0.5


class CachedReads:
    """Reads entries of declared queries; `ttls` overrides a query's time to live by its name.

    The auditor, if there is one, takes its share of the answers. `unset` is for callers that
    do not say how fresh an answer must be.
    """

    def __init__(
        self,
        reader: Reader,
        primary: Primary,
        ttls: Mapping[str, timedelta],
        auditor: Auditor | None = None,
        *,
        unset: Consistency = Consistency.DEFAULT,
    ) -> None:
        self.unset = unset
        self._reader = reader
        self.keeps = reader.keeps
        """Tell whether memory keeps all that `near` found, and it may be served."""
        self._primary = primary
        self._ttls = ttls
        self._auditor = auditor

    async def read(
        self,
        query: CachedQuery[A],
        arguments: Sequence[A],
        consistency: Consistency = Consistency.DEFAULT,
    ) -> list[Answer]:
        """Answer entries of one query and one organization, in order.

        Raises as the query's loader; ResourceExhausted if too many loads wait.
        """
        if not arguments:
            return []
        load = self._load(query, arguments)
        reads = [self._as_read(query, one) for one in arguments]
        organization_id = arguments[0].organization_id
        try:
            answers = await self._reader.read(organization_id, reads, load, consistency)
        except LoadsExhaustedError as error:
            message = "too many reads of the organization wait for the database"
            raise ResourceExhausted("LOADS_EXHAUSTED", message, retry_after=_RETRY) from error
        auditor = self._auditor
        if auditor is not None:
            auditor.left -= len(answers)
            if auditor.left <= 0:
                auditor.take(query, organization_id, arguments, answers)
        return answers

    def asking(self, query: CachedQuery[A], arguments: A) -> Callable[[], Awaitable[Answer | None]]:
        """Return what answers one entry, as often as it is called, if it is a hit, else None.

        In a round trip at most; `served` counts.
        """
        question = Question(
            arguments.organization_id,
            self._as_read(query, arguments),
            self._load(query, (arguments,)),
        )
        return partial(self._reader.hit, question)

    def near(self, organization_id: int, key: str) -> Kept[NearAnswer] | None:
        """Return what memory keeps under that key; `served` counts its answer."""
        return self._reader.near(organization_id, key)

    def served(
        self, query: CachedQuery[A], organization_id: int, asked: A | str, answer: Answer
    ) -> None:
        """Count an answer of `near` or `hit` that is served; `asked` is arguments or key."""
        self._reader.served(organization_id, query.name, answer.outcome)
        auditor = self._auditor
        if auditor is not None:
            auditor.left -= 1
            if auditor.left <= 0:
                auditor.take(query, organization_id, (asked,), (answer,))

    def _load(self, query: CachedQuery[A], arguments: Sequence[A]) -> Load:
        async def load(wanted: Sequence[int]) -> Loaded:
            return await self._primary.load(query, [arguments[index] for index in wanted])

        return load

    def _as_read(self, query: CachedQuery[A], arguments: A) -> Read:
        ttl = self._ttls.get(query.name, query.ttl)
        tags = (SCOPE, *query.tags(arguments))
        return Read(query.name, query.key(arguments), tags, ttl.total_seconds())
