"""BatchGet and Lookup: many reads in one message, each with its own outcome."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from cache_service.edge.freshness import outcome_of
from cache_service.edge.kinds import SERVICE, Kind
from cache_service.edge.reads import Reads
from chairside.cache.v1 import cache_service_pb2
from service_kit.boundary import known_error
from service_kit.errors import LARGEST_ANSWER, AnswerTooLarge, DeadlineExceeded
from service_kit.rpc import Context, annotate, remaining
from service_kit.status import status_of
from service_kit.validation import Violations
from service_kit.wire import bytes_field

__all__ = ["Batches"]

MAX_READS = 256
_AT_ONCE = 128
"""Reads of one batch under way: some loads of one organization may wait, not 256."""
_PATIENCE = 0.9
"""The part of a call's time after which a read fails alone, that the others may be answered."""

_RESULTS = cache_service_pb2.BatchGetResponse.DESCRIPTOR.fields_by_name["results"].number
_ERROR = cache_service_pb2.BatchResult.DESCRIPTOR.fields_by_name["error"].number
_TAGS = cache_service_pb2.BatchResult.DESCRIPTOR.fields_by_name["tags"].number


class _Result(NamedTuple):
    """A serialised BatchResult, and how it was come by, for the log."""

    wire: bytes
    outcome: str


class _Batch:
    """What the reads of one batch have in common; `patience` is in seconds."""

    def __init__(self, patience: float, *, with_tags: bool) -> None:
        self.patience = patience
        self.with_tags = with_tags
        self.slots = asyncio.Semaphore(_AT_ONCE)
        self.size = 0

    def check(self) -> None:
        """Raise AnswerTooLarge if the results so far are too large together."""
        if self.size > LARGEST_ANSWER:
            raise AnswerTooLarge

    def result(self, kind: Kind, response: bytes, tags: Iterable[str], outcome: str) -> _Result:
        """Make the result of one read."""
        wire = bytes_field(kind.number, response)
        if self.with_tags:
            wire += b"".join(bytes_field(_TAGS, tag.encode()) for tag in tags)
        self.size += len(wire)
        return _Result(wire, outcome)


class Batches:
    """Answers batches: what is near at once, the rest together."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def near(
        self, request: cache_service_pb2.BatchGetRequest, context: Context
    ) -> bytes | None:
        """Answer a batch all of which is in memory; None: the long way then answers."""
        near, found = self._reads.near, []
        for read in _checked(request):
            one = near.find(read.SerializeToString())
            if one is None:
                return None
            found.append(one)
        batch = _Batch(0.0, with_tags=request.with_tags)
        results = [batch.result(one.kind, near.serve(one), one.tags, "near") for one in found]
        return _finished(results, context)

    async def batch_get(
        self, request: cache_service_pb2.BatchGetRequest, context: Context
    ) -> bytes:
        """Answer any batch; raises InvalidArgument and AnswerTooLarge for it as a whole."""
        reads = _checked(request)
        batch = _Batch(_PATIENCE * remaining(context), with_tags=request.with_tags)
        async with asyncio.TaskGroup() as group:
            work = [
                self._near(read, batch) or group.create_task(self._one(read, batch))
                for read in reads
            ]
        results = [one if isinstance(one, _Result) else one.result() for one in work]
        return _finished(results, context)

    def _near(self, read: cache_service_pb2.BatchRead, batch: _Batch) -> _Result | None:
        near = self._reads.near.find(read.SerializeToString())
        if near is None:
            return None
        return batch.result(near.kind, self._reads.near.serve(near), near.tags, "near")

    async def _one(self, read: cache_service_pb2.BatchRead, batch: _Batch) -> _Result:
        """Answer one read, or say what its method would have ended with."""
        name, method = read.WhichOneof("read"), ""
        try:
            if name is None:
                violations = Violations()
                violations.add("read", "is required")
                violations.raise_if_any()
            kind = self._reads.kinds[str(name)]
            method = kind.method
            async with asyncio.timeout(batch.patience) as deadline, batch.slots:
                batch.check()  # and do not compute the rest
                composed = await kind.compose(getattr(read, str(name)))
            response = self._reads.finish(kind, read.SerializeToString(), composed)
            outcome = outcome_of(composed.answers).value
            tags = composed.tags if batch.with_tags else ()
            return batch.result(kind, _sendable(response), tags, outcome)
        except Exception as error:  # noqa: BLE001 - the boundary: one read must not end the others
            late = isinstance(error, TimeoutError) and deadline.expired()
            why = DeadlineExceeded(batch.patience) if late else error
            status = status_of(known_error(why, f"/{SERVICE.full_name}/{method}"))
            return _Result(bytes_field(_ERROR, status.SerializeToString()), "error")


def _checked(request: cache_service_pb2.BatchGetRequest) -> Sequence[Any]:
    """Return the reads of a batch that is none too many; raises InvalidArgument."""
    if not 1 <= len(request.reads) <= MAX_READS:
        violations = Violations()
        violations.add("reads", f"must be 1 to {MAX_READS}")
        violations.raise_if_any()
    return request.reads


def _finished(results: Sequence[_Result], context: Context) -> bytes:
    """Note in the log how many reads were come by in which way, and join their results."""
    outcomes = Counter(result.outcome for result in results)
    annotate(context, reads=len(results), **outcomes)
    return _sendable(b"".join(bytes_field(_RESULTS, result.wire) for result in results))


def _sendable(answer: bytes) -> bytes:
    if len(answer) > LARGEST_ANSWER:
        raise AnswerTooLarge
    return answer
