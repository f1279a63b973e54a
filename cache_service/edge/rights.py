"""Which right each method takes."""

from __future__ import annotations

from cache_service.edge.kinds import SERVICE
from chairside.cache.v1 import cache_service_pb2
from service_kit.callers import Right

__all__ = ["ITEMISED", "RIGHTS"]

ITEMISED = frozenset({"BatchGet", "Lookup", "Watch"})
"""Judge each read, or what is told of each organization, for themselves."""

_READS = {field.message_type for field in cache_service_pb2.BatchRead.DESCRIPTOR.fields}

RIGHTS = {
    **{method.name: Right.READ for method in SERVICE.methods if method.input_type in _READS},
    **dict.fromkeys(ITEMISED, Right.READ),
    "Invalidate": Right.INVALIDATE,
    **dict.fromkeys(("Warm", "Explain", "GetStats"), Right.OPERATE),
}
"""By method; a new read brings its own, another method is to be named here."""
