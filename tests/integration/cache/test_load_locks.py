"""Load locks in a real server: who has one, until when, and who is told of its end."""

from collections.abc import AsyncIterator

import pytest
import redis.asyncio

from cache_service.coherence.entry import Entry, encode, mark
from cache_service.coherence.ports import Filled, Taken, Wanted
from tests.integration.cache.stores import ORGANIZATION, TAGS, Opened, Place, open_store
from tests.support.waiting import eventually

WANTED = Wanted("key", TAGS)


@pytest.fixture
async def opened(place: Place) -> AsyncIterator[Opened]:
    """Connect to what is empty."""
    async with open_store(place.url) as store:
        yield store


async def _take(opened: Opened, seen: bytes = b"") -> Taken:
    (taken,) = await opened.store.take(ORGANIZATION, WANTED._replace(seen=seen))
    return taken


async def _put(opened: Opened, taken: Taken, payload: bytes = b"answer") -> bytes | None:
    """Store an entry as the loader does; None if it was refused."""
    name = await opened.store.full_key(ORGANIZATION, "key")
    raw = encode(name, b"".join(taken.nonces), Entry(payload, "1:1:", 0.0, 60.0, 0.1))
    filled = Filled("key", TAGS, taken.nonces, raw, 60, taken.token)
    return raw if await opened.store.put(ORGANIZATION, filled) else None


async def _pushed(opened: Opened) -> list[str]:
    """Return what was pushed so far: it comes before the answer to any later call."""
    await opened.store.claim(ORGANIZATION, ())
    return [text.decode() for channel, text in opened.heard if channel.endswith(b":loaded")]


async def test_one_takes_the_lock_and_the_others_know_under_which_guards(opened: Opened) -> None:
    """All are told the same guards; a put releases the lock and tells who waits."""
    first, second = await _take(opened), await _take(opened)
    assert first.token
    assert second == Taken(first.nonces)
    assert await _put(opened, first)
    assert await _pushed(opened) == [await opened.store.full_key(ORGANIZATION, "key")]


async def test_nobody_is_told_where_nobody_waits(opened: Opened) -> None:
    """A load that nobody waits for costs no publication."""
    assert await _put(opened, await _take(opened))
    assert await _pushed(opened) == []


async def test_what_was_stored_meanwhile_comes_with_the_lock_that_is_not_needed(
    opened: Opened,
) -> None:
    """It is another entry than was seen, under today's guards; the one seen will not do."""
    raw = await _put(opened, await _take(opened))
    assert (await _take(opened)).raw == raw
    again = await _take(opened, mark(raw))
    assert (again.raw, bool(again.token)) == (None, True)
    await opened.store.invalidate(ORGANIZATION, TAGS[:1])
    changed = await _take(opened)
    assert changed.raw is None, "it is under other guards"
    assert changed.token not in {b"", again.token}


async def test_a_change_makes_the_lock_of_a_load_begun_before_worthless(opened: Opened) -> None:
    """The next has another lock, and the former loader can neither store nor take it away."""
    before = await _take(opened)
    await opened.store.invalidate(ORGANIZATION, TAGS[:1])
    after = await _take(opened)
    assert after.token
    assert await _put(opened, before) is None
    assert len(await _pushed(opened)) == 1, "nobody knows who waited for the former"
    assert (await _take(opened)).token == b""
    assert await _put(opened, after)


async def test_a_failed_load_releases_its_locks(opened: Opened) -> None:
    """Who waits is told, and the next one has the lock; another's token releases nothing."""
    first, _ = await _take(opened), await _take(opened)
    await opened.store.release(ORGANIZATION, ["key"], bytes(16))
    assert (await _take(opened)).token == b""
    await opened.store.release(ORGANIZATION, ["key"], first.token)
    assert len(await _pushed(opened)) == 2
    assert (await _take(opened)).token


async def test_a_lock_lasts_a_second_unless_it_is_renewed(opened: Opened, place: Place) -> None:
    """Waiting does not make it last, another's token neither, its own does.

    On a machine so busy that it runs out meanwhile, it is tried again.
    """
    async with redis.asyncio.from_url(place.server) as client:

        async def lasts() -> bool:
            first = await _take(opened)
            assert first.token
            (name,) = await client.keys("*:load:key")
            assert 0 < await client.pttl(name) <= 1000
            await client.pexpire(name, 500)
            await _take(opened)
            await opened.store.renew(ORGANIZATION, ["key"], bytes(16))
            assert 0 < await client.pttl(name) <= 500
            await opened.store.renew(ORGANIZATION, ["key"], first.token)
            assert 500 < await client.pttl(name) <= 1000
            await client.delete(name)
            assert (await _take(opened)).token, "who takes over"
            return True

        await eventually(lasts)
