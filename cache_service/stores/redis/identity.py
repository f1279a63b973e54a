"""Who the shared cache is: one server, or the primaries of a cluster with the slots of each.

`run_id:master_replid` names a server; of a cluster's primaries each is named with its slots,
as `run_id:master_replid:0-5460`, and commas between them. So an identity says by itself on
which server an organization's guards are, and that cannot change but with the identity: what
another server has of them, e.g. copied there when slots were moved, is of no account.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

__all__ = ["SLOTS", "Shard", "identity_of", "ranges_of", "shard_of", "slot_of", "tag_of"]

SLOTS = REDIS_CLUSTER_HASH_SLOTS


class Shard(NamedTuple):
    """A server, the history that its data has, and its slots, as `0-99+200-299`.

    Of the one server of all keys the slots are empty.
    """

    run_id: str
    history: str
    slots: str = ""


def identity_of(shards: Iterable[Shard]) -> str:
    """Write who the shared cache is; the order of the shards does not matter."""
    return ",".join(sorted(":".join(filter(None, shard)) for shard in shards))


@lru_cache(maxsize=4096)
def shard_of(identity: str, organization_id: int) -> Shard | None:
    """Return the shard that has an organization's keys; None if the identity names none."""
    for part in identity.split(","):
        run_id, _, rest = part.partition(":")
        history, _, slots = rest.partition(":")
        if not slots or any(slot_of(organization_id) in one for one in ranges_of(slots)):
            return Shard(run_id, history, slots)
    return None


def ranges_of(slots: str) -> list[range]:
    """Read slots."""
    pairs = (one.split("-") for one in slots.split("+"))
    return [range(int(first), int(last) + 1) for first, last in pairs]


def slot_of(organization_id: int) -> int:
    """Return the slot of an organization's keys, which all have its id in braces."""
    return int(key_slot(b"%d" % organization_id))


@lru_cache(maxsize=1024)
def tag_of(slots: str) -> int:
    """Return the least number that, in braces, puts a name into one of these slots."""
    ranges, number = ranges_of(slots or f"0-{SLOTS - 1}"), 0
    while not any(slot_of(number) in one for one in ranges):
        number += 1
    return number
