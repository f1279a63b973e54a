"""Faults of Valkey: gone, frozen, full, and come back with what it had forgotten."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from tests.faults.processes import family, frozen
from tests.faults.scene import Effect, Fault, Scene
from tests.faults.valkeys import Valkeys

__all__ = ["valkey_faults"]


def valkey_faults() -> dict[str, Fault]:
    """Return the faults by their kinds; each ends with a primary and a replica."""
    return {
        "Valkey killed, empty again": _restarted(from_dump=False),
        "Valkey frozen": _frozen,
        "Valkey replica killed": _replica_killed,
        "Valkey replica frozen": _replica_frozen,
        "Valkey flushed": _flushed,
        "Valkey evicting": _configured(_small("allkeys-lru", 20_000), "evicted_keys"),
        "Valkey out of memory": _configured(_small("noeviction", 100_000), "errorstat_OOM"),
        "Valkey read-only": _configured(_read_only, "errorstat_NOREPLICAS"),
        "Valkey restarted from a dump": _restarted(from_dump=True),
        "Valkey killed, replica promoted": _promoted(_kill, cut_off=False),
        "Valkey killed, late replica promoted": _promoted(_kill, cut_off=True),
        "Valkey frozen, late replica promoted": _promoted(_freeze, cut_off=True),
        "Valkey demoted and promoted again": _demoted,
        "Valkey split in two": _split,
    }


def _restarted(*, from_dump: bool) -> Fault:
    @asynccontextmanager
    async def fault(scene: Scene) -> AsyncIterator[Effect]:
        valkeys = scene.cluster.valkeys
        primary = valkeys.primary
        before = primary.pid
        if from_dump:
            await valkeys.ask(primary, "SAVE")
            await _go_on(scene)
        await primary.kill()
        if not from_dump:
            yield lambda: asyncio.sleep(0, int(primary.pid != before))
            await primary.start()
        else:
            # At once: whoever had found it away might think that all is lost.
            missed = await _missed(scene)
            await primary.start(from_dump=True)
            size = await valkeys.size(primary)
            yield lambda: missed(size)
        await valkeys.restore()

    return fault


async def _go_on(scene: Scene) -> None:
    """Let the load change something."""
    await asyncio.sleep(scene.random.uniform(0.3, 0.8))


async def _missed(scene: Scene) -> Callable[[int], Awaitable[int]]:
    """Return what counts the misses from now on, if there were so many keys to lose."""
    cluster = scene.cluster
    before = await cluster.misses()

    async def missed(keys: int) -> int:
        pairs = zip(await cluster.misses(), before, strict=True)
        # One that was started anew counts from zero.
        grown = [max(0, new - old) for new, old in pairs if new is not None and old is not None]
        return sum(grown) if keys else 0

    return missed


@asynccontextmanager
async def _frozen(scene: Scene) -> AsyncIterator[Effect]:
    async with frozen(family(scene.cluster.valkeys.primary)) as stopped:
        yield lambda: asyncio.sleep(0, stopped)


@asynccontextmanager
async def _replica_killed(scene: Scene) -> AsyncIterator[Effect]:
    valkeys = scene.cluster.valkeys
    before = valkeys.replica.pid
    await valkeys.replica.kill()
    yield lambda: asyncio.sleep(0, int(valkeys.replica.pid != before))
    await valkeys.restore()


@asynccontextmanager
async def _replica_frozen(scene: Scene) -> AsyncIterator[Effect]:
    async with frozen(family(scene.cluster.valkeys.replica)) as stopped:
        yield lambda: asyncio.sleep(0, stopped)


@asynccontextmanager
async def _flushed(scene: Scene) -> AsyncIterator[Effect]:
    valkeys = scene.cluster.valkeys
    missed = await _missed(scene)
    size = await valkeys.size(valkeys.primary)
    await valkeys.ask(valkeys.primary, "FLUSHALL")
    yield lambda: missed(size)


Configure = Callable[[dict[str, str]], dict[str, tuple[str, str]]]
"""From the server's counters to settings: what they are meanwhile, and afterwards."""


def _configured(configure: Configure, counter: str) -> Fault:
    @asynccontextmanager
    async def fault(scene: Scene) -> AsyncIterator[Effect]:
        valkeys = scene.cluster.valkeys
        primary = valkeys.primary
        info = await valkeys.info(primary)
        before = after = _count(info, counter)
        settings = configure(info)
        for name, (value, _) in settings.items():
            await valkeys.ask(primary, "CONFIG", "SET", name, value)

        async def effect() -> int:
            return after - before

        try:
            yield effect
        finally:
            after = _count(await valkeys.info(primary), counter)
            for name, (_, value) in settings.items():
                await valkeys.ask(primary, "CONFIG", "SET", name, value)

    return fault


def _small(policy: str, missing: int) -> Configure:
    """Give it less memory than it uses: something must go at once, or nothing may come."""

    def configure(info: dict[str, str]) -> dict[str, tuple[str, str]]:
        memory = str(int(info["used_memory"]) - missing)
        return {"maxmemory-policy": (policy, policy), "maxmemory": (memory, "0")}

    return configure


def _read_only(_: dict[str, str]) -> dict[str, tuple[str, str]]:
    return {"min-replicas-to-write": ("2", "0")}


def _count(info: dict[str, str], counter: str) -> int:
    return int(info.get(counter, "0").rpartition("=")[2])


async def _kill(valkeys: Valkeys) -> None:
    await valkeys.primary.kill()


async def _freeze(valkeys: Valkeys) -> None:
    valkeys.primary.signal(signal.SIGSTOP)


def _promoted(end: Callable[[Valkeys], Awaitable[None]], *, cut_off: bool) -> Fault:
    """End the primary, and lead all to the replica, which is behind if it was cut off."""

    @asynccontextmanager
    async def fault(scene: Scene) -> AsyncIterator[Effect]:
        valkeys = scene.cluster.valkeys
        await valkeys.caught_up()
        if cut_off:
            valkeys.cut_off()
            await _go_on(scene)
        missed = await _missed(scene)
        await end(valkeys)
        await valkeys.promote()
        size = await valkeys.size(valkeys.primary)
        try:
            yield lambda: missed(size)
        finally:
            await valkeys.restore()

    return fault


@asynccontextmanager
async def _demoted(scene: Scene) -> AsyncIterator[Effect]:
    """Make the primary take over what a late replica has, and go on as primary with it."""
    valkeys = scene.cluster.valkeys
    await valkeys.caught_up()
    valkeys.cut_off()
    await _go_on(scene)
    missed = await _missed(scene)
    await valkeys.demote()
    size = await valkeys.size(valkeys.primary)
    await _go_on(scene)
    await valkeys.ask(valkeys.primary, "REPLICAOF", "NO", "ONE")
    try:
        yield lambda: missed(size)
    finally:
        await valkeys.restore()


@asynccontextmanager
async def _split(scene: Scene) -> AsyncIterator[Effect]:
    """Lead one process to the replica, which is made a primary, and the other not."""
    valkeys = scene.cluster.valkeys
    await valkeys.caught_up()
    replica = valkeys.replica
    before = await valkeys.info(replica)
    await valkeys.promote([scene.random.choice(valkeys.clients)])
    asked = 0

    async def effect() -> int:
        return asked

    try:
        yield effect
    finally:
        after = await valkeys.info(replica)
        asked = _commands(after) - _commands(before)
        await valkeys.restore()


def _commands(info: dict[str, str]) -> int:
    return int(info["total_commands_processed"])
