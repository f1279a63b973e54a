"""The `Store` of the protocol in Redis.

Keys are readable and put one organization into one hash slot:
`chairside:{1}:3f9a2c01:entry:availability:barber:7:...` and
`chairside:{1}:3f9a2c01:guard:day:7:2018-05-24`, where the third part is the epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import hiredis

from cache_service.coherence.entry import NONCE_BYTES
from cache_service.coherence.ports import Filled, StoreUnavailableError
from cache_service.stores.redis.connection import MultiplexedConnection
from cache_service.stores.redis.scripts import CLAIM, INVALIDATE, PUT, Script

__all__ = ["GUARD_LIFETIME_MS", "RedisStore"]

GUARD_LIFETIME_MS = 24 * 3600 * 1000
"""Renewed by every fill. A guard that expires costs misses and nothing else."""


class RedisStore:
    """Entries and guards of one epoch, over one multiplexed connection.

    Until it was told an epoch it is as if Redis did not answer. `random` gives that many
    random bytes. Every method raises StoreUnavailableError if Redis does not answer in
    time or refuses (out of memory, read-only, loading).
    """

    def __init__(self, connection: MultiplexedConnection, random: Callable[[int], bytes]) -> None:
        self._connection = connection
        self._random = random
        self._epoch = ""

    def adopt(self, epoch: str) -> None:
        """Use the entries and guards of this epoch from now on; before, there are none."""
        self._epoch = epoch

    def full_key(self, organization_id: int, key: str) -> str:
        """Return the name of an entry in Redis."""
        return f"chairside:{{{organization_id}}}:{self._epoch}:entry:{key}"

    def guard_key(self, organization_id: int, tag: str) -> str:
        """Return the name of a guard in Redis."""
        return f"chairside:{{{organization_id}}}:{self._epoch}:guard:{tag}"

    def channel(self, organization_id: int) -> str:
        """Return the channel on which the organization's invalidations are published."""
        return f"chairside:{{{organization_id}}}:{self._epoch}:invalidated"

    async def fetch(
        self, organization_id: int, keys: Sequence[str], tags: Sequence[str]
    ) -> tuple[Sequence[bytes | None], Sequence[bytes | None]]:
        """Return entries and guards with one MGET; what is missing is None."""
        self._ready()
        prefix = f"chairside:{{{organization_id}}}:{self._epoch}:"
        reply = _checked(
            await self._connection.call(
                "MGET",
                *[f"{prefix}entry:{key}" for key in keys],
                *[f"{prefix}guard:{tag}" for tag in tags],
            )
        )
        return reply[: len(keys)], reply[len(keys) :]

    async def claim(self, organization_id: int, tags: Sequence[str]) -> Sequence[bytes]:
        """Return the tags' guards, giving the missing ones a fresh nonce each."""
        guards = [self.guard_key(organization_id, tag) for tag in tags]
        pool = self._random(NONCE_BYTES * len(tags))
        nonces = [pool[at : at + NONCE_BYTES] for at in range(0, len(pool), NONCE_BYTES)]
        found: list[bytes] = await self._run(CLAIM, guards, *nonces, GUARD_LIFETIME_MS)
        return found

    async def put(self, organization_id: int, filled: Filled) -> bool:
        """Store the entry only if every guard still has its nonce; tell whether it was."""
        keys = [self.full_key(organization_id, filled.key)]
        keys += [self.guard_key(organization_id, tag) for tag in filled.tags]
        lifetime = max(1, round(filled.ttl * 1000))
        stored = await self._run(PUT, keys, filled.raw, lifetime, GUARD_LIFETIME_MS, *filled.nonces)
        return bool(stored)

    async def invalidate(self, organization_id: int, tags: Sequence[str]) -> None:
        """Delete the tags' guards and publish the tags; repeats are harmless."""
        guards = [self.guard_key(organization_id, tag) for tag in tags]
        await self._run(INVALIDATE, guards, self.channel(organization_id), "\n".join(tags))

    async def used_memory(self) -> int:
        """Return the bytes that the server uses."""
        text = _checked(await self._connection.call("INFO", "memory")).decode()
        fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        return int(fields["used_memory"])

    def _ready(self) -> None:
        if not self._epoch:
            message = "no epoch is known yet"
            raise StoreUnavailableError(message)

    async def _run(self, script: Script, keys: Sequence[str], *arguments: str | bytes | int) -> Any:
        """Run a script by its digest, and by its text where the server forgot it."""
        self._ready()
        rest = (len(keys), *keys, *arguments)
        reply = await self._connection.call("EVALSHA", script.digest, *rest)
        if isinstance(reply, hiredis.ReplyError) and str(reply).startswith("NOSCRIPT"):
            reply = await self._connection.call("EVAL", script.text, *rest)
        return _checked(reply)


def _checked(reply: Any) -> Any:
    if isinstance(reply, hiredis.ReplyError):
        raise StoreUnavailableError(str(reply))
    return reply
