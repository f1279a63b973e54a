"""Watch: invalidations as they happen, for caches of the callers' own."""

from __future__ import annotations

from collections.abc import AsyncIterator

from cache_service.coherence.watchers import Told, WatchEnded, Watchers
from cache_service.edge.invalidate import MAX_TAG_LENGTH
from cache_service.invalidation.tags import SCOPE
from chairside.cache.v1 import cache_service_pb2
from service_kit.access import caller_of_call, judge_organizations
from service_kit.callers import Caller
from service_kit.calls import Context
from service_kit.errors import Unavailable
from service_kit.validation import Violations

__all__ = ["Watch"]

MAX_TAGS = 1000


class Watch:
    """Answers Watch. `process` is the name of this process, which no other ever has."""

    def __init__(self, watchers: Watchers, process: str) -> None:
        self._watchers = watchers
        self._process = process

    async def watch(
        self, request: cache_service_pb2.WatchRequest, _context: Context
    ) -> AsyncIterator[cache_service_pb2.WatchResponse]:
        """Tell until the caller goes away or may not watch any more, or Unavailable is raised."""
        organization_id, wanted = _validated(request)
        caller = caller_of_call()
        if organization_id:
            judge_organizations(caller, request)
        with self._watchers.watch(organization_id, wanted) as watcher:
            try:
                # A heartbeat comes several times a second: so often its rights are looked at.
                async for told in watcher:
                    caller = _still(caller, request)
                    # Watching all, it is told of those that it may know of.
                    if caller is None or not told.tags or caller.sees(told.organization_id):
                        yield self._response(told)
            except WatchEnded as ended:
                raise Unavailable(ended.why.name, ended.why.value) from ended

    def _response(self, told: Told) -> cache_service_pb2.WatchResponse:
        response = cache_service_pb2.WatchResponse(
            organization_id=told.organization_id, tags=told.tags, everything=told.everything
        )
        if told.elapsed is not None:
            response.elapsed.FromNanoseconds(int(told.elapsed * 1e9))
            response.process = self._process
        return response


def _still(before: Caller | None, request: cache_service_pb2.WatchRequest) -> Caller | None:
    """Return who watches, as the callers file is now; raises if that ends the watch.

    One of all that may know of others than before ends, too: it was told nothing of those,
    but that it was told of all.
    """
    caller = caller_of_call()
    if caller is None or before is None or caller is before:
        return caller
    if request.organization_id:
        judge_organizations(caller, request)
    elif caller.organizations != before.organizations:
        raise Unavailable("RIGHTS_CHANGED", "what this caller may know of is not what it was")
    return caller


def _validated(
    request: cache_service_pb2.WatchRequest,
) -> tuple[int, frozenset[str] | None]:
    violations = Violations()
    organization_id = violations.optional_id("organization_id", request.organization_id) or 0
    if request.tags and not request.organization_id:
        violations.add("organization_id", "is required beside tags")
    if len(request.tags) > MAX_TAGS:
        violations.add("tags", f"must be at most {MAX_TAGS}")
    names = {
        violations.text(f"tags[{at}]", tag, maximum=MAX_TAG_LENGTH, required=True)
        for at, tag in enumerate(request.tags[:MAX_TAGS])
    }
    violations.raise_if_any()
    return organization_id, frozenset({*names, SCOPE}) if names else None
