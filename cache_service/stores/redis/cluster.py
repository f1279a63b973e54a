"""The primaries of a Redis Cluster, which change with failovers and when slots are moved."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from cache_service.coherence.ports import StoreUnavailableError
from cache_service.coherence.waiting import gathered
from cache_service.stores.redis.address import Address, Fixed
from cache_service.stores.redis.identity import SLOTS, identity_of, ranges_of, slot_of
from cache_service.stores.redis.servers import Changed, Connect, Node, Servers

__all__ = ["Cluster"]

_PAUSE = 0.1
_MOVED = "MOVED ", "ASK ", "TRYAGAIN ", "CLUSTERDOWN "
_OPEN_SLOT = b" ["
"""What CLUSTER NODES has of slots that are being moved, and of nothing else."""


class _Primary(NamedTuple):
    """A primary: the name that it has for good, and its slots."""

    name: str
    slots: str


_Map = Mapping[_Primary, tuple[str, int]]
"""The primaries that have all slots between them, and where each is."""


class _Place:
    """Where a primary is now: it may come back elsewhere, and is the same."""

    fixed = False

    def __init__(self, address: Address) -> None:
        self.address = address

    async def __call__(self) -> Address:
        return self.address

    async def close(self) -> None:
        pass


class Cluster(Servers):
    """A connection to each primary, and none to a replica.

    An organization's keys are all in one slot, and so on one primary, whose connection also
    brings what is published of them; nothing is of more than one organization. While one
    primary is away the whole cluster is: what is in force is the identity of all of them, so
    that a failover turns the cache off and on again, as that of a single server does.

    Where the primaries are is asked of themselves, or of the `seeds` while none is connected:
    at first, whenever the identity is asked for, when a server says that a slot is not its
    own, and ten times a second while a connection is lost.
    """

    def __init__(self, seeds: Sequence[Address], connect: Connect, changed: Changed) -> None:
        self._seeds = seeds
        self._connect = connect
        self._changed = changed
        self._nodes: dict[_Primary, Node] = {}
        self._places: dict[_Primary, _Place] = {}
        self._by_slot: list[Node] = []
        self._turn = asyncio.Lock()  # only one may change the nodes at a time
        self._looking: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def nodes(self) -> Collection[Node]:
        """The primaries that are known."""
        return self._nodes.values()

    def node(self, organization_id: int) -> Node | None:
        """Return the primary that has an organization's slot, if any is known."""
        return self._by_slot[slot_of(organization_id)] if self._by_slot else None

    async def open(self) -> None:
        """Connect if that works now; go on trying behind if it does not."""
        try:
            await self._look()
        except StoreUnavailableError as error:
            self._changed(str(error))
        if not self.connected:
            self._look_again()

    async def close(self) -> None:
        """Fail what waits and stop connecting."""
        self._closed = True
        if self._looking is not None:
            self._looking.cancel()
            with suppress(asyncio.CancelledError):
                await self._looking
        await super().close()

    async def identity(self) -> str | None:
        """Return who the primaries are if all take writes and agree on who has which slots.

        None, too, while slots are being moved: what a server then has of them only in part, it
        refuses, and so the first invalidation of that turns the cache off until it is over.
        """
        nodes = list(self._nodes.values())
        maps = await gathered(node.call("CLUSTER", "SLOTS") for node in nodes)
        states = await gathered(node.call("CLUSTER", "NODES") for node in nodes)
        shards = [shard for shard in await gathered(node.shard() for node in nodes) if shard]
        if any(_read(one, "").keys() != self._nodes.keys() for one in maps):
            self._look_again()
            return None
        if not nodes or len(shards) < len(nodes) or any(_OPEN_SLOT in state for state in states):
            return None
        return identity_of(shards)

    async def seek(self) -> bool:
        """Return False: whoever asks has just asked for the identity, and so all of them."""
        return False

    def refused(self, error: str) -> None:
        """Look where the primaries are if a server says that it has not a slot."""
        if error.startswith(_MOVED):
            self._look_again()

    def _look_again(self) -> None:
        if not self._closed and (self._looking is None or self._looking.done()):
            self._looking = asyncio.ensure_future(self._keep_looking())

    async def _keep_looking(self) -> None:
        """Look once, and on until all are connected."""
        while True:
            with suppress(StoreUnavailableError):
                await self._look()
            await asyncio.sleep(_PAUSE)
            if self.connected:
                return

    async def _look(self) -> None:
        """Ask where the primaries are, connect to those that are new, and leave former ones."""
        async with self._turn:
            found = await self._ask()
            for primary, (host, port) in found.items():
                address = replace(self._seeds[0], host=host, port=port)
                self._places.setdefault(primary, _Place(address)).address = address
            if found.keys() == self._nodes.keys():
                return
            former = [self._nodes.pop(one) for one in self._nodes.keys() - found.keys()]
            new = [self._add(primary) for primary in found.keys() - self._nodes.keys()]
            self._by_slot = _by_slot(self._nodes)
            if former:
                self._changed("the cluster has other primaries, or other slots for them")
            await gathered(node.connection.close() for node in former)
            await gathered(node.connection.open() for node in new)

    def _add(self, primary: _Primary) -> Node:
        node = self._connect(self._places[primary], partial(self._told, primary), primary.slots)
        self._nodes[primary] = node
        return node

    def _told(self, primary: _Primary, why: str | None) -> None:
        """Take note that the connection to a primary is there, or why it is not any more."""
        if self._closed or primary not in self._nodes:
            return
        if why is not None:
            self._changed(why)
            self._look_again()
        elif self.connected:
            self._changed(None)

    async def _ask(self) -> _Map:
        """Return what most of the primaries say, or the first that knows all of the seeds.

        Raises StoreUnavailableError with what is wrong at each of them.
        """
        asked = [
            _ask(node, self._places[primary].address)
            for primary, node in self._nodes.items()
            if node.connection.connected
        ]
        said = Counter(tuple(sorted(one.items())) for one in await gathered(asked) if one)
        if said:
            ((found, _),) = said.most_common(1)
            return dict(found)
        whys: dict[str, str] = {}
        for address in (*self._seeds, *(place.address for place in self._places.values())):
            changes: list[str | None] = []
            node = replace(self._connect, hear=None)(Fixed(address), changes.append)
            try:
                await node.connection.open()
                if at := _read(await node.call("CLUSTER", "SLOTS"), address.host):
                    return at
                why = "there are slots that none has"
            except StoreUnavailableError as error:
                why = changes[0] or str(error)
            finally:
                await node.connection.close()
            whys[f"{address.host}:{address.port}"] = why
        message = "; ".join(f"{place}: {why}" for place, why in whys.items())
        raise StoreUnavailableError(message)


async def _ask(node: Node, address: Address) -> _Map:
    """Ask a server where the primaries are; nothing if it does not know that of all slots."""
    with suppress(StoreUnavailableError):
        return _read(await node.call("CLUSTER", "SLOTS"), address.host)
    return {}


def _read(reply: Sequence[Any], asked: str) -> _Map:
    """Read the answer of CLUSTER SLOTS; a server without a name of its own is the one `asked`."""
    slots = defaultdict[str, list[tuple[int, int]]](list)
    places: dict[str, tuple[str, int]] = {}
    for first, last, (host, port, name, *_), *_ in sorted(reply, key=lambda one: int(one[0])):
        slots[name.decode()].append((first, last))
        places[name.decode()] = (host or b"").decode() or asked, int(port)
    if sum(last - first + 1 for ranges in slots.values() for first, last in ranges) != SLOTS:
        return {}
    return {
        _Primary(name, "+".join(f"{first}-{last}" for first, last in ranges)): places[name]
        for name, ranges in slots.items()
    }


def _by_slot(nodes: Mapping[_Primary, Node]) -> list[Node]:
    found = {
        slot: node
        for primary, node in nodes.items()
        for slots in ranges_of(primary.slots)
        for slot in slots
    }
    return [found[slot] for slot in range(SLOTS)]
