"""Ask the cache service for a report, and tell what is wrong with a question."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest
from grpc_status.rpc_status import from_call

from cache_service.client import CacheClient
from chairside.cache.v1 import analytics_pb2 as pb
from chairside.cache.v1.cache_service_pb2 import GetAnalyticsRequest, GetAnalyticsResponse
from service_kit.errors import Violation
from service_kit.tls import TlsFiles
from service_kit.values import to_date

__all__ = ["KINDS", "Against", "BadQuestion", "GroupBy", "NoAnswer", "Question", "ask"]

KINDS = tuple(
    field.name for field in GetAnalyticsResponse.DESCRIPTOR.oneofs_by_name["report"].fields
)
"""The reports, as GetAnalytics names them."""

# The longest that the service itself takes for a call.
_TIMEOUT = 30.0
_ASKERS_FAULT = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.OUT_OF_RANGE,
}
_OPTION_OF = {
    "organization_id": "--organization",
    "barber_id": "--barber",
    "start_date": "--from",
    "end_date": "--to",
    "as_of_date": "--as-of",
    "group_by": "--group-by",
    "against": "--against",
    "target_annual_income": "--target",
    "max_staleness": "--max-staleness",
}


class GroupBy(StrEnum):
    """The periods of a series."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


class Against(StrEnum):
    """The periods of a comparison."""

    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


class BadQuestion(Exception):
    """Say what is wrong with a question: one line for each wrong field."""

    def __init__(self, violations: list[Violation], otherwise: str = "") -> None:
        super().__init__("\n".join(_line(*one) for one in violations) or otherwise)


class NoAnswer(Exception):
    """Say why the service at `target` did not answer."""

    def __init__(self, target: str, why: str) -> None:
        super().__init__(f"the cache service at {target} does not answer: {why}")


@dataclass(frozen=True, slots=True)
class Question:
    """A report to ask for, as it was typed; None is what was not said.

    Days are ISO 8601, `max_staleness` is in seconds.
    """

    kind: str
    organization_id: int = 1
    barber_id: int = 0
    start: str | None = None
    end: str | None = None
    as_of: str | None = None
    group_by: GroupBy | None = None
    against: Against | None = None
    target: float | None = None
    max_staleness: int | None = None

    def request(self) -> GetAnalyticsRequest:
        """Make the request, whose values the service judges.

        Raises:
            BadQuestion: what no request can carry: a report that there is not, a day that is
                none, a number too large, an option that the report does not have.

        """
        request = GetAnalyticsRequest()
        wrong: list[Violation] = []
        kind = self.kind.lower().replace("-", "_")
        if kind not in KINDS:
            told = f"there is no report {self.kind!r}; there are {', '.join(KINDS)}"
            wrong.append(Violation("KIND", told))
        for field in ("organization_id", "barber_id"):
            with _told(wrong, field, "is too large"):
                setattr(request, field, getattr(self, field))
        for field, said in (
            ("start_date", self.start),
            ("end_date", self.end),
            ("as_of_date", self.as_of),
        ):
            if said is not None:
                with _told(wrong, field, f"must be a day, as 2018-05-24, is {said!r}"):
                    getattr(request, field).CopyFrom(to_date(date.fromisoformat(said)))
        if self.max_staleness is not None:
            with _told(wrong, "consistency.max_staleness", "is too large"):
                request.consistency.max_staleness.CopyFrom(Duration(seconds=self.max_staleness))
        if kind in KINDS:
            wrong += self._set_options(request, kind)
        if wrong:
            raise BadQuestion(wrong)
        return request

    def _set_options(self, request: GetAnalyticsRequest, kind: str) -> list[Violation]:
        options, wrong = getattr(request, kind), []
        options.SetInParent()
        group_by = self.group_by and pb.GroupBy.Value(f"GROUP_BY_{self.group_by.name}")
        against = self.against and pb.Against.Value(f"AGAINST_{self.against.name}")
        for field, value in (
            ("group_by", group_by),
            ("against", against),
            ("target_annual_income", self.target),
        ):
            if value is None:
                continue
            if field in options.DESCRIPTOR.fields_by_name:
                setattr(options, field, value)
            else:
                wrong.append(Violation(field, f"is not taken by the report {kind}"))
        return wrong


@contextmanager
def _told(wrong: list[Violation], field: str, description: str) -> Iterator[None]:
    try:
        yield
    except ValueError:
        wrong.append(Violation(field, description))


async def ask(
    target: str, request: GetAnalyticsRequest, tls: TlsFiles | None = None, token: str = ""
) -> GetAnalyticsResponse:
    """Ask the cache service at `target` (host:port), as who the token says.

    Raises:
        BadQuestion: the service refuses the question; a line for each wrong field.
        NoAnswer: it does not answer, or cannot.
        TlsError: the files of its TLS cannot be used.

    """
    try:
        async with CacheClient(target, tls=tls, token=token) as client:
            return await client.get_analytics(request, _TIMEOUT)
    except grpc.aio.AioRpcError as error:
        code, details = error.code(), error.details() or "no reason given"
        if code in _ASKERS_FAULT:
            raise BadQuestion(_violations(error), details) from None
        raise NoAnswer(target, f"{details} ({code.name})") from None


def _violations(error: grpc.aio.AioRpcError) -> list[Violation]:
    status = from_call(error)
    found = []
    for detail in status.details if status else ():
        bad = BadRequest()
        if detail.Unpack(bad):
            found += [Violation(one.field, one.description) for one in bad.field_violations]
    return found


def _line(field: str, description: str) -> str:
    """Name the field as the service does, and the option that it was given by."""
    option = _OPTION_OF.get(field.rpartition(".")[2])
    said = f"{field}: {description}" if field else description
    return f"{said} ({option})" if option else said
