"""One process loads for all, another takes over, and nobody waits for long: in virtual time."""

from collections.abc import Sequence

import pytest

from cache_service.coherence.consistency import Consistency
from cache_service.coherence.ports import LOCK_SECONDS, Read
from tests.model.process import Process
from tests.model.rules import Rules
from tests.model.scenarios import LEG
from tests.model.scene import READS, Scene

ONE, TWO, BOTH = READS
SOON = 20 * LEG


class _Crowd:
    """Three processes over one shared cache, and what their readers were answered, and when."""

    def __init__(self) -> None:
        self.scene = Scene(0, Rules(), steady=LEG)
        self.answered: list[tuple[str, str, float]] = []
        for process in self.processes:
            process.start(relays=False)
        self.run(0.7)

    @property
    def processes(self) -> list[Process]:
        """The processes."""
        return self.scene.processes

    @property
    def loads(self) -> int:
        """Entries loaded from the database."""
        return self.scene.counts["miss"] + self.scene.counts["uncached"]

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.scene.world.run(self.scene.world.now + seconds)

    def ask(self, process: Process, *reads: Read, times: int = 1) -> None:
        """Let so many callers of a process ask for the same, beginning now."""

        async def caller() -> None:
            began = self.scene.world.now
            answers = await process.answer(reads, Consistency.DEFAULT, short=False)
            took = self.scene.world.now - began
            self.answered += [(process.name, one.outcome.value, took) for one in answers]

        for _ in range(times):
            process.do(caller)

    def outcomes(self, process: Process) -> Sequence[str]:
        """Return how a process's readers were answered."""
        return [outcome for name, outcome, _ in self.answered if name == process.name]

    def longest(self) -> float:
        """Return how long the last one waited."""
        return max(took for _, _, took in self.answered)


@pytest.fixture
def crowd() -> _Crowd:
    """Start three processes."""
    return _Crowd()


def test_one_process_loads_for_all(crowd: _Crowd) -> None:
    """A hundred callers in each process cost one load, and all are answered with its end."""
    for process in crowd.processes:
        process.primary.hold(up=False, down=True)
        crowd.ask(process, ONE, times=100)
    crowd.run(0.5)
    assert crowd.answered == []
    for process in crowd.processes:
        process.primary.let_go()
    crowd.run(SOON)
    assert len(crowd.answered) == 300
    assert crowd.loads == 1
    assert crowd.scene.counts["shared"] == 299
    assert crowd.longest() < 0.5 + SOON


def test_different_entries_are_different_loads(crowd: _Crowd) -> None:
    """Negative control: what one process loads keeps nobody from loading something else."""
    for process, read in zip(crowd.processes, READS, strict=True):
        crowd.ask(process, read)
    crowd.run(SOON)
    assert crowd.loads == 3


def test_a_slow_load_is_waited_for(crowd: _Crowd) -> None:
    """A load may take longer than a lock lasts: its loader keeps the lock."""
    one, other, _ = crowd.processes
    one.primary.patience = 3.0
    one.primary.hold(up=False, down=True)
    crowd.ask(one, ONE)
    crowd.run(SOON)
    crowd.ask(other, ONE)
    crowd.run(2 * LOCK_SECONDS)
    assert crowd.answered == []
    one.primary.let_go()
    crowd.run(SOON)
    assert (crowd.outcomes(one), crowd.outcomes(other)) == (["miss"], ["shared"])


@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_another_takes_over_from_a_loader_that_dies(crowd: _Crowd, how: str) -> None:
    """When its lock has run out one of those who wait loads, for all of them."""
    one, *others = crowd.processes
    one.primary.hold(up=False, down=True)
    crowd.ask(one, ONE)
    crowd.run(SOON)
    for other in others:
        crowd.ask(other, ONE, times=10)
    crowd.run(SOON)
    if how == "killed":
        one.kill()
    else:
        one.loop.stop()
    crowd.run(LOCK_SECONDS + 2 * SOON)
    assert len(crowd.answered) == 20
    assert crowd.loads == 1
    assert crowd.longest() < LOCK_SECONDS + SOON
    # What was frozen goes on, stores what it loaded, which nothing has changed, and no harm.
    one.primary.let_go()
    one.loop.go_on()
    crowd.run(SOON)
    assert crowd.scene.stale == []


def test_a_loader_that_fails_is_nobodys_error(crowd: _Crowd) -> None:
    """Who waits hears at once that there is no answer, and tries itself."""
    one, other, _ = crowd.processes
    one.primary.hold(up=False, down=True)
    crowd.scene.read(one, [ONE])
    crowd.run(SOON)
    crowd.ask(other, ONE)
    crowd.run(0.5 + SOON)  # that is the loader's patience
    assert crowd.scene.counts["DatabaseAwayError"] == 1
    assert crowd.outcomes(other) == ["miss"]
    assert crowd.longest() < 0.5 + SOON


def test_a_change_ends_the_waiting_for_a_load_begun_before(crowd: _Crowd) -> None:
    """Who comes after it has a load of its own; who waited already loads after the push."""
    one, early, late = crowd.processes
    one.primary.hold(up=False, down=True)
    crowd.ask(one, ONE)
    crowd.run(SOON)
    crowd.ask(early, ONE)
    crowd.run(SOON)
    change = crowd.scene.commit("day:1")
    late.do(lambda: crowd.scene.invalidate(late, change))
    crowd.run(SOON)
    assert crowd.scene.is_acknowledged(change)
    crowd.ask(late, ONE)
    crowd.run(SOON)
    crowd.scene.read(late, [ONE])
    crowd.run(SOON)
    assert crowd.outcomes(late) == ["miss"]
    assert crowd.outcomes(early) == []
    one.primary.let_go()
    crowd.run(SOON)
    assert crowd.outcomes(early) == ["shared"], "of the load after the change"
    assert crowd.scene.stale == []


def test_lost_pushes_keep_nobody_waiting(crowd: _Crowd) -> None:
    """Who loses its connection loads at once, past the shared cache."""
    one, other, _ = crowd.processes
    one.primary.hold(up=False, down=True)
    crowd.ask(one, ONE)
    crowd.run(SOON)
    crowd.ask(other, ONE)
    crowd.run(SOON)
    other.cache.cut()
    crowd.run(SOON)
    assert crowd.outcomes(other) == ["uncached"]


def test_crossing_batches_wait_for_one_another_and_do_not_stop(crowd: _Crowd) -> None:
    """Each of two processes loads what the other has not begun, and waits for the rest."""
    one, other, third = crowd.processes
    for process in (one, other):
        process.primary.hold(up=False, down=True)
    crowd.ask(one, ONE)
    crowd.ask(other, TWO)
    crowd.run(SOON)
    crowd.ask(one, TWO, BOTH)
    crowd.run(SOON)
    crowd.ask(other, BOTH, ONE)
    crowd.ask(third, ONE, TWO, BOTH)
    crowd.run(SOON)
    assert crowd.answered == []
    for process in (one, other):
        process.primary.let_go()
    crowd.run(SOON)
    assert len(crowd.answered) == 9
    assert crowd.loads == 3


def test_a_waiter_that_is_alone_again_takes_the_lock(crowd: _Crowd) -> None:
    """A lock that was evicted is no reason to wait or to fail: there are two loads, not none."""
    one, other, _ = crowd.processes
    one.primary.hold(up=False, down=True)
    crowd.ask(one, ONE)
    crowd.run(SOON)
    server = crowd.scene.cluster.primary
    (lock,) = [key for key in server.data if key.endswith("/load")]
    server.erase(lock)
    crowd.ask(other, ONE)
    crowd.run(SOON)
    assert crowd.outcomes(other) == ["miss"]
    one.primary.let_go()
    crowd.run(SOON)
    assert crowd.loads == 2
