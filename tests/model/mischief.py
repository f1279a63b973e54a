"""The faults of a history: when, which and for how long is drawn by lot."""

from __future__ import annotations

from collections.abc import Callable

from tests.model.postgres import NEWEST
from tests.model.process import Process
from tests.model.scene import Scene

__all__ = ["Mischief"]


class Mischief:
    """Does harm at random moments until `seconds`, and then makes all well again."""

    def __init__(self, scene: Scene, *, mean_pause: float, seconds: float) -> None:
        self._scene = scene
        self._random = scene.random
        self._pause = mean_pause
        self._end = seconds
        self._faults: dict[Callable[[], str], int] = {
            self._stop: 6,
            self._kill: 2,
            self._older: 1,
            self._cut: 3,
            self._hold: 4,
            self._hold_database: 4,
            self._isolate: 4,
            self._all_without_database: 1,
            self._flaky: 2,
            self._freeze: 2,
            self._restart: 2,
            self._promote: 3,
            self._resync: 1,
            self._flush: 2,
            self._evict: 5,
            self._full: 2,
            self._read_only: 1,
            self._new_epoch: 1,
            self._switch_over: 1,
            self._slow: 1,
        }
        scene.world.at(self._end, self.heal)
        self._next()

    def _next(self) -> None:
        self._scene.later(self._random.expovariate(1 / self._pause), self._strike)

    def _strike(self) -> None:
        if self._scene.world.now >= self._end:
            return
        fault = self._random.choices(list(self._faults), list(self._faults.values()))[0]
        what = fault()
        if what:
            self._scene.counts[fault.__name__.strip("_").replace("_", " ")] += 1
            self._scene.log(f"FAULT {what}")
        self._next()

    def heal(self) -> None:
        """End every fault."""
        scene = self._scene
        scene.log("all is well again")
        scene.cluster.end_split()
        self._healthy()
        scene.database.held = False
        scene.world.slow = 1.0
        for place, process in enumerate(scene.processes):
            if process.lacks:
                process.kill()
            if process.loop.dead:
                scene.restart(place)
            process.cache.let_go()
            process.primary.let_go()
            process.primary.flaky = 0.0
            if process.loop.stopped:
                process.loop.go_on()
        self._await_connections()

    def _await_connections(self) -> None:
        """Take note of when everybody can talk: a lost connection is tried for by and by."""
        if all(process.cache.connected for process in self._scene.processes):
            self._scene.judge.healed_at = self._scene.world.now
        else:
            self._scene.later(0.01, self._await_connections)

    def _healthy(self) -> None:
        server = self._scene.cluster.primary
        server.full = server.read_only = False
        if server.frozen:
            server.thaw()

    def _some(self) -> Process:
        return self._random.choice(self._scene.processes)

    def _while(self, longest: float) -> float:
        return self._random.random() ** 2 * longest

    def _stop(self) -> str:
        process, seconds = self._some(), self._while(3.0)
        if not process.running:
            return ""
        process.loop.stop()

        def go_on() -> None:
            if process.loop.stopped and not process.loop.dead:
                self._scene.log(f"{process.name} goes on")
                process.loop.go_on()

        self._scene.later(seconds, go_on)
        return f"{process.name} is stopped for {seconds:.3f} s"

    def _kill(self) -> str:
        place = self._random.randrange(len(self._scene.processes))
        process = self._scene.processes[place]
        process.kill()

        def restart() -> None:
            if self._scene.processes[place] is process:
                self._scene.restart(place)

        self._scene.later(self._while(1.0), restart)
        return f"{process.name} is killed"

    def _older(self) -> str:
        place = self._random.randrange(len(self._scene.processes))
        process = self._scene.processes[place]
        process.kill()
        self._scene.restart(place, NEWEST - 1)
        return f"an older version is started in the place of {process.name}"

    def _cut(self) -> str:
        process = self._some()
        process.cache.cut()
        return f"{process.name} loses its connection to the cache"

    def _hold(self) -> str:
        process, seconds = self._some(), self._while(2.0)
        up, down = self._random.choice(((True, False), (False, True), (True, True)))
        process.cache.hold(up=up, down=down)
        self._scene.later(seconds, process.cache.let_go)
        return f"{process.name} and the cache, {up=} {down=}, held for {seconds:.3f} s"

    def _hold_database(self) -> str:
        process, seconds = self._some(), self._while(2.0)
        up, down = self._random.choice(((True, False), (False, True), (True, True)))
        process.primary.hold(up=up, down=down)
        self._scene.later(seconds, process.primary.let_go)
        return f"{process.name} and the database, {up=} {down=}, held for {seconds:.3f} s"

    def _isolate(self) -> str:
        """Cut a process off from both servers; its callers still reach it."""
        process, seconds = self._some(), self._while(3.0)
        process.cache.hold(up=False, down=True)
        process.primary.hold(up=self._random.random() < 0.5, down=True)

        def let_go() -> None:
            process.cache.let_go()
            process.primary.let_go()

        self._scene.later(seconds, let_go)
        return f"{process.name} is cut off from both servers for {seconds:.3f} s"

    def _all_without_database(self) -> str:
        seconds = self._while(2.0)
        self._scene.database.held = True

        def let_go() -> None:
            self._scene.database.held = False
            for process in self._scene.processes:
                process.primary.let_go()

        self._scene.later(seconds, let_go)
        return f"the database answers nobody for {seconds:.3f} s"

    def _flaky(self) -> str:
        process = self._some()
        process.primary.flaky = 0.3
        self._scene.later(self._while(2.0), lambda: setattr(process.primary, "flaky", 0.0))
        return f"{process.name} loses connections to the database"

    def _freeze(self) -> str:
        server, seconds = self._scene.cluster.primary, self._while(2.0)
        if server.frozen:
            return ""
        server.frozen = True
        self._scene.later(seconds, server.thaw)
        return f"the cache is frozen for {seconds:.3f} s"

    def _restart(self) -> str:
        ago = self._random.choice((None, 0.0, self._while(1.0)))
        self._scene.cluster.restart(ago)
        return f"the cache restarts with a dump from {ago} s ago"

    def _promote(self) -> str:
        ago = self._while(0.5)
        split = self._random.random() < 0.5
        cluster = self._scene.cluster
        cluster.promote(ago, split=split)
        if split:
            self._scene.later(self._while(2.0), cluster.end_split)
        return f"the replica is promoted, {ago:.3f} s behind, {split=}"

    def _resync(self) -> str:
        self._scene.cluster.resync(self._while(0.5))
        return "the cache was a replica for a moment, and has older data"

    def _flush(self) -> str:
        server = self._scene.cluster.primary
        for key in list(server.data):
            server.erase(key)
        return "the cache is flushed"

    def _evict(self) -> str:
        server = self._scene.cluster.primary
        if not server.data:
            return ""
        guards = [key for key in server.data if "guard" in key]
        keys = sorted(self._random.choice((guards or server.data, server.data)))
        gone = self._random.sample(keys, self._random.randint(1, min(4, len(keys))))
        for key in gone:
            server.erase(key)
        return f"the cache evicts {', '.join(key.partition('/')[2] for key in gone)}"

    def _full(self) -> str:
        server = self._scene.cluster.primary
        server.full = True
        self._scene.later(self._while(1.0), lambda: setattr(server, "full", False))
        return "the cache is out of memory"

    def _read_only(self) -> str:
        server = self._scene.cluster.primary
        server.read_only = True
        self._scene.later(self._while(1.0), lambda: setattr(server, "read_only", False))
        return "the cache takes no writes"

    def _new_epoch(self) -> str:
        self._scene.database.turn_off(self._scene.database.epoch)
        return "an operator sets a new epoch"

    def _switch_over(self) -> str:
        self._scene.database.timeline += 1
        return "a standby of the database takes over, without having lost anything"

    def _slow(self) -> str:
        world, seconds = self._scene.world, self._while(2.0)
        world.slow = 8.0
        self._scene.later(seconds, lambda: setattr(world, "slow", 1.0))
        return f"all messages are slow for {seconds:.3f} s"
