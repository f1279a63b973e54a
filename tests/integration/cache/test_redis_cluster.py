"""The store over a real cluster: who serves whom, and what happens when slots are moved."""

import re
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import redis.asyncio

from cache_service.coherence.peers import Publication
from cache_service.coherence.ports import Filled, StoreUnavailableError
from cache_service.stores.redis.identity import slot_of
from cache_service.stores.redis.scan import entry_keys
from devstack.ports import free_port
from devstack.valkey import ValkeyServer
from tests.integration.cache.stores import ORGANIZATION, TAGS, Opened, open_store
from tests.support.valkey_cluster import PRIMARIES, ValkeyCluster
from tests.support.waiting import eventually


@pytest.fixture
async def opened(valkey_cluster: ValkeyCluster) -> AsyncIterator[Opened]:
    """Connect to an empty cluster."""
    await valkey_cluster.flush()
    async with open_store(valkey_cluster.url) as store:
        yield store


def _one_of_each(cluster: ValkeyCluster) -> list[int]:
    """Return an organization for each primary."""
    return [
        next(one for one in range(1, 500) if cluster.shard(one) == at) for at in range(PRIMARIES)
    ]


async def _healthy(opened: Opened) -> str | None:
    """Return the identity, if the cluster has one now."""
    try:
        return await opened.servers.identity()
    except StoreUnavailableError:
        return None


async def test_organizations_are_served_by_their_primaries(
    valkey_cluster: ValkeyCluster, opened: Opened
) -> None:
    """Keys are where their slots are, and memory is summed; an operator's listing finds them."""
    era = await opened.store.era()
    for organization_id in _one_of_each(valkey_cluster):
        nonces = tuple(await opened.store.claim(organization_id, TAGS))
        filled = Filled("key", TAGS, nonces, b"raw", 60)
        assert await opened.store.put(organization_id, filled)
        keys = entry_keys(opened.unbound, era, organization_id)
        assert [key async for key in keys] == ["key"]
    sizes = [await valkey_cluster.call(at, "DBSIZE") for at in range(PRIMARIES)]
    assert sizes == [3, 3, 3]
    assert await opened.servers.used_memory() > 3_000_000


async def test_each_publication_is_heard_once_and_answered(
    valkey_cluster: ValkeyCluster, opened: Opened
) -> None:
    """Of every primary's organizations, by every member, and by none a second time."""
    async with open_store(valkey_cluster.url, publisher="other") as other:
        for number, organization_id in enumerate(_one_of_each(valkey_cluster)):
            await opened.store.invalidate(organization_id, TAGS, number)
            other.unbound.acknowledge(Publication("me", number, organization_id, TAGS), "member")

        async def all_heard() -> bool:
            return len(opened.heard) == 2 * PRIMARIES and len(other.heard) == PRIMARIES

        await eventually(all_heard)
        # Whatever a primary tells another one of it would have come before the answers to these.
        for organization_id in _one_of_each(valkey_cluster):
            await other.store.claim(organization_id, TAGS)
        assert await all_heard()
        texts = [text.partition(b"\n")[0] for _, text in other.heard]
        assert sorted(texts) == [
            b"me %d %d" % what for what in enumerate(_one_of_each(valkey_cluster))
        ]


async def test_slots_that_are_moved_make_another_identity(
    valkey_cluster: ValkeyCluster, opened: Opened
) -> None:
    """What was copied to where the slot is now is of no use under the identity of before."""
    before = await opened.store.era()
    assert await opened.fill()
    source = valkey_cluster.shard(ORGANIZATION)
    target = (source + 1) % PRIMARIES
    nodes = [(await valkey_cluster.call(at, "CLUSTER", "MYID")).decode() for at in range(PRIMARIES)]
    slot = slot_of(ORGANIZATION)

    async def move(there: int, here: int) -> None:
        call = valkey_cluster.call
        await call(there, "CLUSTER", "SETSLOT", slot, "IMPORTING", nodes[here])
        await call(here, "CLUSTER", "SETSLOT", slot, "MIGRATING", nodes[there])
        assert await opened.servers.identity() is None, "not while it lasts"
        keys = await call(here, "CLUSTER", "GETKEYSINSLOT", slot, 100)
        if keys:
            port = valkey_cluster.servers[there].port
            await call(here, "MIGRATE", "127.0.0.1", port, "", 0, 5000, "KEYS", *keys)
        for at in (there, here, *range(PRIMARIES)):
            await call(at, "CLUSTER", "SETSLOT", slot, "NODE", nodes[there])

    await move(target, source)
    try:
        with pytest.raises(StoreUnavailableError, match=r"MOVED|not the server in force"):
            await opened.unbound.fetch(before, ORGANIZATION, ("key",), TAGS)
        after = await eventually(partial(_healthy, opened), seconds=10)
        assert after != before.store
        assert None in opened.changes[1:], "it connected anew, and forgot what it had heard"
        with pytest.raises(StoreUnavailableError, match="not the server in force"):
            await opened.unbound.fetch(before, ORGANIZATION, ("key",), TAGS)
        # The control: the entry is there, with its guards.
        names = [opened.unbound.guard_key(before, ORGANIZATION, tag) for tag in TAGS]
        names.append(opened.unbound.full_key(before, ORGANIZATION, "key"))
        assert await valkey_cluster.call(target, "EXISTS", *names) == 3
        assert await opened.fill()
    finally:
        await move(source, target)
    await eventually(partial(_healthy, opened), seconds=10)


async def test_any_server_of_the_cluster_tells_the_others(
    valkey_cluster: ValkeyCluster, redis_url: str
) -> None:
    """Those named that are away do not matter; if none will do, it is said of each why."""
    away = f"127.0.0.1:{free_port()}"
    last = valkey_cluster.servers[-1].port
    async with open_store(f"redis+cluster://{away},127.0.0.1:{last}") as opened:
        assert opened.servers.connected
        assert await opened.fill()
    alone = redis_url.removeprefix("redis://").partition("/")[0]
    async with open_store(f"redis+cluster://{away},{alone}") as opened:
        assert not opened.servers.connected
        (why,) = opened.changes
        assert why is not None
        assert re.fullmatch(f"{away}: .*Connect call failed.*; {alone}: ERR .*cluster.*", why)
    async with open_store(f"redis+cluster://nobody:wrong@127.0.0.1:{last}") as opened:
        assert opened.changes[0] is not None
        assert "WRONGPASS" in opened.changes[0]


async def test_a_server_that_does_not_know_its_own_name_is_where_it_was_asked(
    tmp_path: Path,
) -> None:
    """So is one that never met another; until all slots are somebody's there is no cluster."""
    options = "--cluster-enabled", "yes", "--cluster-port", str(free_port())
    async with (
        ValkeyServer(tmp_path, options=options) as alone,
        redis.asyncio.from_url(alone.url) as client,
        open_store(f"redis+cluster://127.0.0.1:{alone.port}") as opened,
    ):
        assert opened.changes == [f"127.0.0.1:{alone.port}: there are slots that none has"]
        await client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        ((_, _, (host, *_)),) = await client.execute_command("CLUSTER", "SLOTS")
        assert host == b""

        async def connected() -> bool:
            return opened.servers.connected

        await eventually(connected)
        assert opened.changes[-1] is None


async def test_a_primary_that_hands_over_is_left(tmp_path: Path) -> None:
    """No connection need be lost for it: it says itself that the slots are another's."""
    async with (
        ValkeyCluster(tmp_path, replicas=1) as cluster,
        open_store(cluster.url) as opened,
    ):
        before = await opened.store.era()
        assert await opened.fill()
        at = cluster.shard(ORGANIZATION)
        await cluster.call(at + PRIMARIES, "CLUSTER", "FAILOVER")

        async def refused() -> bool:
            try:
                await opened.unbound.fetch(before, ORGANIZATION, ("key",), TAGS)
            except StoreUnavailableError:
                return True
            return False

        await eventually(refused, seconds=10)

        async def another() -> bool:
            return await _healthy(opened) not in {None, before.store}

        await eventually(another, seconds=10)
        with pytest.raises(StoreUnavailableError, match="not the server in force"):
            await opened.unbound.fetch(before, ORGANIZATION, ("key",), TAGS)
        # The control: the replica has all that there was.
        name = opened.unbound.full_key(before, ORGANIZATION, "key")
        assert await cluster.call(at + PRIMARIES, "EXISTS", name) == 1
        assert await opened.fill()
