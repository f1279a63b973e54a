"""Answers out of the process's memory: the same as all others, and as fresh."""

from datetime import date, timedelta

import pytest
from google.protobuf.message import Message

from chairside.cache.v1 import cache_service_pb2 as pb
from tests.integration.cache.holding import read_while_held
from tests.integration.cache.running import Cache, source, starts
from tests.integration.cache.shops import Shop
from tests.support.waiting import eventually

MONDAY = date(2025, 3, 10)


@pytest.fixture
async def shop(shop: Shop) -> Shop:
    """Open a shop, and wait until the relay has told of that: it would empty the memory."""
    await shop.relayed()
    return shop


async def test_an_answer_from_memory_is_the_same_answer(near: Cache, shop: Shop) -> None:
    """Database, memory and the bytes made of it say the same, and the age grows."""
    ask = shop.organization_id, shop.services[0], shop.barbers, MONDAY
    loaded = await near.availability(*ask)
    assert source(loaded) == "DATABASE"
    answers = [await near.availability(*ask) for _ in range(3)]
    assert [source(answer) for answer in answers] == ["NEAR"] * 3
    ages = [answer.cache_info.age.ToMicroseconds() for answer in answers]
    assert ages == sorted(ages)
    assert ages[0] > 0
    for answer in (loaded, *answers):
        answer.ClearField("cache_info")
    assert all(answer == loaded for answer in answers)


async def test_a_change_is_seen_by_the_very_next_read(near: Cache, shop: Shop) -> None:
    """Each of many bookings takes its slot out of memory before it is acknowledged."""
    ask = shop.organization_id, shop.services[0], shop.barbers
    for day in (MONDAY + timedelta(days=n) for n in range(4)):
        await near.availability(*ask, day)
        for hour in range(9, 16):
            before = await near.availability(*ask, day)
            assert source(before) == "NEAR"
            at = shop.at(f"{day} {hour:02}:00")
            assert at in starts(before)[shop.barbers[0]]
            async with shop.acknowledged():
                await shop.book(at)
            await near.stub.Invalidate(_everything_of(shop))
            after = await near.availability(*ask, day)
            assert at not in starts(after)[shop.barbers[0]]


async def test_a_hold_that_ends_gives_its_slot_back_from_memory(near: Cache, shop: Shop) -> None:
    """What is made of an answer in memory ends when the answer says something else."""
    ask = shop.organization_id, shop.services[0], shop.barbers, MONDAY
    at = shop.at(f"{MONDAY} 10:00")
    _, held = await read_while_held(near, shop, at, lambda: near.availability(*ask))
    assert source(held) == "NEAR"
    assert at not in starts(held)[shop.barbers[0]]

    async def free() -> bool:
        answer = await near.availability(*ask)
        assert source(answer) == "NEAR"
        return at in starts(answer)[shop.barbers[0]]

    await eventually(free)


def _everything_of(shop: Shop) -> Message:
    return pb.InvalidateRequest(scope=pb.Scope(organization_id=shop.organization_id))
