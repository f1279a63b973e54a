"""BatchGet and Lookup: many reads in one message, each with its own outcome."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError, Message

from cache_service.edge.freshness import outcome_of
from cache_service.edge.kinds import SERVICE, Kind
from cache_service.edge.reads import Reads
from chairside.cache.v1 import cache_service_pb2
from service_kit.access import caller_of_call, judge_organizations
from service_kit.boundary import known_error
from service_kit.callers import Caller
from service_kit.calls import Context, annotate, remaining
from service_kit.errors import LARGEST_ANSWER, AnswerTooLarge, DeadlineExceeded
from service_kit.exchange import exchange
from service_kit.status import status_of
from service_kit.validation import Violations
from service_kit.wire import bytes_field

__all__ = ["Batches", "seconds_for"]

MAX_READS = 256
_AT_ONCE = 128
"""Reads of one batch under way: some loads of one organization may wait, not 256."""
_BATCHES_AT_ONCE = 16
"""Batches of one stream under way."""
_UNASKED, _LONGEST = 10.0, 30.0
"""Seconds for a batch of a stream that does not say how many, and the most: as of a call."""
_PATIENCE = 0.9
"""The part of a call's time after which a read fails alone, that the others may be answered."""

_Request = cache_service_pb2.BatchGetRequest | cache_service_pb2.LookupRequest
_ERROR = cache_service_pb2.BatchResult.DESCRIPTOR.fields_by_name["error"].number
_SERIALISE = cache_service_pb2.BatchRead.SerializeToString
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
        self.caller = caller_of_call()
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
            wire += _tags(tags)
        self.size += len(wire)
        return _Result(wire, outcome)


class Batches:
    """Answers batches: what is near at once, the rest together.

    `process` is the name of this process, which no other ever has; `draining` is set when
    streams must end.
    """

    def __init__(self, reads: Reads, process: str, draining: asyncio.Event) -> None:
        self._reads = reads
        self._process = process.encode()
        self._draining = draining

    def near(
        self, raw: bytes, caller: Caller | None = None
    ) -> tuple[bytes, Mapping[str, object]] | None:
        """Answer a batch all of which is in memory; None: the long way then answers."""
        try:
            request = cache_service_pb2.BatchGetRequest.FromString(raw)
        except DecodeError:
            return None
        results = self._all_near(request, caller)
        if results is None:
            return None
        wire = self._response(_BATCH, results, with_tags=request.with_tags)
        return wire, _near_counts(results)

    async def batch_get(
        self, request: cache_service_pb2.BatchGetRequest, context: Context
    ) -> bytes:
        """Answer any batch; raises InvalidArgument and AnswerTooLarge for it as a whole."""
        results = await self._all(request, remaining(context))
        annotate(context, **_counts(results))
        wires = [result.wire for result in results]
        return self._response(_BATCH, wires, with_tags=request.with_tags)

    async def lookup(
        self, requests: AsyncIterator[cache_service_pb2.LookupRequest], context: Context
    ) -> AsyncIterator[bytes]:
        """Answer batches as they come, each once it is done."""
        counts = Counter[str]()

        def answer(request: cache_service_pb2.LookupRequest) -> bytes | Coroutine[Any, Any, bytes]:
            try:
                wires = self._all_near(request, caller_of_call())
                if wires is None:
                    return compute(request)
                return respond(request, wires, _near_counts(wires))
            except Exception as error:  # noqa: BLE001 - the boundary: it must not end the others
                return refuse(request, error)

        async def compute(request: cache_service_pb2.LookupRequest) -> bytes:
            try:
                results = await self._all(request, seconds_for(request, context.time_remaining()))
                return respond(request, [result.wire for result in results], _counts(results))
            except Exception as error:  # noqa: BLE001 - as above
                return refuse(request, error)

        def respond(
            request: cache_service_pb2.LookupRequest,
            wires: Sequence[bytes],
            counted: Mapping[str, int],
        ) -> bytes:
            wire = self._response(_LOOKUP, wires, with_tags=request.with_tags)
            counts.update(batches=1, **counted)
            return cache_service_pb2.LookupResponse(id=request.id).SerializeToString() + wire

        def refuse(request: cache_service_pb2.LookupRequest, error: Exception) -> bytes:
            status = status_of(known_error(error, _path("Lookup")))
            return cache_service_pb2.LookupResponse(id=request.id, error=status).SerializeToString()

        answers = exchange(requests, answer, at_once=_BATCHES_AT_ONCE, draining=self._draining)
        try:
            async with aclosing(answers):
                async for one in answers:
                    yield one
        finally:
            annotate(context, **counts)

    def _all_near(self, request: _Request, caller: Caller | None) -> list[bytes] | None:
        """Return the results of reads that all are in memory; None: not all of them are."""
        near = self._reads.near
        found = near.find_all(map(_SERIALISE, _checked(request)), caller)
        if found is None:
            return None
        # Without a thing that costs a little for each: they come by the hundred.
        wires = [bytes_field(one.kind.number, near.serve(one)) for one in found]
        if request.with_tags:
            return [wire + _tags(one.tags) for wire, one in zip(wires, found, strict=True)]
        return wires

    async def _all(self, request: _Request, seconds: float) -> list[_Result]:
        """Return the results of any reads within `seconds`; one that fails fails alone."""
        batch = _Batch(_PATIENCE * seconds, with_tags=request.with_tags)
        async with asyncio.TaskGroup() as group:
            work = [
                self._near(read, batch) or group.create_task(self._one(read, batch))
                for read in _checked(request)
            ]
        return [one if isinstance(one, _Result) else one.result() for one in work]

    def _response(
        self, fields: tuple[int, int], wires: Iterable[bytes], *, with_tags: bool
    ) -> bytes:
        """Join results, with the name of this process where the caller may keep them."""
        number, process = fields
        wire = b"".join([bytes_field(number, wire) for wire in wires])
        return _sendable(wire + bytes_field(process, self._process) if with_tags else wire)

    def _near(self, read: cache_service_pb2.BatchRead, batch: _Batch) -> _Result | None:
        near = self._reads.near.find(read.SerializeToString(), batch.caller)
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
            judge_organizations(batch.caller, read)
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
            status = status_of(known_error(why, _path(method)))
            return _Result(bytes_field(_ERROR, status.SerializeToString()), "error")


def _checked(request: _Request) -> Sequence[cache_service_pb2.BatchRead]:
    """Return the reads of a batch that is none too many; raises InvalidArgument."""
    if not 1 <= len(request.reads) <= MAX_READS:
        violations = Violations()
        violations.add("reads", f"must be 1 to {MAX_READS}")
        violations.raise_if_any()
    return request.reads


def seconds_for(request: cache_service_pb2.LookupRequest, left: float | None) -> float:
    """Return how long a batch of a stream may take: as it says, within what is left of that."""
    asked = _UNASKED
    if request.HasField("timeout"):
        asked = request.timeout.seconds + request.timeout.nanos / 1e9
    return max(0.0, min(asked, _LONGEST if left is None else left))


def _tags(tags: Iterable[str]) -> bytes:
    return b"".join([bytes_field(_TAGS, tag.encode()) for tag in tags])


def _near_counts(wires: Sequence[bytes]) -> dict[str, int]:
    """Count, as below, reads all of which were in memory."""
    return {"reads": len(wires), "near": len(wires)}


def _counts(results: Sequence[_Result]) -> dict[str, int]:
    """Count the reads for the log: all, and how many were come by in which way."""
    return {"reads": len(results), **Counter(result.outcome for result in results)}


def _fields(response: type[Message]) -> tuple[int, int]:
    fields = response.DESCRIPTOR.fields_by_name
    return fields["results"].number, fields["process"].number


_BATCH = _fields(cache_service_pb2.BatchGetResponse)
_LOOKUP = _fields(cache_service_pb2.LookupResponse)


def _path(method: str) -> str:
    return f"/{SERVICE.full_name}/{method}"


def _sendable(answer: bytes) -> bytes:
    if len(answer) > LARGEST_ANSWER:
        raise AnswerTooLarge
    return answer
