"""Judge each call: who makes it, whether that one may, and whether about this organization.

What a caller may not know of is refused in the same words whether it exists or not.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextvars import ContextVar
from functools import cache
from typing import Any

from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.message import Message

from service_kit.callers import Caller, Callers, Right
from service_kit.calls import Context, Metadata, annotate
from service_kit.errors import PermissionDenied, Unauthenticated

__all__ = ["Access", "Guard", "caller_of_call", "judge_organizations"]

_SCHEME = "bearer "
_FIELD = "organization_id"

_who: ContextVar[Callable[[], Caller] | None] = ContextVar("who", default=None)
_Ids = Callable[[Any], Iterator[int]]


def caller_of_call() -> Caller | None:
    """Return who makes the call at hand; None: anybody may.

    Of a stream, as the callers file is now: raises Unauthenticated, and PermissionDenied for
    the method, once it would not be let in any more.
    """
    who = _who.get()
    return None if who is None else who()


def judge_organizations(caller: Caller | None, message: Message) -> None:
    """Raise PermissionDenied if a message names an organization that its caller may not know of.

    One that names none is about all of them.
    """
    if caller is None or caller.organizations is None:
        return
    # Resources within a request may leave out whose they are.
    named = set(_ids_of(message.DESCRIPTOR)(message)) - {0}
    if not named or not caller.organizations.issuperset(named):
        why = "this caller may not know of that organization"
        raise PermissionDenied("ORGANIZATION_NOT_ALLOWED", why, caller=caller.name)


class Access:
    """What the callers may do with a service, by the right that each of its methods takes.

    The `itemised` ones judge what they are asked about themselves, item by item.
    """

    def __init__(
        self, callers: Callers, rights: Mapping[str, Right], itemised: Collection[str]
    ) -> None:
        self._callers = callers
        self._rights = rights
        self._itemised = itemised

    def guard(self, method: MethodDescriptor) -> "Guard":
        """Make what judges the calls of a method; KeyError for one that nothing is said about."""
        itemised = method.name in self._itemised
        return Guard(self._callers, self._rights[method.name], itemised=itemised)


class Guard:
    """Judges the calls of one method."""

    def __init__(self, callers: Callers, right: Right, *, itemised: bool) -> None:
        self._callers = callers
        self._right = right
        self._itemised = itemised

    def admit(self, metadata: Metadata, context: Context) -> Caller:
        """Return who calls; raises Unauthenticated, and PermissionDenied for the method."""
        caller = self._known(metadata, context)
        if caller is None:
            message = "a token or a certificate of a known caller is required"
            raise Unauthenticated("UNKNOWN_CALLER", message)
        if self._right not in caller.may:
            annotate(context, caller=caller.name)
            message = f"this caller may not {self._right}"
            raise PermissionDenied(
                "METHOD_NOT_ALLOWED", message, caller=caller.name, right=self._right
            )
        return caller

    def judge(self, caller: Caller, request: Any, context: Context) -> None:  # noqa: ANN401 - a message, or many
        """Let the call know its caller; raises PermissionDenied for what the request names."""
        _who.set(lambda: caller)
        annotate(context, caller=caller.name)
        if not self._itemised:
            judge_organizations(caller, request)

    def follow(self, caller: Caller, metadata: Metadata, context: Context) -> None:
        """Let a stream, which may be open for hours, know its caller as the file is then."""
        reading = self._callers.reading

        def who() -> Caller:
            nonlocal caller, reading
            if self._callers.reading is not reading:
                caller = self.admit(metadata, context)
                reading = self._callers.reading
            return caller

        _who.set(who)

    def _known(self, metadata: Metadata, context: Context) -> Caller | None:
        for key, value in metadata:
            if key == "authorization":
                text = value if isinstance(value, str) else ""
                token = text[len(_SCHEME) :] if text[: len(_SCHEME)].lower() == _SCHEME else ""
                return self._callers.of_token(token.strip())
        if not self._callers.certified:
            return None
        names = context.peer_identities() or ()  # of a certificate that was verified
        return self._callers.of_certificate(
            name.decode(errors="replace") if isinstance(name, bytes) else name for name in names
        )


@cache
def _ids_of(descriptor: Descriptor) -> _Ids:
    """Return what yields every organization that a message of this type names, however deep."""
    own = _FIELD in descriptor.fields_by_name
    # Made once for each type, so that the facts of a thousand events are not searched.
    nested = [
        (field.name, field.is_repeated, _ids_of(field.message_type))
        for field in descriptor.fields
        if field.message_type is not None and _names_any(field.message_type)
    ]

    def ids(message: Any) -> Iterator[int]:  # noqa: ANN401 - of that type
        if own:
            yield getattr(message, _FIELD)
        for name, repeated, of_part in nested:
            if repeated:
                for part in getattr(message, name):
                    yield from of_part(part)
            elif message.HasField(name):
                yield from of_part(getattr(message, name))

    return ids


@cache
def _names_any(descriptor: Descriptor) -> bool:
    """Tell whether a message of this type can name an organization; ours hold no cycles."""
    return _FIELD in descriptor.fields_by_name or any(
        field.message_type is not None and _names_any(field.message_type)
        for field in descriptor.fields
    )
