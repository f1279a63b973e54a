"""What mutations wait for when Redis is away, and who may serve and invalidate at all."""

import asyncio
import signal
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import grpc
import pytest

from tests.integration.cache.pair import (
    MONDAY,
    NINE,
    Pair,
    book_nine,
    everything_of,
    fresh,
    seconds_of,
)
from tests.integration.cache.running import Cache, refused, source, starts
from tests.integration.cache.shops import Shop
from tests.support.grpc_server import details_of
from tests.support.waiting import eventually

LEASE = 1.0
CHANGES = 50


@pytest.mark.parametrize("fault", ["killed", "frozen"])
async def test_without_redis_acknowledgements_wait_for_the_leases_once(
    pair: Pair, held_shop: Shop, fault: str
) -> None:
    """The first waits its patience and a lease, those meanwhile no longer, later ones not."""
    await book_nine(held_shop)
    if fault == "killed":
        await pair.valkey.kill()
    else:
        pair.valkey.signal(signal.SIGSTOP)
    try:
        request = everything_of(held_shop)
        first = asyncio.create_task(seconds_of(pair.one.stub.Invalidate(request)))
        await eventually(pair.off)
        waited = await asyncio.gather(
            *(seconds_of(cache.stub.Invalidate(request)) for cache in pair.both)
        )
        assert LEASE < await first < 2 * LEASE  # at least a lease: the control of all others
        assert max(waited) < 2 * LEASE
        for cache in pair.both:
            assert await seconds_of(cache.stub.Invalidate(request)) < LEASE
            assert source(await fresh(cache, held_shop)) == "DATABASE"
    finally:
        if fault == "killed":
            await pair.valkey.start()
        else:
            pair.valkey.signal(signal.SIGCONT)
    await pair.cached_again(held_shop)


async def test_a_process_with_older_rules_takes_no_part(pair: Pair, held_shop: Shop) -> None:
    """Where newer rules are in force it serves no hits, invalidates and relays nothing."""
    version = await pair.connection.fetchval("SELECT rules_version FROM authority")
    change = (
        "UPDATE authority SET rules_version = $1, epoch = gen_random_uuid(), redis_identity = NULL"
    )
    await pair.connection.execute(change, version + 1)
    try:

        async def outdated() -> bool:
            return all(cache.metric("chairside_cache_lease_held") == 0 for cache in pair.both)

        await eventually(outdated)
        await held_shop.book(held_shop.at(NINE))
        for cache in pair.both:
            assert source(await fresh(cache, held_shop)) == "DATABASE"
            error = await refused(cache.stub.Invalidate(everything_of(held_shop)))
            assert error.code() == grpc.StatusCode.UNAVAILABLE
            assert details_of(error)["ErrorInfo"].reason == "RULES_OUTDATED"  # type: ignore[attr-defined]
            assert await cache.process.serving()

            async def waits(cache: Cache = cache) -> bool:
                return "relay waits" in cache.process.output()

            await eventually(waits)
        assert await pair.connection.fetchval("SELECT count(*) FROM outbox") == 1
        assert await pair.members() == set()
    finally:
        await pair.connection.execute(change, version)
    await pair.cached_again(held_shop)

    async def relayed() -> bool:  # the control: that it waited was not for good
        return not await pair.connection.fetchval("SELECT count(*) FROM outbox")

    await eventually(relayed)


async def _days_with_nine(cache: Cache, shop: Shop) -> set[date]:
    """Return the days of two months on which nine o'clock is offered."""
    where = shop.organization_id, shop.services[0], shop.barbers
    answer = await cache.availability(*where, MONDAY, CHANGES)
    local = (
        start.astimezone(ZoneInfo(shop.time_zone)) for start in starts(answer)[shop.barbers[0]]
    )
    return {start.date() for start in local if start.hour == 9}


async def test_what_nobody_acknowledged_is_applied_within_a_second(
    pair: Pair, held_shop: Shop
) -> None:
    """Of 50 changes left in the outbox, as by a crash, each is in every answer a second later."""
    loop = asyncio.get_running_loop()
    days = [MONDAY + timedelta(days=number) for number in range(CHANGES)]
    for cache in pair.both:
        assert await _days_with_nine(cache, held_shop) == set(days)
    committed: dict[date, float] = {}
    old_for: list[float] = []

    async def change() -> None:
        for day in days:
            await held_shop.book(held_shop.at(f"{day} 09:00"))
            committed[day] = loop.time()
            await asyncio.sleep(0.02)  # of many turns of the relay, not of one

    async def applied() -> bool:
        asked, known = loop.time(), committed.copy()
        offered = set[date]().union(
            *await asyncio.gather(*(_days_with_nine(cache, held_shop) for cache in pair.both))
        )
        old = known.keys() & offered
        old_for.extend(asked - known[day] for day in old)
        return len(known) == CHANGES and not old

    changing = asyncio.create_task(change())
    await eventually(applied, seconds=10)
    await changing
    assert old_for  # the control: nobody was told at once
    assert max(old_for) < 1
