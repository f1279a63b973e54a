"""Invalidate: committed changes, tags by name, or an operator's scope."""

from __future__ import annotations

from collections import defaultdict

from cache_service.coherence.authority import AuthorityUnavailableError
from cache_service.coherence.invalidator import Invalidator, RulesOutdatedError
from cache_service.coherence.tokens import snapshot_token
from cache_service.invalidation.changes import tags_by_organization
from cache_service.invalidation.checks import check
from cache_service.invalidation.rules import tags_of_scope
from chairside.cache.v1 import cache_service_pb2
from service_kit.calls import Context
from service_kit.errors import Unavailable
from service_kit.validation import Violations

__all__ = ["Invalidate"]

MAX_EVENTS = 1000
MAX_TAGS = 1000
MAX_TAG_LENGTH = 200


class Invalidate:
    """Answers Invalidate once no process serves an answer touched any more."""

    def __init__(self, invalidator: Invalidator) -> None:
        self._invalidator = invalidator

    async def invalidate(
        self, request: cache_service_pb2.InvalidateRequest, _context: Context
    ) -> cache_service_pb2.InvalidateResponse:
        """Drop what the request touches.

        Without Redis that takes as long as leases need to run out, about a second. Raises
        Unavailable if the database does not answer; repeats are harmless.
        """
        _validate(request)
        touched: dict[int, set[str]] = defaultdict(set, tags_by_organization(request.events))
        for tag in request.tags:
            touched[tag.organization_id].add(tag.name.strip())
        if request.HasField("scope"):
            touched[request.scope.organization_id] |= tags_of_scope(request.scope)
        try:
            standing = await self._invalidator.invalidate(touched)
        except AuthorityUnavailableError as error:
            message = "the database does not answer; the change is applied when it does"
            raise Unavailable("DATABASE_UNAVAILABLE", message) from error
        except RulesOutdatedError as error:
            message = "a newer version of this service is in force; ask a process of that"
            # At once: the next address may be one of those, and here it will not be otherwise.
            raise Unavailable("RULES_OUTDATED", message, retry_after=0.05) from error
        return cache_service_pb2.InvalidateResponse(
            token=snapshot_token(standing.database, standing.snapshot),
            tags_invalidated=sum(map(len, touched.values())),
        )


def _validate(request: cache_service_pb2.InvalidateRequest) -> None:
    violations = Violations()
    if not (request.events or request.tags or request.HasField("scope")):
        violations.add("events", "events, tags or scope is required")
    if len(request.events) > MAX_EVENTS:
        violations.add("events", f"must be at most {MAX_EVENTS}")
    if len(request.tags) > MAX_TAGS:
        violations.add("tags", f"must be at most {MAX_TAGS}")
    for at, event in enumerate(request.events[:MAX_EVENTS]):
        for field, problem in check(event, f"events[{at}]"):
            violations.add(field, problem)
    for at, tag in enumerate(request.tags[:MAX_TAGS]):
        violations.id(f"tags[{at}].organization_id", tag.organization_id)
        violations.text(f"tags[{at}].name", tag.name, maximum=MAX_TAG_LENGTH, required=True)
    if request.HasField("scope"):
        scope = request.scope
        violations.id("scope.organization_id", scope.organization_id)
        violations.optional_id("scope.client_id", scope.client_id)
        violations.optional_id("scope.barber_id", scope.barber_id)
        violations.date("scope.date", scope.date, has=scope.HasField("date"))
    violations.raise_if_any()
