"""A payload's version stands for what it says: processes of two versions share one Redis."""

import dataclasses
from hashlib import blake2b

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from cache_service.edge.declared import discover
from cache_service.queries.declare import CachedQuery
from cache_service.queries.schedule import ScheduleArguments, schedule
from chairside.cache.v1 import cache_service_pb2
from service_kit.errors import ServiceError
from tests.integration.queries.conftest import SHOPS, Load
from tests.support.cached_entries import entries_of

VERSIONS: dict[str, tuple[int, str]] = {
    "appointment_stats": (1, "3ed5d5717f48"),
    "appointments": (1, "5478384a8a76"),
    "availability": (1, "b14323f1510f"),
    "barber_performance": (1, "e117b4d92e2a"),
    "barbers": (1, "6a9aca7b1d49"),
    "booked_slots": (1, "b41c925485f7"),
    "clients": (1, "698e17292c1b"),
    "comparison": (1, "c1a0f9d12c75"),
    "dashboard": (1, "5336683effa7"),
    "lifetime_value": (1, "8c741fc7e5a1"),
    "patterns": (1, "b9a924a3935c"),
    "retention": (1, "ac8a3ad931be"),
    "revenue": (1, "fe9c160b1b1b"),
    "roster": (1, "1345e826e62a"),
    "schedule": (1, "b3c264f1bb5f"),
    "services": (1, "667a274d0370"),
    "shop": (1, "1d8a447a1ad1"),
    "six_figure": (1, "924febab65bb"),
    "user_data": (1, "4740f99e7e5b"),
}
"""Of each query the version of its payloads, and a digest of what they are.

Where the test below fails, processes of before and after the change would read each other's
payloads: raise the query's `version`, and write here what the test found. Only if what changed
is the shop of these tests, or its entries, the version stays as it is.
"""


def _layout(message: Descriptor, seen: set[str]) -> list[str]:
    """Describe a message and all that it is made of: fields of a name, a number and a type."""
    if message.full_name in seen:
        return []
    seen.add(message.full_name)
    found = []
    for field in message.fields:
        kind = field.message_type or field.enum_type
        name = kind.full_name if kind else field.type
        found.append(f"{message.full_name}.{field.name} {field.number} {name} {field.is_repeated}")
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            found += _layout(field.message_type, seen)
        elif field.enum_type:
            found += [f"{value.name} {value.number}" for value in field.enum_type.values]
    return found


def _response(query: CachedQuery[object]) -> list[str]:
    """Describe the response that a query's payloads become; nothing if it is no RPC's."""
    if query.rpc is None:
        return []
    name = query.rpc.name
    if not name[0].isupper():
        report = cache_service_pb2.GetAnalyticsResponse.DESCRIPTOR.fields_by_name[name]
        return _layout(report.message_type, set())
    method = cache_service_pb2.DESCRIPTOR.services_by_name["CacheService"].methods_by_name[name]
    # What is added to each answer is in no payload.
    return _layout(method.output_type, {"chairside.cache.v1.CacheInfo"})


async def test_what_payloads_say_has_the_version_that_it_had(load: Load) -> None:
    """All entries of a shop that never changes, and the messages that they become, are known."""
    queries = {query.name: query for query in discover()}
    digests = {name: blake2b(digest_size=6) for name in queries}
    for name, query in queries.items():
        digests[name].update("\n".join(_response(query)).encode())
    for query, arguments in entries_of(SHOPS[0]):
        try:
            (payload,) = await load(query, arguments)
        except ServiceError as error:
            payload = error.reason.encode()
        digests[query.name].update(payload)
    found = {name: (queries[name].version, digests[name].hexdigest()) for name in queries}
    assert [f'"{name}": {now},' for name, now in found.items() if VERSIONS.get(name) != now] == []
    assert VERSIONS.keys() == found.keys()


def test_versions_do_not_read_each_others_payloads() -> None:
    """The key of another version is another, and is not read back; the first one's is plain."""
    first, second = schedule, dataclasses.replace(schedule, version=2)
    arguments = ScheduleArguments(7, 3)
    assert (first.key(arguments), second.key(arguments)) == (
        "schedule:barber:3",
        "schedule.2:barber:3",
    )
    for one, other in ((first, second), (second, first)):
        assert one.parse(7, one.key(arguments)) == arguments
        assert other.parse(7, one.key(arguments)) is None
    assert first.tags(arguments) == second.tags(arguments)
