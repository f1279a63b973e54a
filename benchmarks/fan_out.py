"""What an invalidation costs by the number of processes: measured parts, simulated queues.

The parts are the protocol's own: some members in one process of ours, each with its memory
and its connection to a real Valkey, hear what one of them invalidates and acknowledge it.
What one more member costs the processes and Valkey is what the simulation reckons with.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from redis.asyncio import Redis

from benchmarks.errors import BenchmarkError
from benchmarks.queueing import Costs, most_per_second, waits
from benchmarks.report import Bound, Section
from cache_service.coherence.authority import Standing, bound
from cache_service.coherence.invalidator import MEMBER_PATIENCE, Invalidator
from cache_service.coherence.lease import Lease
from cache_service.coherence.memory import Memory
from cache_service.coherence.peers import Peers, Publication
from cache_service.coherence.pushes import Pushes
from cache_service.stores.redis.channels import Channels
from cache_service.stores.redis.servers import Connect, Servers
from cache_service.stores.redis.store import RedisStore
from cache_service.stores.redis.urls import servers_of
from devstack.valkey import ValkeyServer
from service_kit.clock import elapsed

__all__ = ["measure"]

_PROCESSES = (1, 2, 4, 8, 16, 32, 64, 128)
_FEW, _MANY = 2, 26
"""Members of which the costs are measured; the difference is what the others cost."""
_TAGS = {f"day:1:2030-01-{day:02}" for day in range(1, 5)}
_ORGANIZATION = 7
_BUSY = 0.7
"""The most that anybody shall be busy with invalidations."""
_SIMULATED = 400
_PATIENCE = 10.0


class _Counts:
    """Counts that nobody reads."""

    fences = expulsions = 0

    def invalidated(self, tags: int, seconds: float) -> None:
        """Count nothing."""


class _Authority:
    """An authority that costs nothing, and never changes."""

    def __init__(self, store: str, members: Collection[str]) -> None:
        self._standing = Standing(
            "1-1", "e", bound(store, "1-1"), 1, dict.fromkeys(members, False), "1:1:"
        )

    async def look(self) -> Standing:
        """Return what is in force."""
        return self._standing

    async def never(self, *_: object) -> None:
        """Refuse: nobody is to be expelled, and the cache is to stay on."""
        message = "a member did not acknowledge in time: the machine is too busy for this"
        raise BenchmarkError(message)

    turn_off = turn_on = demand_rules = register = expel = remove = never


class _Member:
    """One process's part in invalidations; `mute` members acknowledge nothing."""

    def __init__(self, url: str, *, mute: bool) -> None:
        self.name = str(uuid.uuid4())
        self.memory = Memory(1_000_000, time.time)
        pushes = Pushes()
        self.peers = Peers(self.memory, self.name, self._acknowledge, asyncio.sleep)
        self.peers.member = None if mute else self.name

        def hear(channels: Channels, channel: bytes, text: bytes) -> None:
            channels.read(channel, text, self.peers, pushes)

        connect = Connect(self.name, _PATIENCE, hear)
        self.servers: Servers = servers_of(url, connect, lambda _why: None)
        self.store = RedisStore(self.servers, os.urandom)

    def _acknowledge(self, publication: Publication, member: str) -> None:
        self.store.acknowledge(publication, member)


@dataclass(frozen=True, slots=True)
class _Work:
    """Seconds of work for one invalidation: of all members together, and of Valkey."""

    members: float
    valkey: float


async def measure(calls: int) -> list[Section]:
    """Invalidate so often with few and with many members. Raises BenchmarkError."""
    with tempfile.TemporaryDirectory(prefix="chairside-fan-out-") as name:
        async with ValkeyServer(Path(name)) as valkey, Redis.from_url(valkey.url) as client:
            found = {}
            for members in (_FEW, _MANY):
                for mute in (True, False):
                    async with _invalidating(valkey.url, members, mute=mute) as invalidator:
                        found[members, mute] = await _work(invalidator, client, calls)
    return [_section(_costs(found), calls)]


@asynccontextmanager
async def _invalidating(url: str, number: int, *, mute: bool) -> AsyncIterator[Invalidator]:
    members = [_Member(url, mute=mute) for _ in range(number)]
    try:
        for member in members:
            await member.servers.open()
        first = members[0]
        store = await first.servers.identity()
        authority = _Authority(store or "", [] if mute else [one.name for one in members])
        lease = Lease(elapsed)
        lease.learn(await authority.look())
        yield Invalidator(
            store=first.store,
            authority=authority,
            lease=lease,
            peers=first.peers,
            observer=_Counts(),
            rules_version=1,
            clock=elapsed,
            sleep=asyncio.sleep,
        )
    finally:
        for member in members:
            await member.servers.close()


async def _work(invalidator: Invalidator, client: Redis, calls: int) -> _Work:
    async def used() -> float:
        cpu = await client.info("cpu")
        return float(cpu["used_cpu_user"]) + float(cpu["used_cpu_sys"])

    await invalidator.invalidate({_ORGANIZATION: _TAGS})
    valkey, members = await used(), time.process_time()
    for _ in range(calls):
        await invalidator.invalidate({_ORGANIZATION: _TAGS})
    took = time.process_time() - members
    return _Work(took / calls, (await used() - valkey) / calls)


def _costs(found: dict[tuple[int, bool], _Work]) -> Costs:
    """Part the work: mute members only hear, the others acknowledge besides."""
    more = _MANY - _FEW

    def slope(*, mute: bool) -> _Work:
        few, many = found[_FEW, mute], found[_MANY, mute]
        return _Work((many.members - few.members) / more, (many.valkey - few.valkey) / more)

    heard, answered = slope(mute=True), slope(mute=False)
    acknowledging = max(0.0, answered.members - heard.members)
    few = found[_FEW, True]
    return Costs(
        script=max(0.0, few.valkey - _FEW * heard.valkey),
        tell=heard.valkey,
        give_on=max(0.0, answered.valkey - heard.valkey),
        publish=max(0.0, few.members - _FEW * heard.members),
        # Half of what acknowledging costs falls to who sends it, half to who is told.
        hear=heard.members + acknowledging / 2,
        acknowledged=acknowledging / 2,
    )


def _section(costs: Costs, calls: int) -> Section:
    rows, took, random = [], [0.0], Random(1)  # noqa: S311 - the same each time
    for processes in _PROCESSES:
        most, busiest = most_per_second(costs, processes, _BUSY)
        took = waits(costs, processes, most / 2, _SIMULATED, random)
        rows.append(
            (
                str(processes),
                f"{costs.redis(processes) * 1e6:,.0f}",
                f"{costs.each(processes) * 1e6:,.0f}",
                f"{most:,.0f}",
                busiest,
                f"{took[len(took) // 2] * 1000:.1f} ms",
                f"{took[int(len(took) * 0.99)] * 1000:.1f} ms",
            )
        )
    return Section(
        title="Invalidations by the number of processes",
        command=f"python -m benchmarks fan_out --calls {calls}",
        about=(
            "Microseconds of work of Valkey and of each process for one invalidation of four\n"
            f"tags; how many a second keep the busiest {_BUSY:.0%} busy, all processes together;\n"
            "and how long one takes at half of that, as queues simulate it. The work is measured\n"
            f"with {_FEW} and {_MANY} members of the real protocol over Valkey, {calls:,} calls"
            " each: a script\n"
            f"{costs.script * 1e6:.0f}, telling a process {costs.tell * 1e6:.1f}, giving an"
            f" acknowledgement on {costs.give_on * 1e6:.1f} (Valkey); publishing\n"
            f"{costs.publish * 1e6:.0f}, hearing and acknowledging {costs.hear * 1e6:.0f}, being"
            f" told {costs.acknowledged * 1e6:.0f} (a process; the call itself is not\n"
            "in it). Assumed: 0.1 ms through the network and 1 ms for the look at Postgres."
        ),
        columns=(
            "Processes",
            "Valkey",
            "Each process",
            "Most a second",
            "Which limits",
            "Median",
            "99 % within",
        ),
        rows=rows,
        bounds=(
            # Who has not acknowledged by then is expelled.
            Bound.at_most(
                f"milliseconds, 99 % with {_PROCESSES[-1]} processes",
                MEMBER_PATIENCE * 1000,
                took[int(len(took) * 0.99)] * 1000,
            ),
        ),
    )
