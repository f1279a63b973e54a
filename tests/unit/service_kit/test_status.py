"""Rich errors as they cross the wire."""

import grpc
from google.rpc import error_details_pb2, status_pb2

from service_kit.errors import Aborted, FailedPrecondition, InvalidArgument, Unavailable, Violation
from service_kit.status import code_of, text_of, trailing_metadata


def _details(error: Exception) -> status_pb2.Status:
    ((_, raw),) = trailing_metadata(error)  # type: ignore[arg-type]
    return status_pb2.Status.FromString(raw)


def test_every_violation_is_named() -> None:
    """BadRequest has all of them, in their order; the metadata lists the fields once."""
    error = InvalidArgument([Violation("a", "is required"), Violation("b.c", "must be 1")])
    info, request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    _details(error).details[0].Unpack(info)
    _details(error).details[1].Unpack(request)
    assert info.metadata["fields"] == "a,b.c"
    assert [(v.field, v.description) for v in request.field_violations] == [
        ("a", "is required"),
        ("b.c", "must be 1"),
    ]


def test_an_error_too_long_for_a_header_is_cut() -> None:
    """Ten thousand violations in a script of three bytes a letter still fit into 8 KB."""
    error = InvalidArgument([Violation(f"字段[{n}]", "错" * 100) for n in range(10_000)])
    ((_, raw),) = trailing_metadata(error)
    assert len(raw) * 4 / 3 + 3 * len(text_of(error).encode()) < 8000
    request = error_details_pb2.BadRequest()
    _details(error).details[1].Unpack(request)
    assert request.field_violations[-1].description.endswith("more fields are wrong")


def test_a_failed_precondition_names_its_subject() -> None:
    """PreconditionFailure carries reason and subject; metadata the variable parts."""
    error = FailedPrecondition("SLOT_TAKEN", "gone", subject="barber/7", barber_id=7)
    failure = error_details_pb2.PreconditionFailure()
    _details(error).details[1].Unpack(failure)
    assert (failure.violations[0].type, failure.violations[0].subject) == ("SLOT_TAKEN", "barber/7")
    assert error.metadata == {"barber_id": "7"}


def test_retry_info_comes_only_with_a_delay() -> None:
    """UNAVAILABLE has one, an etag mismatch has none."""
    delayed = _details(Unavailable("DOWN", "down", retry_after=1.5)).details
    retry = error_details_pb2.RetryInfo()
    assert delayed[-1].Unpack(retry)
    assert (retry.retry_delay.seconds, retry.retry_delay.nanos) == (1, 500_000_000)
    mismatch = Aborted("ETAG_MISMATCH", "changed meanwhile")
    assert not any(d.Is(retry.DESCRIPTOR) for d in _details(mismatch).details)
    assert code_of(mismatch) is grpc.StatusCode.ABORTED
