"""The store on a real server: what its scripts do, and whose replies are whose."""

import asyncio
import time
from collections.abc import AsyncIterator
from functools import partial

import pytest
import redis.asyncio

from cache_service.coherence.entry import Entry, decode, encode
from cache_service.coherence.peers import Publication
from cache_service.coherence.ports import Filled, StoreUnavailableError
from cache_service.stores.redis.store import GUARD_LIFETIME_MS
from tests.integration.cache.stores import ORGANIZATION, TAGS, Opened, Place, open_store
from tests.support.waiting import eventually


async def _heard(one: Opened) -> bool:
    return bool(one.heard)


@pytest.fixture
async def opened(place: Place) -> AsyncIterator[Opened]:
    """Connect to an empty server."""
    async with open_store(place.url) as store:
        yield store


@pytest.fixture
async def plain(place: Place) -> AsyncIterator[redis.asyncio.Redis]:
    """Look into the same server by another way."""
    async with redis.asyncio.from_url(place.server) as client:
        yield client


async def test_claims_agree_and_a_put_needs_them(opened: Opened) -> None:
    """Guards are made once, are read by all alike, and an entry is stored only under them."""
    store = opened.store
    raws, guards = await store.fetch(ORGANIZATION, ("key",), TAGS)
    assert (list(raws), list(guards)) == ([None], [None, None])
    first, second = await asyncio.gather(
        store.claim(ORGANIZATION, TAGS), store.claim(ORGANIZATION, TAGS)
    )
    assert first == second
    assert len(set(first)) == 2
    assert {len(nonce) for nonce in first} == {16}
    assert await store.put(ORGANIZATION, Filled("key", TAGS, tuple(first), b"raw\0\r\n", 60))
    raws, guards = await store.fetch(ORGANIZATION, ("key", "other"), TAGS)
    assert (list(raws), list(guards)) == ([b"raw\0\r\n", None], list(first))


async def test_a_put_under_another_nonce_is_refused(opened: Opened) -> None:
    """Nothing is stored if any guard changed or went since it was read."""
    store = opened.store
    old = await store.claim(ORGANIZATION, TAGS)
    await store.invalidate(ORGANIZATION, TAGS[1:])
    assert not await store.put(ORGANIZATION, Filled("key", TAGS, tuple(old), b"raw", 60))
    new = await store.claim(ORGANIZATION, TAGS)
    assert new[0] == old[0]
    assert new[1] != old[1]
    assert not await store.put(ORGANIZATION, Filled("key", TAGS, tuple(old), b"raw", 60))
    assert await opened.entry() is None
    assert await store.put(ORGANIZATION, Filled("key", TAGS, tuple(new), b"raw", 60))


async def test_only_what_is_larger_than_that_is_compressed(
    place: Place, plain: redis.asyncio.Redis
) -> None:
    """Another process reads it, whatever that one would compress itself."""
    nonces = b"".join
    async with open_store(place.url, compress_above=4096) as one, open_store(place.url) as other:
        guards = tuple(await one.store.claim(ORGANIZATION, TAGS))
        for key, size in (("small", 3000), ("large", 9000)):
            name = await one.store.full_key(ORGANIZATION, key)
            entry = Entry(b"x" * size, "1:1:", 1.0, 60.0, 0.0)
            raw = encode(name, nonces(guards), entry)
            assert await one.store.put(ORGANIZATION, Filled(key, TAGS, guards, raw, 60))
            assert (await plain.strlen(name) == len(raw)) == (size < 4096)
            for reader in (one, other):
                (found,), _ = await reader.store.fetch(ORGANIZATION, (key,), TAGS)
                assert found is not None
                assert decode(name, nonces(guards), found) == entry
            assert await other.store.put(ORGANIZATION, Filled(key, TAGS, guards, raw, 60))
            assert await plain.strlen(name) == len(raw)


async def test_epochs_and_organizations_are_apart(opened: Opened, place: Place) -> None:
    """Another epoch or organization sees neither entries nor guards."""
    assert await opened.fill()
    async with open_store(place.url, epoch="e2") as other:
        assert await other.entry() is None
        await other.store.invalidate(ORGANIZATION, TAGS)
    await opened.store.invalidate(ORGANIZATION + 1, TAGS)
    _, guards = await opened.store.fetch(ORGANIZATION, (), TAGS)
    assert None not in guards


async def test_everything_expires(opened: Opened, plain: redis.asyncio.Redis) -> None:
    """Entries live for their time to live, guards for a day; nothing stays for ever."""
    assert await opened.fill()
    lifetimes = {key: await plain.pttl(key) for key in await plain.keys("*")}
    assert len(lifetimes) == 3
    entry = lifetimes.pop((await opened.store.full_key(ORGANIZATION, "key")).encode())
    assert 50_000 < entry <= 60_000
    for lifetime in lifetimes.values():
        assert GUARD_LIFETIME_MS - 10_000 < lifetime <= GUARD_LIFETIME_MS


async def test_an_acknowledgement_reaches_its_publisher_alone(place: Place) -> None:
    """A member tells the publisher which publication it has heard, and nobody else."""
    async with (
        open_store(place.url, publisher="one") as one,
        open_store(place.url, publisher="two") as two,
    ):
        two.unbound.acknowledge(Publication("one", 5, ORGANIZATION, ()), "member")
        await eventually(partial(_heard, one))
        ((channel, text),) = one.heard
        assert (channel.partition(b"}:")[2], text) == (b"acknowledged:one", b"5 member")
        assert two.heard == []


async def test_scripts_come_back_after_the_server_forgot_them(
    opened: Opened, plain: redis.asyncio.Redis
) -> None:
    """SCRIPT FLUSH costs one longer call, not an error."""
    for _ in range(2):
        await plain.script_flush()
        assert await opened.fill()
        await plain.script_flush()
        await opened.store.invalidate(ORGANIZATION, TAGS)
        assert not await opened.store.put(
            ORGANIZATION, Filled("key", TAGS, (b"x" * 16, b"y" * 16), b"raw", 60)
        )


async def test_a_guard_of_another_type_is_the_stores_fault(
    opened: Opened, plain: redis.asyncio.Redis
) -> None:
    """Where somebody wrote something else, reads are as if the store were away."""
    guard = await opened.store.guard_key(ORGANIZATION, TAGS[1])
    await plain.lpush(guard, "nonsense")
    with pytest.raises(StoreUnavailableError, match="WRONGTYPE"):
        await opened.store.claim(ORGANIZATION, TAGS)
    await opened.store.invalidate(ORGANIZATION, TAGS)
    assert await opened.fill()


@pytest.mark.parametrize("found", [True, False], ids=["guards there", "nothing there"])
async def test_an_invalidation_is_always_published(
    opened: Opened, place: Place, *, found: bool
) -> None:
    """Whatever the script finds, all members hear the tags, the publisher included."""
    async with open_store(place.url, publisher="other") as other:
        if found:
            assert await opened.fill()
        await opened.store.invalidate(ORGANIZATION, TAGS, 5)
        for one in (opened, other):
            await eventually(partial(_heard, one))
            head = b"me 5 %d" % ORGANIZATION
            told = b"\n".join((head, *(tag.encode() for tag in TAGS)))
            ((channel, text),) = one.heard
            assert (channel.partition(b"}:")[2], text) == (b"invalidated", told)


async def test_five_thousand_tags_go_at_once(opened: Opened) -> None:
    """A change that touches very many tags is one invalidation like any other."""
    tags = tuple(f"day:{barber}:{day}" for barber in range(50) for day in range(100))
    assert await opened.fill(tags=tags)
    await opened.store.invalidate(ORGANIZATION, tags)
    _, guards = await opened.store.fetch(ORGANIZATION, (), tags)
    assert list(guards) == [None] * 5000


async def test_cancelled_calls_leave_every_reply_to_its_call(opened: Opened) -> None:
    """Of a thousand calls at once half are cancelled; the others get their own replies."""
    keys = [f"echo {n}" for n in range(1000)]
    calls = [asyncio.create_task(opened.connection.call("ECHO", key), name=key) for key in keys]
    await asyncio.sleep(0)
    for call in calls[::4]:
        call.cancel()  # before the write
    await asyncio.sleep(0)
    for call in calls[2::4]:
        call.cancel()  # after the write
    answers = await asyncio.gather(*calls, return_exceptions=True)
    for n, (key, answer) in enumerate(zip(keys, answers, strict=True)):
        if n % 2:
            assert answer == key.encode()
        else:
            assert isinstance(answer, asyncio.CancelledError)
    assert opened.changes == [None], "no connection was lost"
    assert await opened.connection.call("ECHO", "after") == b"after"


async def test_calls_between_others_keep_their_order(opened: Opened) -> None:
    """Many callers over many turns of the loop, big replies among them, never mix."""

    async def caller(number: int) -> None:
        for turn in range(30):
            text = f"{number}:{turn}:" + "x" * (number * 997 % 40_000)
            assert await opened.connection.call("ECHO", text) == text.encode()

    await asyncio.gather(*(caller(number) for number in range(30)))


async def test_a_busy_loop_is_not_the_servers_fault(place: Place) -> None:
    """A loop that computes for longer than the patience loses neither calls nor connection."""
    patience = 0.25
    async with open_store(place.url, patience=patience) as opened:
        assert await opened.fill(b"x" * 3_000_000)
        for turns in range(4):  # the call waits to be written, is written, is being answered
            call = asyncio.create_task(opened.entry())
            for _ in range(turns):
                await asyncio.sleep(0)
            time.sleep(patience * 1.2)  # noqa: ASYNC251 - the point of it
            assert len(await call or b"") == 3_000_000
        assert opened.changes == [None]
