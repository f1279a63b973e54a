"""Faults of the connections between processes, by their proxies."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from tests.faults.cluster import LINKS
from tests.faults.proxy import Direction, Link, Proxy, Tap
from tests.faults.scene import Effect, Fault, Scene

__all__ = ["link_faults"]

_COMMIT = b"COMMIT;"
_DISTURBED = 0.4
"""How many of the commits are disturbed while a fault of commits is in force."""


def link_faults() -> dict[str, Fault]:
    """Return the faults by their kinds; a link's fault concerns one or both of its proxies."""
    found: dict[str, Fault] = {}
    for link in LINKS:
        found[f"{link} cut"] = _disturbed(link, Proxy.cut)
        for direction in Direction:
            held = _holding(direction)
            found[f"{link} {direction.value} late"] = _disturbed(link, held)
            found[f"{link} {direction.value} lost"] = _disturbed(link, held, lose=True)
        found[f"{link} slow"] = _disturbed(link, lambda proxy: proxy.slow(0.0, 0.03))
    found["COMMIT lost"] = _commits(_lose_request)
    found["COMMIT unanswered"] = _commits(_lose_answer)
    return found


def _holding(direction: Direction) -> Callable[[Proxy], None]:
    return lambda proxy: proxy.hold(direction)


def _disturbed(link: str, begin: Callable[[Proxy], None], *, lose: bool = False) -> Fault:
    @asynccontextmanager
    async def fault(scene: Scene) -> AsyncIterator[Effect]:
        both = scene.cluster.proxies[link]
        chosen = both if scene.random.random() < 0.5 else [scene.random.choice(both)]
        before = _disturbances(chosen)
        for proxy in chosen:
            begin(proxy)

        async def effect() -> int:
            return _disturbances(chosen) - before

        try:
            yield effect
        finally:
            for proxy in chosen:
                proxy.heal(lose=lose)

    return fault


def _disturbances(proxies: Sequence[Proxy]) -> int:
    """Count what was reset, refused, delayed, and the bytes held back."""
    names = ("aborted", "refused", "held_bytes", "delayed")
    return sum(proxy.counts[name] for proxy in proxies for name in names)


def _lose_request(link: Link, direction: Direction, data: bytes) -> bool:
    """Reset the connection instead of passing the COMMIT on."""
    if direction is Direction.REQUESTS and _COMMIT in data:
        link.abort()
        return True
    return False


def _lose_answer(link: Link, direction: Direction, data: bytes) -> bool:
    """Pass the COMMIT on, and reset the connection when its answer comes."""
    if direction is Direction.REQUESTS:
        link.committing = _COMMIT in data
    elif link.committing:
        link.abort()
        return True
    return False


def _commits(tap: Tap) -> Fault:
    @asynccontextmanager
    async def fault(scene: Scene) -> AsyncIterator[Effect]:
        hits = 0
        spared: dict[Link, bool] = {}

        def sometimes(link: Link, direction: Direction, data: bytes) -> bool:
            nonlocal hits
            if direction is Direction.REQUESTS and _COMMIT in data:
                spared[link] = scene.random.random() > _DISTURBED
            if spared.get(link, True):
                return False
            taken = tap(link, direction, data)
            hits += taken
            return taken

        proxies = scene.cluster.proxies["booking-postgres"]
        for proxy in proxies:
            proxy.taps.append(sometimes)
        try:
            yield lambda: asyncio.sleep(0, hits)
        finally:
            for proxy in proxies:
                proxy.taps.remove(sometimes)

    return fault
