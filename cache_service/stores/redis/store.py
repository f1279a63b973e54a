"""The `Store` of the protocol in Redis, and what the members tell each other through it.

Keys are readable and put one organization into one hash slot:
`chairside:{1}:3f9a2c01d2b4e6f8:entry:availability:barber:7:...` and
`chairside:{1}:3f9a2c01d2b4e6f8:guard:day:7:2018-05-24`, where the third part is the era. The
lock of an entry's load is named as the entry, with `load` in place of `entry`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import hiredis

from cache_service.coherence.entry import NONCE_BYTES, compressed
from cache_service.coherence.era import Era
from cache_service.coherence.peers import Publication
from cache_service.coherence.ports import (
    LOCK_SECONDS,
    Filled,
    StoreUnavailableError,
    Taken,
    Wanted,
)
from cache_service.stores.redis.address import Command
from cache_service.stores.redis.identity import shard_of
from cache_service.stores.redis.scripts import (
    CLAIM,
    FETCH,
    INVALIDATE,
    PUT,
    RELEASE,
    RENEW,
    Script,
)
from cache_service.stores.redis.servers import Node, Servers, checked
from cache_service.stores.redis.wire import packed

__all__ = ["GUARD_LIFETIME_MS", "RedisStore"]

GUARD_LIFETIME_MS = 24 * 3600 * 1000
"""Renewed by every fill. A guard that expires costs misses and nothing else."""
_LOCK_MS = round(LOCK_SECONDS * 1000)


class RedisStore:
    """Entries and guards, each of its era, on the servers that the era names.

    `random` gives that many random bytes. Entries above `compress_above` bytes are compressed;
    0: none. Every method raises StoreUnavailableError if
    Redis does not answer in time, refuses (out of memory, read-only, loading), or is not
    the server of the era.
    """

    def __init__(
        self, servers: Servers, random: Callable[[int], bytes], compress_above: int = 0
    ) -> None:
        self._servers = servers
        self._random = random
        self._compress_above = compress_above

    def place(self, era: Era, organization_id: int) -> tuple[Node, str]:
        """Return the server of an organization's keys and the history in force there.

        Raises StoreUnavailableError if that is not the server that this process knows.
        """
        shard, node = shard_of(era.store, organization_id), self._servers.node(organization_id)
        if (
            node is None
            or shard is None
            or shard.run_id != node.connection.run_id
            or shard.slots != node.slots
        ):
            message = "this is not the server in force"
            raise StoreUnavailableError(message)
        return node, shard.history

    def full_key(self, era: Era, organization_id: int, key: str) -> str:
        """Return the name of an entry in Redis."""
        return f"{_prefix(era, organization_id)}entry:{key}"

    def guard_key(self, era: Era, organization_id: int, tag: str) -> str:
        """Return the name of a guard in Redis."""
        return f"{_prefix(era, organization_id)}guard:{tag}"

    async def fetch(
        self, era: Era, organization_id: int, keys: Sequence[str], tags: Sequence[str]
    ) -> tuple[Sequence[bytes | None], Sequence[bytes | None]]:
        """Return entries and guards in one round trip; what is missing is None."""
        node, history = self.place(era, organization_id)
        pack = _fetch_of_one if len(keys) == 1 else _fetch
        command = pack(era, organization_id, history, tuple(keys), tuple(tags))
        reply = await node.connection.send(command)
        if type(reply) is not list:  # An error: perhaps the script is not known there.
            rest = _all_of(era, organization_id, history, keys, tags)
            reply = await self._told(reply, era, organization_id, FETCH, rest)
        return reply[: len(keys)], reply[len(keys) :]

    async def claim(self, era: Era, organization_id: int, tags: Sequence[str]) -> Sequence[bytes]:
        """Return the tags' guards, giving the missing ones a fresh nonce each."""
        guards, _ = await self._claim(era, organization_id, tags, (), b"")
        return guards

    async def take(
        self, era: Era, organization_id: int, wanted: Sequence[Wanted]
    ) -> Sequence[Taken]:
        """Claim the guards and, under them, the load lock of each entry, in one round trip."""
        tags = tuple(dict.fromkeys(tag for one in wanted for tag in one.tags))
        token = self._random(NONCE_BYTES)
        guards, entries = await self._claim(era, organization_id, tags, wanted, token)
        of_tag = dict(zip(tags, guards, strict=True))
        taken = []
        for one, entry in zip(wanted, entries, strict=True):
            nonces = tuple(of_tag[tag] for tag in one.tags)
            raw = entry if isinstance(entry, bytes) else None
            taken.append(Taken(nonces, raw, token if entry == 1 else b""))
        return taken

    async def _claim(
        self,
        era: Era,
        organization_id: int,
        tags: Sequence[str],
        wanted: Sequence[Wanted],
        token: bytes,
    ) -> tuple[Sequence[bytes], Sequence[bytes | int]]:
        prefix = _prefix(era, organization_id)
        keys = [f"{prefix}guard:{tag}" for tag in tags]
        number = {tag: str(place) for place, tag in enumerate(tags, 1)}
        pool = self._random(NONCE_BYTES * len(tags))
        arguments: list[str | bytes] = [
            pool[at : at + NONCE_BYTES] for at in range(0, len(pool), NONCE_BYTES)
        ]
        for one in wanted:
            keys += (f"{prefix}entry:{one.key}", f"{prefix}load:{one.key}")
            arguments += (one.seen, " ".join(number[tag] for tag in one.tags))
        lifetimes = GUARD_LIFETIME_MS, _LOCK_MS
        what = len(tags), *lifetimes, token, *arguments
        found = await self._run(era, organization_id, CLAIM, keys, *what)
        return found[: len(tags)], found[len(tags) :]

    async def put(self, era: Era, organization_id: int, filled: Filled) -> bool:
        """Store the entry only if every guard still has its nonce; tell whether it was."""
        prefix = _prefix(era, organization_id)
        keys = [f"{prefix}entry:{filled.key}", f"{prefix}load:{filled.key}"]
        keys += [f"{prefix}guard:{tag}" for tag in filled.tags]
        lifetimes = max(1, round(filled.ttl * 1000)), GUARD_LIFETIME_MS
        node, _ = self.place(era, organization_id)
        push = filled.token, node.channels.loaded
        large = 0 < self._compress_above < len(filled.raw)
        raw = compressed(filled.raw) if large else filled.raw
        how: tuple[str | bytes | int, ...] = (*lifetimes, *push, *filled.nonces)
        return bool(await self._run(era, organization_id, PUT, keys, raw, *how))

    async def renew(
        self, era: Era, organization_id: int, keys: Sequence[str], token: bytes
    ) -> None:
        """Let the locks that this token still has last for another LOCK_SECONDS."""
        prefix = _prefix(era, organization_id)
        locks = [f"{prefix}load:{key}" for key in keys]
        await self._run(era, organization_id, RENEW, locks, token, _LOCK_MS)

    async def release(
        self, era: Era, organization_id: int, keys: Sequence[str], token: bytes
    ) -> None:
        """Release the locks and push that to who waits."""
        prefix = _prefix(era, organization_id)
        both = [f"{prefix}{kind}:{key}" for key in keys for kind in ("entry", "load")]
        node, _ = self.place(era, organization_id)
        await self._run(era, organization_id, RELEASE, both, token, node.channels.loaded)

    async def invalidate(
        self, era: Era, organization_id: int, tags: Sequence[str], number: int
    ) -> None:
        """Delete the tags' guards and publish the tags; repeats are harmless."""
        guards = [self.guard_key(era, organization_id, tag) for tag in tags]
        channels = self.place(era, organization_id)[0].channels
        what = channels.invalidated, channels.publication(number, organization_id, tags)
        await self._run(era, organization_id, INVALIDATE, guards, *what)

    def acknowledge(self, publication: Publication, member: str) -> None:
        """Tell a publisher, by the server that told of it, that this member has heard of it."""
        node = self._servers.node(publication.organization_id)
        if node is not None:
            channel = node.channels.acknowledged_to(publication.publisher)
            text = node.channels.acknowledgement(publication.number, member)
            node.connection.post("SPUBLISH", channel, text)

    async def _run(
        self,
        era: Era,
        organization_id: int,
        script: Script,
        keys: Sequence[str],
        *arguments: str | bytes | int,
    ) -> Any:
        """Run a script by its digest, and by its text where the server forgot it."""
        node, history = self.place(era, organization_id)
        rest = (len(keys), *keys, history, *arguments)
        reply = await node.connection.call("EVALSHA", script.digest, *rest)
        return await self._told(reply, era, organization_id, script, rest)

    async def _told(
        self, reply: Any, era: Era, organization_id: int, script: Script, rest: Command
    ) -> Any:
        """Return the reply to a digest, or that to the text where the server forgot it."""
        if isinstance(reply, hiredis.ReplyError):
            if str(reply).startswith("NOSCRIPT"):
                node, _ = self.place(era, organization_id)
                reply = await node.connection.call("EVAL", script.text, *rest)
            if isinstance(reply, hiredis.ReplyError):
                self._servers.refused(str(reply))
        return checked(reply)


@lru_cache(maxsize=4096)
def _prefix(era: Era, organization_id: int) -> str:
    return f"chairside:{{{organization_id}}}:{era.name}:"


def _all_of(
    era: Era, organization_id: int, history: str, keys: Sequence[str], tags: Sequence[str]
) -> Command:
    """Return the keys and arguments of a fetch."""
    prefix = _prefix(era, organization_id)
    names = [f"{prefix}entry:{key}" for key in keys]
    names += [f"{prefix}guard:{tag}" for tag in tags]
    return len(names), *names, history


def _fetch(
    era: Era, organization_id: int, history: str, keys: tuple[str, ...], tags: tuple[str, ...]
) -> bytes:
    rest = _all_of(era, organization_id, history, keys, tags)
    return packed(("EVALSHA", FETCH.digest, *rest))


_fetch_of_one = lru_cache(maxsize=4096)(_fetch)
"""The same entry is asked for again and again, and its names take longer than its reply."""
