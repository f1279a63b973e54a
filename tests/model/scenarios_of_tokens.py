"""Forced interleavings with tokens: of changes that are committed and not applied yet."""

from __future__ import annotations

from collections.abc import Callable

from cache_service.coherence.consistency import Consistency
from cache_service.coherence.tokens import Token
from tests.model.scene import READS, Change, Scene
from tests.model.staging import ONE, begin, run

__all__ = ["OF_TOKENS"]


def _unapplied(scene: Scene, change: Change) -> Consistency:
    return Consistency(token=Token(scene.database.name, xid=change.xid))


def token_and_load(scene: Scene) -> None:
    """A load that began before a change is under way when the change's token is read with."""
    one, *_ = scene.processes
    begin(scene, one)
    one.primary.hold(up=False, down=True)
    scene.read(one, [ONE])
    run(scene, 0.02)
    change = scene.commit("day:1")
    scene.read(one, [ONE], _unapplied(scene, change))
    run(scene, 0.01)
    one.primary.let_go()
    run(scene, 0.1)


def token_of_in_progress(scene: Scene) -> None:
    """An entry is filled while a transaction is in progress, whose token is read with."""
    one, *_ = scene.processes
    begin(scene, one)
    change = Change(scene.database.begin(), ("day:1",))
    scene.read(one, READS)
    run(scene, 0.1)
    scene.end(change)
    scene.read(one, [ONE], _unapplied(scene, change))
    run(scene, 0.1)


OF_TOKENS: tuple[Callable[[Scene], None], ...] = (token_and_load, token_of_in_progress)
"""For the table of all scenarios."""
