"""The store when its server refuses, hangs, dies, and comes back."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cache_service.coherence.ports import StoreUnavailableError
from devstack.ports import free_port
from devstack.valkey import ValkeyServer
from tests.integration.cache.stores import ORGANIZATION, TAGS, Opened, open_store
from tests.support.waiting import eventually

PATIENCE = 1.0


@pytest.fixture
async def opened(own_valkey: ValkeyServer) -> AsyncIterator[Opened]:
    """Connect to a server that may be killed."""
    async with open_store(own_valkey.url, patience=PATIENCE) as store:
        yield store


async def _command(server: ValkeyServer, *command: str) -> None:
    async with open_store(server.url) as opened:
        assert await opened.connection.call(*command) == b"OK"


async def _at_once(opened: Opened) -> None:
    """Check that a call fails without waiting for anything."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(StoreUnavailableError):
        await opened.store.fetch(ORGANIZATION, ("key",), TAGS)
    assert loop.time() - began < PATIENCE / 5


async def test_a_killed_server_fails_at_once_and_comes_back(
    own_valkey: ValkeyServer, opened: Opened
) -> None:
    """Calls under way and later ones fail at once; after a restart all works by itself."""
    assert await opened.fill()
    await own_valkey.kill()
    await eventually(opened.fails)
    await _at_once(opened)
    assert not opened.connection.connected
    await own_valkey.start()
    await eventually(opened.works)
    assert opened.changes == [None, "connection lost", None]


async def test_a_frozen_server_costs_one_patience(own_valkey: ValkeyServer, opened: Opened) -> None:
    """A server that hangs fails all that wait within the patience, later ones at once."""
    assert await opened.fill()
    loop = asyncio.get_running_loop()
    own_valkey.signal(signal.SIGSTOP)
    try:
        began = loop.time()
        waiting = [
            asyncio.create_task(opened.store.fetch(ORGANIZATION, ("key",), TAGS))
            for _ in range(100)
        ]
        failures = await asyncio.gather(*waiting, return_exceptions=True)
        assert PATIENCE * 0.9 <= loop.time() - began < PATIENCE * 2
        assert {type(failure) for failure in failures} == {StoreUnavailableError}
        for _ in range(3):
            await _at_once(opened)
    finally:
        own_valkey.signal(signal.SIGCONT)
    await eventually(opened.works)
    assert opened.changes == [None, "connection lost", None]


async def test_a_steady_stream_of_calls_does_not_hide_a_frozen_server(
    own_valkey: ValkeyServer, opened: Opened
) -> None:
    """New calls do not lengthen the patience of the older ones."""
    loop = asyncio.get_running_loop()
    own_valkey.signal(signal.SIGSTOP)
    try:
        began = loop.time()
        calls = []
        while opened.connection.connected and loop.time() - began < 3:
            calls.append(asyncio.create_task(opened.store.used_memory()))
            await asyncio.sleep(PATIENCE / 50)
        assert loop.time() - began < PATIENCE * 2
        failures = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(failure) for failure in failures} == {StoreUnavailableError}
    finally:
        own_valkey.signal(signal.SIGCONT)


async def test_a_server_that_is_not_there_yet(tmp_path: Path) -> None:
    """A process starts without its server, and uses it once it is there."""
    server = ValkeyServer(tmp_path, port=free_port())
    async with open_store(server.url) as opened:
        assert await opened.fails() == "not connected"
        assert opened.changes[0] is not None
        async with server:
            await eventually(opened.works)
        assert opened.changes[1] is None


async def test_a_wrong_password_is_refused_and_tried_again(own_valkey: ValkeyServer) -> None:
    """With a wrong password nothing works, and it does as soon as it is the right one."""
    right = own_valkey.url.replace("redis://", "redis://:right@")
    await _command(own_valkey, "CONFIG", "SET", "requirepass", "wrong")
    async with open_store(right) as opened, open_store(own_valkey.url) as unnamed:
        assert "WRONGPASS" in str(opened.changes[0])
        assert "right" not in str(opened.changes[0]).replace("WRONGPASS", "")
        assert await opened.fails() == "not connected"
        assert await unnamed.fails() == "not connected"
        url = own_valkey.url.replace("redis://", "redis://:wrong@")
        async with open_store(url) as known:
            assert await known.connection.call("CONFIG", "SET", "requirepass", "right") == b"OK"
        await eventually(opened.works)
        assert not await unnamed.works()


async def test_a_full_server_refuses_fills_and_no_invalidation(
    own_valkey: ValkeyServer, opened: Opened
) -> None:
    """Out of memory nothing is stored; guards still go, and it works again by itself."""
    assert await opened.fill()
    await _command(own_valkey, "CONFIG", "SET", "maxmemory-policy", "noeviction")
    await _command(own_valkey, "CONFIG", "SET", "maxmemory", "1")
    for attempt in (opened.fill, lambda: opened.store.claim(ORGANIZATION, ["new"])):
        with pytest.raises(StoreUnavailableError, match="OOM"):
            await attempt()
    await opened.store.invalidate(ORGANIZATION, TAGS)
    assert opened.changes == [None]
    await _command(own_valkey, "CONFIG", "SET", "maxmemory", "0")
    _, guards = await opened.store.fetch(ORGANIZATION, (), TAGS)
    assert list(guards) == [None, None], "an invalidation that was answered was done"
    assert await opened.fill()


async def test_a_replica_refuses_what_writes(own_valkey: ValkeyServer, opened: Opened) -> None:
    """On a read-only server nothing is stored, and no invalidation is said to be done."""
    assert await opened.fill()
    await _command(own_valkey, "REPLICAOF", "127.0.0.1", str(free_port()))
    for attempt in (opened.fill, lambda: opened.store.invalidate(ORGANIZATION, TAGS)):
        with pytest.raises(StoreUnavailableError, match=r"READONLY|MASTERDOWN"):
            await attempt()
    await _command(own_valkey, "REPLICAOF", "NO", "ONE")
    await eventually(opened.works)


async def test_a_server_that_loads_its_data_is_away(tmp_path: Path) -> None:
    """While a server reads its data in, every call fails, and works when it is done."""
    options = ("--enable-debug-command", "local", "--loading-process-events-interval-bytes", "1024")
    async with (
        ValkeyServer(tmp_path, options=options) as server,
        open_store(server.url) as opened,
        open_store(server.url, patience=30) as other,
    ):
        assert await opened.works()
        script = "for i = 1, 300 do redis.call('SET', 'k' .. i, string.rep('x', 1000)) end"
        await other.connection.call("EVAL", script, 0)
        await _command(server, "CONFIG", "SET", "key-load-delay", "2000")

        async def refused() -> bool:
            try:
                await opened.entry()
            except StoreUnavailableError as error:
                return "LOADING" in str(error)
            return False

        loading = asyncio.create_task(other.connection.call("DEBUG", "RELOAD"))
        await eventually(refused)
        with pytest.raises(StoreUnavailableError):
            await opened.store.invalidate(ORGANIZATION, TAGS)
        await eventually(opened.works)
        assert await loading == b"OK"
