"""The era: between which database and which Redis, under which epoch, answers are cached."""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

__all__ = ["Era"]

_NAME_BYTES = 8


class Era(NamedTuple):
    """What must be the same for an entry to be right: another era is another cache.

    `database` is the system identifier and the timeline of Postgres, `epoch` the random one
    in force, `store` the identity of Redis. A restart, a failover or a resync of either
    brings back what was deleted, so each of them makes another era.
    """

    database: str
    epoch: str
    store: str

    @property
    def name(self) -> str:
        """Return 16 hex digits that stand for the era in every key."""
        whole = "|".join(self)
        return blake2b(whole.encode(), digest_size=_NAME_BYTES).hexdigest()
