"""Every kind of read of the contract, and what answers it."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple, cast

from google.protobuf.descriptor import Descriptor
from google.protobuf.message_factory import GetMessageClass

from cache_service.cached_reads import CachedReads
from cache_service.edge.analytics import Analytics
from cache_service.edge.availability import Availability
from cache_service.edge.composed import Compose
from cache_service.edge.declared import DeclaredReads, by_rpc, discover
from chairside.cache.v1 import cache_service_pb2
from service_kit.clock import Clock

__all__ = ["SERVICE", "Kind", "kinds"]

SERVICE = cache_service_pb2.DESCRIPTOR.services_by_name["CacheService"]


class Kind(NamedTuple):
    """A kind of read: its method, its fields' numbers, and what answers it.

    `number` is the field of BatchRead and of BatchResult for it, `cache_info` is that of its
    response.
    """

    method: str
    number: int
    cache_info: int
    compose: Compose


def kinds(reads: CachedReads, clock: Clock) -> dict[str, Kind]:
    """Return every kind, answered over `reads`, by its field in BatchRead and ExplainRequest.

    Declared queries bring their own answers; those that put several together are named here.
    """
    declared = DeclaredReads(reads, clock)
    queries = by_rpc(discover())
    named: dict[str, Compose] = {
        "GetAvailability": Availability(reads, declared, clock).compose,
        "GetAnalytics": Analytics(declared, queries).compose,
    }
    methods = {method.input_type: method for method in SERVICE.methods}
    found = {}
    for field in cache_service_pb2.BatchRead.DESCRIPTOR.fields:
        method = methods[cast("Descriptor", field.message_type)]
        response = GetMessageClass(method.output_type).DESCRIPTOR
        compose = named.get(method.name) or partial(declared.compose, queries[method.name])
        cache_info = response.fields_by_name["cache_info"].number
        found[field.name] = Kind(method.name, field.number, cache_info, compose)
    return found
