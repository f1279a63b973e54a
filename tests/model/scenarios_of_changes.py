"""Forced interleavings of changes with clocks, identities, versions and relays."""

from __future__ import annotations

from collections.abc import Callable

from tests.model.postgres import NEWEST
from tests.model.scene import READS, Change, Scene
from tests.model.staging import LEG, ONE, TWO, apply, begin, run, until

__all__ = ["OF_CHANGES"]


def slow_clock(scene: Scene) -> None:
    """A process whose clock is slow renews its lease just before a fast one turns all off."""
    slow, fast, _ = scene.processes
    slow.loop.rate, fast.loop.rate = 0.986, 1.014
    begin(scene, slow, fast)
    scene.read(slow, READS)
    run(scene, 0.1)
    until(scene, lambda: slow.primary.waiting)
    # The script is given up after 0.3 s, and so just after the next renewal.
    run(scene, 0.045)
    fast.cache.hold(up=True, down=True)
    acknowledged = apply(scene, fast, "day:1")
    until(scene, lambda: slow.primary.waiting)
    run(scene, LEG * 3)
    slow.primary.hold(up=True, down=True)
    until(scene, acknowledged)
    scene.read(slow, [ONE])
    run(scene, 0.01)


def heard_too_late(scene: Scene) -> None:
    """A process is expelled for having paused, and then does not hear of another change."""
    one, other, _ = scene.processes
    begin(scene, one, other)
    until(scene, lambda: not one.primary.waiting)
    one.loop.stop()
    acknowledged = apply(scene, other, "day:2")
    until(scene, lambda: any(scene.database.members.values()))
    one.loop.go_on()
    until(scene, acknowledged)
    run(scene, 0.7)
    scene.read(one, READS)
    run(scene, 0.1)
    one.cache.hold(up=False, down=True)
    until(scene, apply(scene, other, "day:1"))
    scene.read(one, [ONE])
    run(scene, 0.01)


def there_and_back(scene: Scene) -> None:
    """A process without the database goes over to a promoted replica, and back to the former."""
    one, other, _ = scene.processes
    cluster = scene.cluster
    cluster.fixed = True
    begin(scene, one, other)
    scene.read(one, READS)
    run(scene, 0.1)
    until(scene, lambda: one.primary.waiting)
    run(scene, LEG * 3)
    one.primary.hold(up=True, down=True)
    cluster.promote(0.0, split=True)
    former, promoted = cluster.former, cluster.primary
    cluster.located = lambda: promoted
    one.cache.cut()
    other.cache.cut()
    until(scene, lambda: scene.database.store is None or promoted.run_id in scene.database.store)
    until(scene, apply(scene, other, "day:1"))
    cluster.located = lambda: former
    one.cache.cut()
    run(scene, LEG * 2)
    until(scene, lambda: one.cache.connected)
    scene.read(one, [ONE])
    run(scene, 0.01)


def known_too_long(scene: Scene) -> None:
    """A writer's process has not heard yet that another epoch is in force."""
    one, other, _ = scene.processes
    begin(scene, one, other)
    other.primary.hold(up=True, down=True)
    scene.database.turn_off(scene.database.epoch)
    until(scene, lambda: scene.database.store is not None and one.lease.era() is not None)
    scene.read(one, READS)
    run(scene, 0.1)
    acknowledged = apply(scene, other, "day:1")
    other.primary.let_go()
    until(scene, acknowledged)
    scene.read(one, [ONE])
    run(scene, 0.01)


def _rolled_out(scene: Scene) -> None:
    """Begin with the first process's rules, and let a second one bring newer ones."""
    scene.database.rules_version = NEWEST - 1
    older = scene.replace(0, NEWEST - 1)
    newer = scene.processes[1]
    begin(scene, older)
    begin(scene, newer)
    until(scene, lambda: newer.lease.era() is not None)


def older_invalidates(scene: Scene) -> None:
    """A process with older rules is told of a change that it knows too few tags of."""
    _rolled_out(scene)
    older, newer, _ = scene.processes
    scene.read(newer, READS)
    run(scene, 0.1)
    apply(scene, older, "hours")
    run(scene, 0.1)
    scene.read(newer, [TWO])
    run(scene, 0.01)


def older_reads(scene: Scene) -> None:
    """A process with older rules fills an entry under too few tags."""
    _rolled_out(scene)
    older, newer, _ = scene.processes
    run(scene, 0.4)
    scene.read(older, READS)
    run(scene, 0.1)
    until(scene, apply(scene, newer, "hours"))
    scene.read(older, [TWO])
    run(scene, 0.01)


def relay_dies(scene: Scene) -> None:
    """A process dies while it relays what nobody acknowledged."""
    one, other, _ = scene.processes
    begin(scene, one, other)
    scene.read(other, READS)
    run(scene, 0.1)
    one.cache.hold(up=True, down=True)
    one.do(one.relay.run)
    scene.commit("day:1")
    run(scene, 0.56)
    one.kill()
    other.do(other.relay.run)
    scene.judge.healed_at = scene.world.now
    run(scene, 1.1)
    scene.read(other, [ONE])
    run(scene, 0.01)


def committed_late(scene: Scene) -> None:
    """A transaction commits after one that began later has been relayed."""
    one, *_ = scene.processes
    begin(scene, one)
    one.do(one.relay.run)
    early = Change(scene.database.begin(), ("day:1",))
    scene.commit("day:2")
    until(scene, lambda: not scene.database.outbox)
    scene.read(one, READS)
    run(scene, 0.1)
    scene.end(early)
    scene.judge.healed_at = scene.world.now
    run(scene, 1.1)
    scene.read(one, [ONE])
    run(scene, 0.01)


OF_CHANGES: tuple[Callable[[Scene], None], ...] = (
    committed_late,
    heard_too_late,
    known_too_long,
    older_invalidates,
    older_reads,
    relay_dies,
    slow_clock,
    there_and_back,
)
"""For the table of all scenarios."""
