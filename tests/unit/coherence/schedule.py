"""Run actors in an order that a seed decides, one step at a time."""

import asyncio
from collections.abc import Coroutine, Sequence
from random import Random
from typing import Any

__all__ = ["Schedule"]


class Schedule:
    """Actors call `pause` wherever the world may turn; which goes on is drawn by lot.

    One step often follows another of the same actor at once, so that long pauses of the
    others, which is where stale answers come from, are as likely as fair turns.
    """

    def __init__(self, random: Random) -> None:
        self.random = random
        self.steps = 0
        self._waiting: list[asyncio.Future[None]] = []

    async def pause(self) -> None:
        """Wait to be drawn."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        await turn

    async def run(self, actors: Sequence[Coroutine[Any, Any, None]]) -> None:
        """Run all actors to their end; raises what one of them raises."""
        tasks = [asyncio.create_task(actor) for actor in actors]
        idle = 0
        while not all(task.done() for task in tasks):
            waiting = [turn for turn in self._waiting if not turn.done()]
            if waiting and (idle > 2 or self.random.random() < 0.5):
                newest = self.random.random() < 0.3
                turn = waiting[-1] if newest else self.random.choice(waiting)
                self._waiting = [other for other in waiting if other is not turn]
                turn.set_result(None)
                self.steps += 1
                idle = 0
            idle += 1
            await asyncio.sleep(0)
        for task in tasks:
            task.result()
