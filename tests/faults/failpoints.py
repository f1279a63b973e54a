"""Processes killed or frozen at named points, which are found on the wire by what is sent there.

So the services need no code for it. A point is reached once in each fault; what was about to
be sent there is sent, or withheld: lost with a process that is killed, late with one that is
frozen.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import NamedTuple

import psutil

from devstack.children import Child
from tests.faults.processes import ended, family, replaced, worker_of, workers
from tests.faults.proxy import Direction, Link, Proxy
from tests.faults.scene import Effect, Fault, Scene

__all__ = ["failpoints"]

Reached = Callable[[Link, Direction, bytes], bool]
"""Tells whether these bytes are at the point; made anew for each fault, as it remembers."""

_OFTEN = 0.4
"""How often a process is struck that comes by; it comes again."""
_PATIENCE = 2.0
"""How much longer than other faults this one waits for somebody to come by, in seconds."""
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_FRAME_HEADER = 9


class _Point(NamedTuple):
    """Where: on the connections of `link`, of which `side` is what is struck.

    `withheld` bytes do not arrive (in time). `cut` is a link that must be cut meanwhile, or
    nobody comes by.
    """

    side: str
    link: str
    reached: Callable[[], Reached]
    withheld: bool = False
    cut: str = ""


def failpoints() -> dict[str, Fault]:
    """Return the faults by their kinds."""
    found: dict[str, Fault] = {}
    for where, point in _points().items():
        found[f"{point.side} killed {where}"] = _struck(point, kill=True)
        found[f"{point.side} frozen {where}"] = _struck(point, kill=False)
    return found


def _points() -> dict[str, _Point]:
    commit = _asked(b"COMMIT;")
    invalidate = _asked(b"EVAL", b"invalidated")
    return {
        "before COMMIT": _Point("booking", "booking-postgres", commit, withheld=True),
        "in COMMIT": _Point("booking", "booking-postgres", commit),
        "after COMMIT": _Point("booking", "booking-postgres", _answered(commit)),
        "in Invalidate": _Point("booking", "booking-cache", _message(Direction.REQUESTS)),
        "after Invalidate": _Point("booking", "booking-cache", _message(Direction.REPLIES)),
        "at an Invalidate": _Point("cache", "booking-cache", _message(Direction.REQUESTS)),
        "before the script": _Point("cache", "cache-redis", invalidate, withheld=True),
        "after the script": _Point("cache", "cache-redis", _answered(invalidate)),
        "in a fill, before its data": _Point(
            "cache", "cache-postgres", _asked(b"READ ONLY"), withheld=True
        ),
        "in a fill, after its data": _Point("cache", "cache-postgres", _read_only_commit),
        "in a fill, before storing": _Point("cache", "cache-redis", _asked(b"CSE"), withheld=True),
        "in the relay, before applying": _Point(
            "cache", "cache-postgres", _outbox_shown, cut="booking-cache"
        ),
        "in the relay, before deleting": _Point(
            "cache", "cache-postgres", _asked(b'[{"xid": "'), withheld=True, cut="booking-cache"
        ),
    }


def _asked(*words: bytes) -> Callable[[], Reached]:
    def make() -> Reached:
        return lambda _, direction, data: (
            direction is Direction.REQUESTS and all(word in data for word in words)
        )

    return make


def _answered(question: Callable[[], Reached]) -> Callable[[], Reached]:
    def make() -> Reached:
        asks, asking = question(), set[Link]()

        def reached(link: Link, direction: Direction, data: bytes) -> bool:
            if asks(link, direction, data):
                asking.add(link)
            elif direction is Direction.REPLIES and link in asking:
                asking.discard(link)
                return True
            return False

        return reached

    return make


def _message(wanted: Direction) -> Callable[[], Reached]:
    """Find gRPC messages; between the services all are Invalidates."""

    def make() -> Reached:
        return lambda _, direction, data: direction is wanted and _has_data_frame(data)

    return make


def _has_data_frame(data: bytes) -> bool:
    """Tell whether HTTP/2 frames, which are sent whole as they are small, have DATA in them."""
    at = len(_PREFACE) if data.startswith(_PREFACE) else 0
    while at + _FRAME_HEADER <= len(data):
        length = int.from_bytes(data[at : at + 3], "big")
        if data[at + 3] == 0 and length:
            return True
        at += _FRAME_HEADER + length
    return False


def _read_only_commit() -> Reached:
    """Find the COMMIT of a fill: its transaction has read the data then."""
    reading = set[Link]()

    def reached(link: Link, direction: Direction, data: bytes) -> bool:
        if direction is not Direction.REQUESTS:
            return False
        if b"READ ONLY" in data:
            reading.add(link)
        return b"COMMIT;" in data and link in reading

    return reached


def _outbox_shown() -> Reached:
    """Find rows of the outbox, whose events are JSON."""
    return lambda _, direction, data: (
        direction is Direction.REPLIES and b'"organization_id"' in data
    )


def _struck(point: _Point, *, kill: bool) -> Fault:
    @asynccontextmanager
    async def fault(scene: Scene) -> AsyncIterator[Effect]:
        cluster = scene.cluster
        number = scene.random.randrange(2)
        processes = cluster.bookings if point.side == "booking" else cluster.caches
        # A booking process's proxy to the caches leads to that cache process, too.
        process, proxy = processes[number], cluster.proxies[point.link][number]
        reached = point.reached()
        struck, over = list[Link](), asyncio.Event()
        crew = len(workers(process))
        # Of several workers all are struck or, as often, only the one that comes by.
        alone = crew > 0 and scene.random.random() < 0.5
        victims: list[psutil.Process] = []

        def tap(link: Link, direction: Direction, data: bytes) -> bool:
            if struck or not reached(link, direction, data) or scene.random.random() > _OFTEN:
                return False
            struck.append(link)
            over.set()
            victim = worker_of(process, link) if alone else None
            victims.extend(family(process) if victim is None else [victim])
            for one in victims:
                with suppress(psutil.NoSuchProcess):
                    one.send_signal(signal.SIGKILL if kill else signal.SIGSTOP)
            if not point.withheld:
                return False
            if kill:
                link.abort()
                return True
            link.pipes[direction].held = True
            return False

        async with AsyncExitStack() as healing:
            if point.cut:
                _cut(cluster.proxies[point.cut], healing)
            proxy.taps.append(tap)
            healing.push_async_callback(_heal, process, crew, struck, victims, kill=kill)
            healing.callback(proxy.taps.remove, tap)
            yield lambda: asyncio.sleep(0, len(struck))
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), _PATIENCE)
            if not kill:
                # What is frozen stays so for a while, or for more than a second.
                await asyncio.sleep(scene.random.uniform(0.1, 1.5))

    return fault


def _cut(proxies: list[Proxy], healing: AsyncExitStack) -> None:
    for proxy in proxies:
        proxy.cut()
        healing.callback(proxy.heal)


async def _heal(
    process: Child, crew: int, struck: list[Link], victims: list[psutil.Process], *, kill: bool
) -> None:
    """Let what was withheld arrive, late; the process goes on, or is started again."""
    for link in struck:
        for pipe in link.pipes.values():
            pipe.held = False
            pipe.pump()
    if not kill:
        for one in reversed(victims):
            with suppress(psutil.NoSuchProcess):
                one.resume()
    elif any(one.pid == process.pid for one in victims):
        await process.wait()
        await ended(victims)
        await process.start()
    elif victims:
        await replaced(process, crew)
