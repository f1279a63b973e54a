"""Requests about a shop and all that it has, for every method: one's own, another's, nobody's."""

import re
from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from chairside.cache.v1 import cache_service_pb2 as pb
from tests.e2e.calls import BOOKING_CALLS, CACHE_CALLS, Known
from tests.e2e.secured import content_of
from tests.support.contract import BOOKING, CACHE

__all__ = [
    "READS",
    "UNKNOWN",
    "has",
    "ids_of",
    "of_shop",
    "put",
    "rpc_of",
    "samples",
    "strangers",
]

UNKNOWN = 4_242_424_242
"""An id that nothing has."""
READS = {one.name: one.message_type for one in pb.BatchRead.DESCRIPTOR.fields}
_KINDS = ("barber", "service", "client", "appointment", "payment", "time_off")
_ID = re.compile(r"(?!request|organization)(\w+)_ids?")


def samples(method: MethodDescriptor, known: Known) -> Iterator[Message]:
    """Make requests that succeed, of one's own shop."""
    request = GetMessageClass(method.input_type)
    if method.containing_service is BOOKING:
        for name, content, _ in BOOKING_CALLS:
            if name == method.name:
                yield ParseDict(content_of(dict(content(known))), request())
        return
    organization_id = int(known["organization"])
    if method.name == "Invalidate":
        yield from _invalidations(known)
    elif method.name == "Explain":
        for field in READS:
            for read in of_shop(CACHE.methods_by_name[rpc_of(field)], known):
                yield pb.ExplainRequest(**{field: read})
    elif method.name == "Watch":
        yield pb.WatchRequest(organization_id=organization_id)
        yield pb.WatchRequest(organization_id=organization_id, tags=["organization"])
    elif method.name not in {"BatchGet", "Lookup"}:
        yield from of_shop(method, known)


def of_shop(method: MethodDescriptor, known: Known) -> Iterator[Message]:
    """Make requests of the cache service about a shop: those of another, with its ids."""
    for name, content, _ in CACHE_CALLS:
        if name == method.name:
            request = GetMessageClass(method.input_type)()
            ParseDict(content_of(dict(content({"page": ""}))), request)
            request.organization_id = int(known["organization"])
            for path, kind in ids_of(method.input_type):
                if getattr(request, path[0]):
                    put(request, path, int(known[kind]))
            yield request


def _invalidations(known: Known) -> Iterator[pb.InvalidateRequest]:
    """Make one of each way: every kind of event, a tag, a scope."""
    organization_id = int(known["organization"])
    for change in pb.InvalidateRequest().events.add().DESCRIPTOR.oneofs_by_name["change"].fields:
        request = pb.InvalidateRequest()
        event = request.events.add(organization_id=organization_id)
        getattr(event, change.name).SetInParent()
        yield request
    tag = pb.Tag(organization_id=organization_id, name="organization")
    yield pb.InvalidateRequest(tags=[tag])
    yield pb.InvalidateRequest(scope=pb.Scope(organization_id=organization_id))


def rpc_of(field: str) -> str:
    """Return the method of a read in a batch."""
    return "".join(part.title() for part in field.split("_"))


def ids_of(descriptor: Descriptor, above: tuple[str, ...] = ()) -> Iterator[tuple[Any, str]]:
    """Find every field that names a resource, however deep: its path and the kind."""
    for field in descriptor.fields:
        path = (*above, field.name)
        if found := _ID.fullmatch(field.name):
            yield path, found[1]
        elif (
            field.message_type is not None
            and field.message_type.full_name.startswith("chairside.")
            and not field.is_repeated
        ):
            yield from ids_of(field.message_type, path)


def has(request: Message, path: tuple[str, ...]) -> bool:
    """Tell whether a request has that part."""
    part: Any = request
    for one in path:
        if not part.HasField(one):
            return False
        part = getattr(part, one)
    return True


def put(request: Message, path: tuple[str, ...], value: int) -> None:
    """Name a resource in a request."""
    *above, name = path
    part: Any = request
    for one in above:
        part = getattr(part, one)
    if part.DESCRIPTOR.fields_by_name[name].is_repeated:
        del getattr(part, name)[:]
        getattr(part, name).append(value)
    else:
        setattr(part, name, value)


def strangers() -> Known:
    """Return the ids of a shop that there is not."""
    names = ("organization", "first", "second", "late", "slot", "page", *_KINDS)
    return dict.fromkeys(names, str(UNKNOWN))
