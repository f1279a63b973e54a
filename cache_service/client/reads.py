"""The reads of the contract: how each is called, alone and in a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.message_factory import GetMessageClass

from chairside.cache.v1 import cache_service_pb2 as pb

__all__ = ["READS", "Read"]


@dataclass(frozen=True, slots=True)
class Read:
    """A method that reads: its `name`, its `request`'s type, and its field in a batch.

    `mark` tells it apart in keys, `consistency` is the number of the request's field of
    that name, `cache_info` of the response's; `serialise` makes the bytes of a request,
    `parse` the response of its bytes. `slow` ones are kept out of the batches of the others:
    a report that is not cached takes a hundred times as long.
    """

    name: str
    request: str
    field: str
    number: int
    mark: bytes
    consistency: int
    cache_info: int
    serialise: Callable[[Any], bytes]
    parse: Callable[[bytes], Any]
    slow: bool


def _reads() -> Mapping[str, Read]:
    fields = {one.message_type: one for one in pb.BatchRead.DESCRIPTOR.fields}
    found = {}
    for method in pb.DESCRIPTOR.services_by_name["CacheService"].methods:
        field = fields.get(method.input_type)
        if field is not None:
            found[field.name] = Read(
                name=method.name,
                request=method.input_type.full_name,
                field=field.name,
                number=field.number,
                mark=bytes((field.number,)),
                consistency=method.input_type.fields_by_name["consistency"].number,
                cache_info=method.output_type.fields_by_name["cache_info"].number,
                # Looked up once: a message looks among its fields first, for a third more.
                serialise=GetMessageClass(method.input_type).SerializeToString,
                parse=GetMessageClass(method.output_type).FromString,
                slow=field.name == "get_analytics",
            )
    return found


READS = _reads()
"""By their fields in a batch, which are named as this client's methods are."""
