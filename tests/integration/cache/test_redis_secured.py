"""Redis with the least rights, and over TLS."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio
import trustme

from cache_service.coherence.peers import Publication
from cache_service.coherence.ports import StoreUnavailableError, Wanted
from devstack.valkey import ValkeyServer
from tests.integration.cache.stores import ORGANIZATION, TAGS, Opened, open_store
from tests.support.certificates import issue
from tests.support.tls_proxy import tls_before
from tests.support.waiting import eventually

TEXT = Path("docs/security.md").read_text()
LINE = re.search(r"^ACL SETUSER chairside .*$", TEXT, re.MULTILINE)
RULES = LINE[0].split()[3:] if LINE else []
PASSWORD = "a-secret-of-redis"  # noqa: S105 - of a throwaway server
WANTED = Wanted("other", TAGS)


async def whole_protocol(one: Opened, other: Opened) -> None:
    """Fill, hit, lock, push, invalidate, publish, acknowledge; raises what the server refuses."""
    for opened in (one, other):
        if opened.changes != [None]:
            raise StoreUnavailableError(str(opened.changes))
    await one.store.invalidate(ORGANIZATION, TAGS)
    assert await one.fill(b"answer")
    assert await other.entry() == b"answer"
    (mine,) = await one.store.take(ORGANIZATION, WANTED)
    (theirs,) = await other.store.take(ORGANIZATION, WANTED)
    assert (bool(mine.token), theirs.token) == (True, b"")
    await one.store.renew(ORGANIZATION, ["other"], mine.token)
    await one.store.release(ORGANIZATION, ["other"], mine.token)
    await one.store.invalidate(ORGANIZATION, TAGS)
    (_, guards) = await other.store.fetch(ORGANIZATION, ("key",), TAGS)
    assert guards == [None, None]
    other.unbound.acknowledge(Publication("me", 1, ORGANIZATION, TAGS), "other")
    await one.store.used_memory()

    async def told() -> bool:
        ends = {channel.rpartition(b":")[2] for channel, _ in one.heard}
        return ends == {b"loaded", b"invalidated", b"me"}

    await eventually(told, seconds=5)


@asynccontextmanager
async def pair_of(url: str) -> AsyncIterator[tuple[Opened, Opened]]:
    """Connect two processes' stores."""
    async with (
        open_store(url) as one,
        open_store(url, publisher="other") as other,
    ):
        yield one, other


@asynccontextmanager
async def user(redis_url: str, rules: list[str]) -> AsyncIterator[str]:
    """Make a user of these rights and yield the URL to come as it."""
    async with redis.asyncio.from_url(redis_url) as admin:
        said = [PASSWORD.join((">", "")) if rule == ">PASSWORD" else rule for rule in rules]
        await admin.execute_command("ACL", "SETUSER", "chairside", "reset", *said)
        await admin.script_flush()
        yield redis_url.replace("//", f"//chairside:{PASSWORD}@")
        await admin.execute_command("ACL", "DELUSER", "chairside")


async def test_the_rights_written_down_are_enough(redis_url: str) -> None:
    """The whole protocol works under them, and nothing of others can be reached."""
    async with user(redis_url, RULES) as url, pair_of(url) as (one, other):
        await whole_protocol(one, other)
        for command in (
            ("GET", "others"),
            ("SET", "others", "1"),
            ("MGET", "chairside:{1}:x", "others"),
            ("SPUBLISH", "others", "x"),
            ("SSUBSCRIBE", "others"),
            ("EVAL", "return redis.call('GET', 'others')", 0),
            ("KEYS", "*"),
            ("FLUSHALL",),
            ("CONFIG", "GET", "*"),
            ("ACL", "LIST"),
            ("SCAN", "0"),
        ):
            reply: Any = await one.connection.call(*command)
            assert "NOPERM" in str(reply) or "permission" in str(reply), command


@pytest.mark.parametrize("right", [rule for rule in RULES if rule[0] in "+~&"])
async def test_each_of_the_rights_is_needed(redis_url: str, right: str) -> None:
    """Without any one of them something of the protocol fails."""
    rules = [rule for rule in RULES if rule != right]
    async with user(redis_url, rules) as url, pair_of(url) as (one, other):
        with pytest.raises((StoreUnavailableError, AssertionError)):
            await whole_protocol(one, other)


async def test_what_is_written_of_more_rights_is_so(redis_url: str) -> None:
    """Another database, an audit and a cluster need those that are named for them."""
    more = re.findall(
        r"`((?:\+[a-z|]+ ?)+)`", TEXT.partition("\nBesides: ")[2].partition("\n\n")[0]
    )
    needed = [("SELECT", "1"), ("SCAN", "0"), ("CLUSTER", "SLOTS"), ("CLUSTER", "NODES")]
    for rules, allowed in ((RULES, False), ([*RULES, *" ".join(more).split()], True)):
        async with user(redis_url, rules) as url, pair_of(url) as (one, _):
            for command in needed:
                reply: Any = await one.connection.call(*command)
                assert ("no permissions" not in str(reply)) is allowed, (command, reply)


async def test_the_protocol_over_tls_with_both_sides_certified(
    valkey: ValkeyServer, redis_url: str, tmp_path: Path
) -> None:
    """With the authority and a certificate it connects; without either it says why not."""
    ours, theirs = trustme.CA(), trustme.CA()
    server = issue(ours, tmp_path / "server", "127.0.0.1")
    caller = issue(theirs, tmp_path / "caller", common_name="chairside")
    shows = f"&ssl_certfile={caller.certificate}&ssl_keyfile={caller.key}"
    async with tls_before(valkey.port, server, client_ca=caller) as port:
        assert redis_url.startswith("redis://127.0.0.1")
        base = f"rediss://127.0.0.1:{port}/0?ssl_ca_certs="
        async with pair_of(f"{base}{server.ca}{shows}") as (one, other):
            await whole_protocol(one, other)
        for url, why in (
            (f"{base}{caller.ca}{shows}", "CERTIFICATE_VERIFY_FAILED"),
            (f"{base}{server.ca}", ""),
            (f"redis://127.0.0.1:{port}/0", ""),
            (f"{base}/nowhere", "No such file"),
        ):
            async with open_store(url) as opened:
                assert opened.changes[0] is not None
                assert why in opened.changes[0]
                assert not opened.connection.connected
