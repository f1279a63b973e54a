"""Every kind of read of the contract, and what answers it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from typing import NamedTuple

from google.protobuf.descriptor import MethodDescriptor

from cache_service.cached_reads import CachedReads
from cache_service.edge.analytics import Analytics
from cache_service.edge.availability import Availability
from cache_service.edge.composed import Compose
from cache_service.edge.declared import DeclaredReads, by_rpc, discover
from chairside.cache.v1 import cache_service_pb2
from service_kit.clock import Clock

__all__ = ["SERVICE", "Kind", "kinds"]

SERVICE = cache_service_pb2.DESCRIPTOR.services_by_name["CacheService"]
_CACHE_INFO = "cache_info"
"""Who answers with it, reads."""
_FIELDS = {field.message_type: field for field in cache_service_pb2.BatchRead.DESCRIPTOR.fields}
"""By their requests' types."""


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
    LookupError says what a query or a method of the contract lacks, and where.
    """
    declared = DeclaredReads(reads, clock)
    queries = by_rpc(discover())
    named: dict[str, Compose] = {
        "GetAvailability": Availability(reads, declared, clock).compose,
        "GetAnalytics": Analytics(declared, queries).compose,
    }
    methods = [one for one in SERVICE.methods if _CACHE_INFO in one.output_type.fields_by_name]
    _check(methods, answered={*named, *queries})
    found = {}
    for method in methods:
        field = _FIELDS[method.input_type]
        cache_info = method.output_type.fields_by_name[_CACHE_INFO].number
        compose = named.get(method.name) or partial(declared.compose, queries[method.name])
        found[field.name] = Kind(method.name, field.number, cache_info, compose)
    return found


def _check(methods: Sequence[MethodDescriptor], answered: Collection[str]) -> None:
    """Raise LookupError unless every read is answered, can be batched and can be explained.

    A new read that lacks a part of that does not start, rather than fail its first caller.
    """
    reports = cache_service_pb2.GetAnalyticsRequest.DESCRIPTOR.oneofs_by_name["report"].fields
    asked = [*(method.name for method in methods), *(report.name for report in reports)]
    lacks = [f"no query declares Rpc({name!r}, ...)" for name in asked if name not in answered]
    lacks += [f"there is no method or report {name}" for name in answered if name not in asked]
    for method in methods:
        field = _FIELDS.get(method.input_type)
        if field is None:
            lacks.append(f"BatchRead has no field for {method.input_type.name}")
            continue
        for carrier, carried in (
            (cache_service_pb2.BatchResult.DESCRIPTOR, method.output_type),
            (cache_service_pb2.ExplainRequest.DESCRIPTOR, method.input_type),
        ):
            found = carrier.fields_by_name.get(field.name)
            if found is None or (found.number, found.message_type) != (field.number, carried):
                lacks.append(f"{carrier.name} has no {carried.name} {field.name} = {field.number}")
    if lacks:
        raise LookupError("; ".join(lacks))
