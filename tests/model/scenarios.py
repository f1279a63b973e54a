"""Forced interleavings, for rules that random histories seldom put to the test.

Each is a way in which a stale answer comes about if one rule is left out. A scenario runs
its scene to the end; with the real rules nothing in it is stale.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tests.model.scenarios_of_changes import OF_CHANGES
from tests.model.scenarios_of_tokens import OF_TOKENS
from tests.model.scene import READS, Scene
from tests.model.staging import LEG, ONE, TWO, apply, begin, isolate, run, until

__all__ = ["SCENARIOS"]


def isolated(scene: Scene) -> None:
    """A process that neither hears of a change nor of its being expelled."""
    one, other, _ = scene.processes
    begin(scene, one, other)
    scene.read(one, READS)
    run(scene, 0.1)
    isolate(one)
    until(scene, apply(scene, other, "day:1"))
    scene.read(one, [ONE])
    run(scene, 0.01)


def expelled_before(scene: Scene) -> None:
    """A second change, whose writer finds a silent process expelled already."""
    one, first, second = scene.processes
    begin(scene, one, first, second)
    scene.read(one, READS)
    run(scene, 0.1)
    isolate(one)
    apply(scene, first, "day:1")
    until(scene, lambda: any(scene.database.members.values()))
    until(scene, apply(scene, second, "day:2"))
    scene.read(one, [TWO])
    run(scene, 0.01)


def late_answer(scene: Scene) -> None:
    """The answer to a renewal comes late, and another epoch was set meanwhile."""
    one, other, _ = scene.processes
    begin(scene, one, other)
    scene.read(one, READS)
    run(scene, 0.1)
    until(scene, lambda: one.primary.waiting)
    one.primary.hold(up=False, down=True)
    run(scene, LEG * 1.5)
    other.cache.hold(up=True, down=True)
    scene.database.turn_off(scene.database.epoch)
    acknowledged = apply(scene, other, "day:1")
    run(scene, 0.45)
    one.primary.let_go()
    run(scene, LEG * 1.5)
    one.primary.hold(up=True, down=True)
    until(scene, acknowledged)
    scene.read(one, [ONE])
    run(scene, 0.01)


def new_epoch(scene: Scene) -> None:
    """A process without the database goes on under the old epoch for as long as its lease."""
    one, other, _ = scene.processes
    begin(scene, one, other)
    scene.read(one, READS)
    run(scene, 0.1)
    until(scene, lambda: one.primary.waiting)
    run(scene, LEG * 3)
    one.primary.hold(up=True, down=True)
    scene.database.turn_off(scene.database.epoch)
    until(scene, lambda: scene.database.store is not None and other.lease.era() is not None)
    until(scene, apply(scene, other, "day:1"))
    scene.read(one, [ONE])
    run(scene, 0.01)


def registered_anew(scene: Scene) -> None:
    """A process learns that it was expelled before it hears of the change."""
    one, other, _ = scene.processes
    begin(scene, one, other)
    scene.read(one, READS)
    run(scene, 0.1)
    until(scene, lambda: one.primary.waiting)
    run(scene, LEG * 5)
    one.cache.hold(up=False, down=True)
    until(scene, apply(scene, other, "day:1"))
    until(scene, lambda: one.lease.era() is not None or scene.world.now > 5)
    scene.read(one, [ONE])
    run(scene, 0.01)


def joined_meanwhile(scene: Scene) -> None:
    """A process joins while a change is being applied, and takes the old answer into memory."""
    late, other, _ = scene.processes
    begin(scene, other)
    scene.read(other, READS)
    run(scene, 0.1)
    change = scene.commit("day:1")
    late.start(relays=False)
    late.primary.hold(up=True, down=False)
    run(scene, 0.1)
    until(scene, lambda: not other.primary.waiting)
    other.do(partial(scene.invalidate, other, change))
    # Where the look comes first it is on its way now, and where the script does, so is that.
    other.primary.hold(up=False, down=True)
    other.cache.hold(up=True, down=False)
    run(scene, LEG * 1.5)
    late.primary.let_go()
    until(scene, lambda: late.lease.era() is not None)
    scene.read(late, [ONE])
    run(scene, 0.01)
    late.cache.hold(up=False, down=True)
    other.cache.let_go()
    other.primary.let_go()
    until(scene, lambda: scene.is_acknowledged(change))
    scene.read(late, [ONE])
    run(scene, 0.01)


def disconnected(scene: Scene) -> None:
    """What was published while a process had no connection is never heard by it."""
    one, other, _ = scene.processes
    begin(scene, one, other)
    scene.read(one, READS)
    run(scene, 0.1)
    one.cache.cut()
    until(scene, lambda: not one.cache.connected)
    acknowledged = apply(scene, other, "day:1")
    until(scene, lambda: one.cache.connected)
    until(scene, acknowledged)
    scene.read(one, [ONE])
    run(scene, 0.01)


def switched_over(scene: Scene) -> None:
    """Another database takes over while a process has a lease on entries of the former."""
    one, other, _ = scene.processes
    begin(scene, one, other)
    scene.read(one, READS)
    run(scene, 0.1)
    until(scene, lambda: one.primary.waiting)
    run(scene, LEG * 3)
    one.primary.hold(up=True, down=True)
    scene.database.timeline += 1
    until(scene, lambda: not other.primary.waiting)
    until(scene, lambda: other.primary.waiting)
    run(scene, 0.01)
    until(scene, apply(scene, other, "day:1"))
    scene.read(one, [ONE])
    run(scene, 0.01)


def load_under_way(scene: Scene) -> None:
    """A load that began before a change is still under way when it is acknowledged."""
    one, other, _ = scene.processes
    begin(scene, one, other)
    one.primary.hold(up=False, down=True)
    scene.read(one, [ONE])
    run(scene, 0.02)
    until(scene, apply(scene, other, "day:1"))
    scene.read(one, [ONE])
    run(scene, 0.01)
    one.primary.let_go()
    run(scene, 0.1)


def load_elsewhere(scene: Scene) -> None:
    """The same where the reader's process is another, which could wait for that load."""
    one, other, _ = scene.processes
    begin(scene, one, other)
    one.primary.hold(up=False, down=True)
    scene.read(one, [ONE])
    run(scene, 0.02)
    until(scene, apply(scene, other, "day:1"))
    scene.read(other, [ONE])
    run(scene, 0.01)
    one.primary.let_go()
    run(scene, 0.1)


def uncached_load_under_way(scene: Scene) -> None:
    """The same where the shared cache does not answer the reader."""
    one, other, _ = scene.processes
    begin(scene, other)
    one.primary.hold(up=False, down=True)
    scene.read(one, [ONE])
    run(scene, 0.02)
    until(scene, apply(scene, other, "day:1"))
    scene.read(one, [ONE])
    run(scene, 0.01)
    one.primary.let_go()
    run(scene, 0.1)


def evicted_guard(scene: Scene) -> None:
    """A guard goes and comes again, while an entry stays from when it was first there."""
    one, other, _ = scene.processes
    begin(scene, one, other)
    scene.read(one, [READS[2]])
    run(scene, 0.1)
    until(scene, apply(scene, other, "day:1"))
    server = scene.cluster.primary
    for key in [key for key in server.data if key.endswith("guard:day:1")]:
        server.erase(key)
    scene.read(one, [ONE])
    run(scene, 0.1)
    scene.read(other, [READS[2]])
    run(scene, 0.1)


SCENARIOS: dict[str, Callable[[Scene], None]] = {
    scenario.__name__: scenario
    for scenario in (
        disconnected,
        evicted_guard,
        expelled_before,
        isolated,
        joined_meanwhile,
        late_answer,
        load_elsewhere,
        load_under_way,
        new_epoch,
        registered_anew,
        switched_over,
        uncached_load_under_way,
        *OF_CHANGES,
        *OF_TOKENS,
    )
}
"""By their names."""
