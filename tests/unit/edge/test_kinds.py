"""The contract and the queries fit: every read is answered, batched and explained."""

from dataclasses import replace
from typing import Any

import pytest

from cache_service.edge import kinds
from cache_service.edge.declared import by_rpc, discover
from cache_service.queries.declare import CachedQuery
from cache_service.queries.schedule import schedule
from chairside.cache.v1 import cache_service_pb2 as pb
from service_kit.clock import SystemClock


def kinds_of(monkeypatch: pytest.MonkeyPatch, queries: list[CachedQuery[Any]]) -> list[str]:
    """List the methods that read, had the package these queries."""
    monkeypatch.setattr(kinds, "discover", lambda: queries)
    found = kinds.kinds(None, SystemClock())  # type: ignore[arg-type]
    return [kind.method for kind in found.values()]


def test_every_method_with_a_cache_info_is_a_kind_of_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody lists them: what answers with a cache_info reads, and nothing else does."""
    methods = pb.DESCRIPTOR.services_by_name["CacheService"].methods
    reading = [one.name for one in methods if "cache_info" in one.output_type.fields_by_name]
    assert kinds_of(monkeypatch, discover()) == reading
    assert {"GetAvailability", "GetSchedule", "ListBarbers"} <= set(reading)
    assert not {"Invalidate", "BatchGet", "Watch", "Explain"} & set(reading)


def test_a_method_or_report_without_a_query_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process does not start, and says which declaration it misses."""
    left_out = ("GetSchedule", "revenue")
    queries = [one for name, one in by_rpc(discover()).items() if name not in left_out]
    with pytest.raises(LookupError) as raised:
        kinds_of(monkeypatch, queries)
    told = [f"no query declares Rpc({name!r}, ...)" for name in left_out]
    assert str(raised.value).split("; ") == told


def test_a_query_of_a_method_that_there_is_not_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt name is not taken for a query that answers no method."""
    assert schedule.rpc is not None
    misspelt = replace(schedule, rpc=replace(schedule.rpc, name="GetShedule"))
    with pytest.raises(LookupError, match="there is no method or report GetShedule"):
        kinds_of(monkeypatch, [*discover(), misspelt])


def test_a_read_that_no_batch_carries_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """It could neither be joined with others by the client nor explained."""
    fields = {kind: field for kind, field in kinds._FIELDS.items() if field.name != "get_schedule"}
    monkeypatch.setattr(kinds, "_FIELDS", fields)
    with pytest.raises(LookupError, match="BatchRead has no field for GetScheduleRequest"):
        kinds_of(monkeypatch, discover())
