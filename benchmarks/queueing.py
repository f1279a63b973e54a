"""One invalidation among many, as a queue: processes and a Redis that do one thing at a time.

The costs are measured (see `fan_out.py`); the queueing is simulated, for as many processes as
no machine of ours has cores for.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from random import Random

__all__ = ["Costs", "most_per_second", "waits"]


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds of work for one invalidation.

    Of Redis: its `script`, to `tell` each process, and to `give_on` each acknowledgement. Of
    processes: to `publish`, to `hear` and acknowledge, to take one that is `acknowledged`.
    `hop` is one way through the network, `look` the look at Postgres.
    """

    script: float
    tell: float
    give_on: float
    publish: float
    hear: float
    acknowledged: float
    hop: float = 0.0001
    look: float = 0.001

    def redis(self, processes: int) -> float:
        """Return the work of Redis."""
        return self.script + processes * self.tell + (processes - 1) * self.give_on

    def each(self, processes: int) -> float:
        """Return the work of a process, if all publish alike."""
        own = self.publish + (processes - 1) * self.acknowledged
        return self.hear + own / processes


def most_per_second(costs: Costs, processes: int, share: float) -> tuple[float, str]:
    """Return how many invalidations a second keep nobody busier than that, and who is."""
    found = {"Redis": costs.redis(processes), "each process": costs.each(processes)}
    busiest = max(found, key=lambda name: found[name])
    return share / found[busiest], busiest


def waits(costs: Costs, processes: int, rate: float, number: int, random: Random) -> list[float]:
    """Return, sorted, the seconds that so many invalidations took until all acknowledged them.

    They come at that rate a second, at any moment and to any process.
    """
    queues = _Queues(costs, processes)
    at, invalidations = 0.0, []
    for _ in range(number):
        at += random.expovariate(rate)
        one = _Invalidation(at, random.randrange(processes))
        invalidations.append(one)
        queues.at(at, queues.publish, one, one.publisher)
    queues.run()
    # The look is made meanwhile, and takes as long at least.
    return sorted(max(one.ended - one.begun, costs.look) for one in invalidations)


@dataclass(slots=True)
class _Invalidation:
    """When it began, who published it, and when all had acknowledged it."""

    begun: float
    publisher: int
    ended: float = 0.0


_Step = Callable[[float, _Invalidation, int], None]


class _Queues:
    """Events in the order of their times, and until when each process and Redis are busy."""

    def __init__(self, costs: Costs, processes: int) -> None:
        self._costs = costs
        self._processes = processes
        self._free = [0.0] * (processes + 1)  # the last is Redis's
        self._turn = count()
        self._events: list[tuple[float, int, _Step, _Invalidation, int]] = []

    def at(self, when: float, step: _Step, one: _Invalidation, where: int) -> None:
        """Let a step be taken then, by that process."""
        heapq.heappush(self._events, (when, next(self._turn), step, one, where))

    def run(self) -> None:
        """Take all steps."""
        while self._events:
            now, _, step, one, where = heapq.heappop(self._events)
            step(now, one, where)

    def publish(self, now: float, one: _Invalidation, where: int) -> None:
        """Send the script."""
        done = self._busy(where, now, self._costs.publish)
        self.at(done + self._costs.hop, self._script, one, where)

    def _script(self, now: float, one: _Invalidation, _: int) -> None:
        costs = self._costs
        done = self._busy(-1, now, costs.script + self._processes * costs.tell)
        for process in range(self._processes):
            self.at(done + costs.hop, self._hear, one, process)

    def _hear(self, now: float, one: _Invalidation, where: int) -> None:
        done = self._busy(where, now, self._costs.hear)
        if where == one.publisher:
            one.ended = max(one.ended, done)
        else:
            self.at(done + self._costs.hop, self._give_on, one, one.publisher)

    def _give_on(self, now: float, one: _Invalidation, where: int) -> None:
        done = self._busy(-1, now, self._costs.give_on)
        self.at(done + self._costs.hop, self._acknowledged, one, where)

    def _acknowledged(self, now: float, one: _Invalidation, where: int) -> None:
        one.ended = max(one.ended, self._busy(where, now, self._costs.acknowledged))

    def _busy(self, who: int, since: float, seconds: float) -> float:
        self._free[who] = max(self._free[who], since) + seconds
        return self._free[who]
