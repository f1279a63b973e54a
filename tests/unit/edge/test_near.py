"""Responses that are served out of memory: how many are kept, which go, when they are counted."""

from collections.abc import Sequence
from typing import Any

import pytest

from cache_service.coherence.era import Era
from cache_service.coherence.memory import NearAnswer
from cache_service.coherence.outcome import Answer, Outcome
from cache_service.coherence.tagged import Kept
from cache_service.edge.composed import Composed, Part
from cache_service.edge.kinds import Kind
from cache_service.edge.near import NearResponses
from cache_service.queries.shop import ShopArguments, shop_settings
from service_kit.clock import SystemClock
from service_kit.wire import bytes_field
from tests.support.waiting import eventually

ALWAYS = 1e12
ANSWER = Answer(b"", Outcome.MISS, "1:1:", 0.0)
LIMIT, FIT = 40_000, 19


class Reads:
    """Memory as far as responses ask for it, and what was counted, by organization."""

    def __init__(self) -> None:
        self.kept: dict[int, Kept[NearAnswer]] = {}
        self.counted: list[int] = []
        self.fault: Exception | None = None

    def near(self, organization_id: int, _key: str) -> Kept[NearAnswer] | None:
        """Find what memory keeps."""
        return self.kept.get(organization_id)

    def keeps(self, kept: Sequence[Kept[NearAnswer]]) -> bool:
        """Tell whether it keeps that yet."""
        return all(one.there for one in kept)

    def served(self, _query: Any, organization_id: int, _key: str, _answer: Answer) -> None:
        """Count one."""
        if self.fault is not None:
            raise self.fault
        self.counted.append(organization_id)


class House:
    """Responses of one entry each, to reads of an organization each."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.reads = Reads()
        self.near = NearResponses(self.reads, limit, SystemClock(), lambda: 0.0)  # type: ignore[arg-type]

    def put(self, *organizations: int, entries: int = 1) -> None:
        """Keep the responses to reads that were just composed of what memory keeps."""
        for one in organizations:
            near = NearAnswer(Era("1", "1", "1"), ANSWER._replace(outcome=Outcome.NEAR), ALWAYS)
            self.reads.kept[one] = Kept(near, one, (), 0)
            parts = [Part(shop_settings, ShopArguments(one), ANSWER)] * entries
            composed = Composed(b"", parts, ALWAYS)
            self.near.keep(KIND, bytes_field(KIND.number, _raw(one)), composed)

    def get(self, *organizations: int) -> list[bool]:
        """Ask; tell of each whether it was answered."""
        return [self.near.answer(KIND.number, _raw(one)) is not None for one in organizations]


async def _never(_request: Any) -> Composed:
    raise AssertionError


KIND = Kind("GetSchedule", 3, 5, _never)


def _raw(organization_id: int) -> bytes:
    return organization_id.to_bytes(4, "big")


@pytest.fixture
def house() -> House:
    """Give the test one."""
    return House()


async def test_it_stays_within_its_bytes_and_what_was_put_first_goes(house: House) -> None:
    """Of those that nobody asked for."""
    house.put(*range(1, 101))
    assert len(house.near) == FIT
    assert house.near.bytes <= LIMIT
    assert house.get(100 - FIT, 101 - FIT, 100) == [False, True, True]


async def test_what_is_asked_for_stays(house: House) -> None:
    """However many others are put meanwhile; nobody asks for it any more, and it goes."""
    house.put(1)
    for one in range(2, 101):
        house.put(one)
        assert house.get(1) == [True]
    house.put(*range(101, 101 + 2 * FIT))
    assert house.get(1) == [False]


async def test_a_newcomer_stays_when_all_were_asked_for(house: House) -> None:
    """Another goes, the one put first."""
    house.put(*range(1, FIT + 1))
    assert all(house.get(*range(1, FIT + 1)))
    house.put(FIT + 1)
    assert house.get(1, 2, FIT + 1) == [False, True, True]


async def test_what_memory_does_not_keep_is_neither_served_nor_counted(house: House) -> None:
    """Nor kept any longer."""
    house.put(1, 2)
    house.reads.kept[1].there = False
    assert house.get(1, 2) == [False, True]
    house.near.count()
    assert house.reads.counted == [2]
    assert len(house.near) == 1


async def test_what_is_served_is_counted_at_once_for_who_asks(house: House) -> None:
    """Once, in the order in which it was served, whoever asks again."""
    house.put(1, 2)
    house.get(2, 1, 2)
    assert house.reads.counted == []
    for _ in range(2):
        house.near.count()
        assert house.reads.counted == [2, 1, 2]


async def test_what_is_served_is_counted_soon_though_nobody_asks(house: House) -> None:
    """So that what audits a share of the hits is late by no more than a moment."""
    house.put(1)
    for times in (1, 2):
        house.get(1)

        async def counted(times: int = times) -> bool:
            return len(house.reads.counted) == times

        await eventually(counted)


async def test_a_response_of_many_entries_is_counted_at_once() -> None:
    """And all that waited: many of it would hold up the calls of that moment."""
    house = House(limit=1_000_000)
    house.put(1, entries=16)
    house.put(2, entries=17)
    house.get(1)
    assert house.reads.counted == []
    house.get(2)
    assert house.reads.counted == [1] * 16 + [2] * 17


async def test_a_fault_in_counting_loses_no_more_than_what_was_to_be_counted(house: House) -> None:
    """What comes afterwards is counted as ever."""
    house.put(1, 2)
    house.get(1)
    house.reads.fault = ValueError("of an auditor, say")
    with pytest.raises(ValueError, match="auditor"):
        house.near.count()
    house.reads.fault = None
    house.get(2)
    house.near.count()
    assert house.reads.counted == [2]
