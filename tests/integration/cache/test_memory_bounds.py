"""A process keeps as many answers as it may, whatever it is asked."""

from datetime import date, timedelta
from pathlib import Path

import psutil

from tests.integration.cache.running import Cache, start_cache
from tests.integration.cache.shops import Shop
from tests.support.stack import Database
from tests.support.waiting import eventually

_FIRST = date(2025, 3, 10)
_DAYS = 62
_BARBERS, _ASKS = 10, 16
_ASKED = _ASKS * _BARBERS * _DAYS
_LIMIT, _NO_LIMIT = 1_000_000, 1_000_000_000
_SLACK = 4_000_000
"""By so much a process may grow that keeps nothing: the buffers of its calls and statements."""


async def _grow(cache: Cache, shop: Shop, limit: int) -> tuple[int, int]:
    """Ask for answer after answer; return how many it keeps, and its growth in bytes.

    It has been asked for the first of them before.
    """
    process, sizes, asked = psutil.Process(cache.process.pid), [], 0
    for number in range(_ASKS):
        start = _FIRST + timedelta(days=number * _DAYS)
        answer = await cache.availability(
            shop.organization_id, shop.services[0], shop.barbers, start, _DAYS
        )
        asked += len(answer.barbers) * _DAYS
        sizes.append(process.memory_info().rss)
        assert cache.metric("chairside_cache_memory_bytes") <= limit
    assert asked == _ASKED
    return int(cache.metric("chairside_cache_memory_entries")), max(sizes) - sizes[2]


async def test_ten_times_more_keys_than_fit_leave_a_process_within_its_limit(
    cache: Cache, shop: Shop, shared_database: Database, server_directory: Path
) -> None:
    """It keeps as many as fit and grows by no more, as one does that keeps them all.

    On a machine so busy that the other's lease runs out meanwhile, that is tried again.
    """
    while len(shop.barbers) < _BARBERS:
        await shop.add_barber(offers=shop.services)
    await shop.relayed()

    async def grown(limit: int) -> tuple[int, int]:
        variables = {"CHAIRSIDE_CACHE_MEMORY_BYTES": str(limit)}
        logs = server_directory / f"memory-{limit}"
        async with start_cache(
            shared_database.cache_url, cache.redis_url, logs, variables
        ) as bounded:
            return await _grow(bounded, shop, limit)

    async def keeps_all() -> bool:
        kept, growth = await grown(_NO_LIMIT)
        assert kept == _ASKED
        assert growth > 2 * _SLACK
        return True

    kept, growth = await grown(_LIMIT)
    assert 0 < 10 * kept <= _ASKED
    assert growth < _SLACK
    await eventually(keeps_all, seconds=20)
