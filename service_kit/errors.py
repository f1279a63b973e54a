"""The errors a service answers with, without a word of gRPC.

Use cases and queries raise these; `service_kit.rpc` turns them into a rich
`google.rpc.Status`. Every variable part of a message also stands in `metadata`,
so that a caller never has to parse text.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

__all__ = [
    "LARGEST_ANSWER",
    "Aborted",
    "AnswerTooLarge",
    "DeadlineExceeded",
    "FailedPrecondition",
    "InvalidArgument",
    "NotFound",
    "PermissionDenied",
    "ResourceExhausted",
    "ServiceError",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "Violation",
]

LARGEST_ANSWER = 4 * 1024 * 1024
"""In bytes: what a gRPC client takes unless it is told otherwise."""


class Violation(NamedTuple):
    """One wrong field of a request: its path and what is wrong with it."""

    field: str
    description: str


class ServiceError(Exception):
    """Answer a call with an error that its caller can act upon.

    `status` is the name of a gRPC status code, `reason` is UPPER_SNAKE_CASE and
    never changes, `message` is for people, `retry_after` is in seconds (None: a
    retry does not help, or the caller decides).
    """

    def __init__(
        self,
        status: str,
        reason: str,
        message: str,
        *,
        metadata: Mapping[str, object] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message
        self.metadata = {key: str(value) for key, value in (metadata or {}).items()}
        self.retry_after = retry_after


class InvalidArgument(ServiceError):
    """Refuse a request and name every wrong field of it at once."""

    def __init__(self, violations: Sequence[Violation]) -> None:
        self.violations = tuple(violations)
        super().__init__(
            "INVALID_ARGUMENT",
            "INVALID_ARGUMENT",
            "; ".join(f"{field}: {description}" for field, description in self.violations),
            metadata={"fields": ",".join(dict.fromkeys(field for field, _ in self.violations))},
        )


class NotFound(ServiceError):
    """Say that a resource is not known, as `barber` and its id; reason e.g. BARBER_NOT_FOUND."""

    def __init__(self, resource_type: str, resource_name: object) -> None:
        self.resource_type = resource_type
        self.resource_name = str(resource_name)
        super().__init__(
            "NOT_FOUND",
            f"{resource_type.upper()}_NOT_FOUND",
            f"{resource_type.replace('_', ' ')} {resource_name} is not known",
            metadata={"resource_type": resource_type, "resource_name": resource_name},
        )


class FailedPrecondition(ServiceError):
    """Refuse what the state of things does not allow; `subject` names that thing."""

    def __init__(self, reason: str, message: str, *, subject: str = "", **metadata: object) -> None:
        self.subject = subject
        super().__init__("FAILED_PRECONDITION", reason, message, metadata=metadata)


class AnswerTooLarge(FailedPrecondition):
    """Refuse an answer of more than `LARGEST_ANSWER` bytes: the caller can ask for less."""

    def __init__(self) -> None:
        message = f"the answer would have more than {LARGEST_ANSWER:,} bytes; ask for less at once"
        super().__init__("ANSWER_TOO_LARGE", message, subject="answer", limit=LARGEST_ANSWER)


class Aborted(ServiceError):
    """Give up because of someone else's change; `retry_after` (seconds) if a repeat may work."""

    def __init__(
        self, reason: str, message: str, *, retry_after: float | None = None, **metadata: object
    ) -> None:
        super().__init__("ABORTED", reason, message, metadata=metadata, retry_after=retry_after)


class Unavailable(ServiceError):
    """Say that something needed does not answer now; try again in `retry_after` seconds."""

    def __init__(
        self, reason: str, message: str, *, retry_after: float = 1.0, **metadata: object
    ) -> None:
        super().__init__("UNAVAILABLE", reason, message, metadata=metadata, retry_after=retry_after)


class ResourceExhausted(ServiceError):
    """Refuse work above a limit; try again in `retry_after` seconds."""

    def __init__(
        self, reason: str, message: str, *, retry_after: float = 1.0, **metadata: object
    ) -> None:
        super().__init__(
            "RESOURCE_EXHAUSTED", reason, message, metadata=metadata, retry_after=retry_after
        )


class DeadlineExceeded(ServiceError):
    """Say that the time allowed for a call passed; `seconds` is what was allowed."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            "DEADLINE_EXCEEDED",
            "DEADLINE_EXCEEDED",
            f"the call took longer than the {seconds:g} s allowed",
            metadata={"seconds": f"{seconds:g}"},
        )


class Unauthenticated(ServiceError):
    """Refuse a caller that is not known, whatever it asks."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__("UNAUTHENTICATED", reason, message)


class PermissionDenied(ServiceError):
    """Refuse what a caller may not do, or know of: in the same words if there is no such thing."""

    def __init__(self, reason: str, message: str, **metadata: object) -> None:
        super().__init__("PERMISSION_DENIED", reason, message, metadata=metadata)


class Unimplemented(ServiceError):
    """Say that this version does not have that, and why."""

    def __init__(self, reason: str, message: str, **metadata: object) -> None:
        super().__init__("UNIMPLEMENTED", reason, message, metadata=metadata)
