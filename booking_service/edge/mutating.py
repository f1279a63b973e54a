"""What every mutating method does around its use case."""

from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Any, TypeVar

from google.protobuf.message import Message

from booking_service.use_cases.idempotency import Request
from booking_service.use_cases.mutations import Mutations
from booking_service.use_cases.transaction import Transaction
from service_kit.calls import Context, remaining
from service_kit.validation import Violations

__all__ = ["Mutating", "checked", "etag", "given"]

# Kept back from the call's deadline for the way of the answer.
_MARGIN = 0.05
_MAX_ETAG = 40

_T = TypeVar("_T")
_Result = TypeVar("_Result")
_Response = TypeVar("_Response", bound=Message)


def given(value: _T | None) -> _T:
    """Return a value of which the checks made sure that it is there."""
    if value is None:
        message = "a required value passed its check unset"
        raise AssertionError(message)
    return value


def etag(violations: Violations, value: str) -> str:
    """Read an etag; empty: any."""
    return violations.text("etag", value, maximum=_MAX_ETAG)


def checked(violations: Violations, request: Any) -> Request:  # noqa: ANN401 - of every mutation
    """Check the request's `request_id` last, and raise all violations, if there are any.

    Returns what a repeat is known by: everything in it but the id itself.
    """
    request_id = violations.uuid("request_id", request.request_id)
    violations.raise_if_any()
    rest = type(request)()
    rest.CopyFrom(request)
    rest.ClearField("request_id")
    method = str(request.DESCRIPTOR.name).removesuffix("Request")
    told: bytes = method.encode() + b"\0" + rest.SerializeToString(deterministic=True)
    # A shop's own update names it within.
    whose = getattr(request, "organization", request)
    organization_id = int(getattr(whose, "organization_id", 0))
    return Request(method, request_id, sha256(told).digest(), organization_id)


class Mutating:
    """Carry checked requests to the mutation path, and its answers back.

    `unapplied` is told the organization and the token of what the cache could not be told in
    time, so that this process's own reads do not miss it.
    """

    def __init__(self, mutations: Mutations, unapplied: Callable[[int, bytes], None]) -> None:
        self._mutations = mutations
        self._unapplied = unapplied

    async def mutate(
        self,
        context: Context,
        request: Request,
        work: Callable[[Transaction], Awaitable[_Result]],
        response: type[_Response],
        **parts: Callable[[_Result], Message | None],
    ) -> _Response:
        """Run `work` once and make its `response`: each field is made of the result by its part.

        Every response of a mutation also has a `token` and a `cache_applied`.
        """

        async def write(tx: Transaction) -> bytes:
            result = await work(tx)
            fields = {name: part(result) for name, part in parts.items()}
            return response(**fields).SerializeToString()

        answer = await self._mutations.run(request, write, remaining(context, _MARGIN))
        if not answer.cache_applied:
            self._unapplied(request.organization_id, answer.token)
        message: Any = response.FromString(answer.response)
        message.token = answer.token
        message.cache_applied = answer.cache_applied
        return message  # type: ignore[no-any-return]
