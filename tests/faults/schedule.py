"""When which fault begins and ends: all kinds in turn, in an order that the seed gives.

Faults run in lanes: within a lane one after another, the lanes side by side.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from time import monotonic

from tests.faults.scene import Fault, Scene
from tests.support.steady import Standstills

__all__ = ["Happened", "Schedule"]

_BUSY_SECONDS = 15.0
"""After so long comes a quiet span, in which all must be applied."""
_MOST_SPANS = 5
"""At once: one in which the machine stood still says nothing, and is followed by another."""

_PAUSES = (0.3, 2.0)
"""At most so long is it from one fault to the next: sometimes long enough to recover."""


@dataclass(frozen=True, slots=True)
class Happened:
    """A fault that was: `effect` is in its own counter's units, `healing` in seconds."""

    kind: str
    began: float
    healed: float
    healing: float
    effect: int


def _endless(kinds: Mapping[str, Fault], random: Random) -> Iterator[str]:
    """Give all kinds, shuffled, and again and again."""
    while True:
        names = sorted(kinds)
        random.shuffle(names)
        yield from names


class Schedule:
    """Runs lanes of faults. `settled` waits until a healed system has come to rest.

    `quiet` collects the spans without any fault, `lags` how long after the healing that
    begins each of them the last change was applied; those in which the machine stood still
    are only counted, as `disturbed`.
    """

    def __init__(
        self,
        scene: Scene,
        lanes: Sequence[Mapping[str, Fault]],
        settled: Callable[[float], Awaitable[float]],
        *,
        quiet_seconds: float,
        standstills: Standstills,
    ) -> None:
        self.happened: list[Happened] = []
        self.quiet: list[tuple[float, float]] = []
        self.lags: list[float] = []
        self.disturbed = 0
        self._scene = scene
        self._lanes = [(lane, _endless(lane, scene.random)) for lane in lanes if lane]
        self._settled = settled
        self._quiet_seconds = quiet_seconds
        self._standstills = standstills

    async def run(self, until: float) -> None:
        """Go on until then, or until the last quiet span, which is never cut short, is over."""
        last = until - self._quiet_seconds
        while (now := monotonic()) < last:
            end = min(now + _BUSY_SECONDS, last)
            await asyncio.gather(*(self._lane(*lane, end) for lane in self._lanes))
            await self._rest()

    async def _lane(self, kinds: Mapping[str, Fault], order: Iterator[str], end: float) -> None:
        random = self._scene.random
        while monotonic() < end:
            await asyncio.sleep(random.uniform(0.05, random.choice(_PAUSES)))
            kind = next(order)
            began = monotonic()
            async with kinds[kind](self._scene) as effect:
                await asyncio.sleep(random.uniform(0.3, 0.9))
                over = monotonic()
            healed = monotonic()
            self.happened.append(Happened(kind, began, healed, healed - over, await effect()))

    async def _rest(self) -> None:
        for left in reversed(range(_MOST_SPANS)):
            begins = monotonic()
            lag = await self._settled(begins)
            await asyncio.sleep(max(0.0, begins + self._quiet_seconds - monotonic()))
            ends = monotonic()
            if not left or not self._standstills.seconds(begins, ends):
                self.lags.append(lag)
                self.quiet.append((begins, ends))
                return
            self.disturbed += 1
