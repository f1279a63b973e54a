"""What scenarios are made of."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tests.model.process import Process
from tests.model.scene import READS, Scene

__all__ = ["LEG", "ONE", "TWO", "apply", "begin", "isolate", "run", "until"]

LEG = 0.001
ONE, TWO, _ = READS


def begin(scene: Scene, *processes: Process) -> None:
    """Start processes without relays, and let them join."""
    for process in processes:
        process.start(relays=False)
    run(scene, 0.7)


def run(scene: Scene, seconds: float) -> None:
    """Let that much time pass."""
    scene.world.run(scene.world.now + seconds)


def until(scene: Scene, reached: Callable[[], bool]) -> None:
    """Run until something is so."""
    for _ in range(20_000):
        if reached():
            return
        run(scene, LEG / 4)
    message = "the scenario does not come about"
    raise AssertionError(message)


def apply(scene: Scene, process: Process, *tags: str) -> Callable[[], bool]:
    """Commit a change and invalidate it; tell whether it is acknowledged."""
    change = scene.commit(*tags)
    process.do(partial(scene.invalidate, process, change))
    return lambda: scene.is_acknowledged(change)


def isolate(process: Process) -> None:
    """Cut a process off from both servers."""
    process.cache.hold(up=True, down=True)
    process.primary.hold(up=True, down=True)
