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
from cache_service.coherence.ports import (
    LOCK_SECONDS,
    Filled,
    StoreUnavailableError,
    Taken,
    Wanted,
)
from cache_service.stores.redis.channels import Channels
from cache_service.stores.redis.connection import MultiplexedConnection
from cache_service.stores.redis.scripts import (
    CLAIM,
    FETCH,
    INVALIDATE,
    PUT,
    RELEASE,
    RENEW,
    Script,
)
from cache_service.stores.redis.wire import read_info

__all__ = ["GUARD_LIFETIME_MS", "RedisStore"]

GUARD_LIFETIME_MS = 24 * 3600 * 1000
"""Renewed by every fill. A guard that expires costs misses and nothing else."""
_LOCK_MS = round(LOCK_SECONDS * 1000)


class RedisStore:
    """Entries and guards, each of its era, over one multiplexed connection.

    `random` gives that many random bytes. Entries above `compress_above` bytes are compressed;
    0: none. Every method raises StoreUnavailableError if
    Redis does not answer in time, refuses (out of memory, read-only, loading), or is not
    the server of the era.
    """

    def __init__(
        self,
        connection: MultiplexedConnection,
        channels: Channels,
        random: Callable[[int], bytes],
        compress_above: int = 0,
    ) -> None:
        self._connection = connection
        self._channels = channels
        self._random = random
        self._compress_above = compress_above

    @property
    def connected(self) -> bool:
        """Whether there is a connection, which also hears publications."""
        return self._connection.connected

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
        prefix = _prefix(era, organization_id)
        names = [f"{prefix}entry:{key}" for key in keys]
        names += [f"{prefix}guard:{tag}" for tag in tags]
        reply = await self._run(era, FETCH, names)
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
        found = await self._run(era, CLAIM, keys, len(tags), *lifetimes, token, *arguments)
        return found[: len(tags)], found[len(tags) :]

    async def put(self, era: Era, organization_id: int, filled: Filled) -> bool:
        """Store the entry only if every guard still has its nonce; tell whether it was."""
        prefix = _prefix(era, organization_id)
        keys = [f"{prefix}entry:{filled.key}", f"{prefix}load:{filled.key}"]
        keys += [f"{prefix}guard:{tag}" for tag in filled.tags]
        lifetimes = max(1, round(filled.ttl * 1000)), GUARD_LIFETIME_MS
        push = filled.token, self._channels.loaded
        large = 0 < self._compress_above < len(filled.raw)
        raw = compressed(filled.raw) if large else filled.raw
        return bool(await self._run(era, PUT, keys, raw, *lifetimes, *push, *filled.nonces))

    async def renew(
        self, era: Era, organization_id: int, keys: Sequence[str], token: bytes
    ) -> None:
        """Let the locks that this token still has last for another LOCK_SECONDS."""
        prefix = _prefix(era, organization_id)
        await self._run(era, RENEW, [f"{prefix}load:{key}" for key in keys], token, _LOCK_MS)

    async def release(
        self, era: Era, organization_id: int, keys: Sequence[str], token: bytes
    ) -> None:
        """Release the locks and push that to who waits."""
        prefix = _prefix(era, organization_id)
        both = [f"{prefix}{kind}:{key}" for key in keys for kind in ("entry", "load")]
        await self._run(era, RELEASE, both, token, self._channels.loaded)

    async def invalidate(
        self, era: Era, organization_id: int, tags: Sequence[str], number: int
    ) -> None:
        """Delete the tags' guards and publish the tags; repeats are harmless."""
        guards = [self.guard_key(era, organization_id, tag) for tag in tags]
        text = self._channels.publication(number, organization_id, tags)
        await self._run(era, INVALIDATE, guards, self._channels.invalidated, text)

    def acknowledge(self, publisher: str, number: int, member: str) -> None:
        """Tell a publisher that this member has heard of what it published."""
        channel = self._channels.acknowledged_to(publisher)
        self._connection.post("PUBLISH", channel, self._channels.acknowledgement(number, member))

    async def identity(self) -> str | None:
        """Return who the server is if it is a primary that takes writes, else None."""
        info = read_info(_checked(await self._connection.call("INFO", "replication")))
        if info["role"] != "master":
            return None
        # What an invalidation needs: a full server takes it, a read-only one does not.
        _checked(await self._connection.call("DEL", "chairside:probe"))
        return f"{self._connection.run_id}:{info['master_replid']}"

    async def seek(self) -> bool:
        """Look for the primary again; False if there is only the one address."""
        if self._connection.fixed:
            return False
        self._connection.drop()
        return True

    async def used_memory(self) -> int:
        """Return the bytes that the server uses."""
        info = read_info(_checked(await self._connection.call("INFO", "memory")))
        return int(info["used_memory"])

    async def _run(
        self, era: Era, script: Script, keys: Sequence[str], *arguments: str | bytes | int
    ) -> Any:
        """Run a script by its digest, and by its text where the server forgot it."""
        run_id, _, history = era.store.partition(":")
        if run_id != self._connection.run_id:
            message = "this is not the server in force"
            raise StoreUnavailableError(message)
        rest = (len(keys), *keys, history, *arguments)
        reply = await self._connection.call("EVALSHA", script.digest, *rest)
        if isinstance(reply, hiredis.ReplyError) and str(reply).startswith("NOSCRIPT"):
            if run_id != self._connection.run_id:
                message = "this is not the server in force"
                raise StoreUnavailableError(message)
            reply = await self._connection.call("EVAL", script.text, *rest)
        return _checked(reply)


@lru_cache(maxsize=4096)
def _prefix(era: Era, organization_id: int) -> str:
    return f"chairside:{{{organization_id}}}:{era.name}:"


def _checked(reply: Any) -> Any:
    if isinstance(reply, hiredis.ReplyError):
        raise StoreUnavailableError(str(reply))
    return reply
