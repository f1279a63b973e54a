"""Which versions of a thing a read may show: the heart of the checker.

A version must be shown by reads that begin after it was acknowledged, and may be shown
by reads that end after its mutation began. All versions between are allowed, so what is
concurrent may be seen either way. An acknowledgement demands its own version and so all
before it, acknowledged or not, of every query that any of them changed.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from tests.faults.history import Write

__all__ = ["Due", "Shown", "Timeline", "Timelines"]

V = TypeVar("V")
_NEVER = float("inf")


class Due:
    """From when on reads must show a write: its acknowledgement, or the bound after healing.

    What was not acknowledged as applied must be seen `bound` seconds after it ended and
    every fault had ended, if nothing failed meanwhile.
    """

    def __init__(self, quiet: Sequence[tuple[float, float]], bound: float) -> None:
        self._quiet = sorted(quiet)
        self._bound = bound

    def __call__(self, write: Write) -> float:
        """Return the moment; infinity if there is none."""
        found = _NEVER if write.applied_at is None else write.applied_at
        for begins, ends in self._quiet:
            due = max(begins, write.ended) + self._bound
            if due < ends:
                return min(found, due)
        return found


class Shown(NamedTuple, Generic[V]):
    """A version as one query shows it: `value` None means that it does not."""

    started: float
    due: float
    value: V | None


class Timeline(Generic[V]):
    """The versions of one thing as one query shows them, asked in the order of time."""

    def __init__(self, name: int, versions: Sequence[Shown[V]]) -> None:
        self.name = name
        # A version cannot be committed before those before it were begun.
        latest, self._started = 0.0, list[float]()
        for version in versions:
            latest = max(latest, version.started)
            self._started.append(latest)
        self._values: list[V | None] = [None, *(version.value for version in versions)]
        # What is as it was at all times before demands nothing.
        self._due = sorted(
            (version.due, at)
            for at, version in enumerate(versions, 1)
            if version.due < _NEVER
            and any(value != self._values[at] for value in self._values[:at])
        )
        self._next = 0
        self._least = 0

    @property
    def moments(self) -> tuple[list[float], list[float]]:
        """When a version may first be seen, and when one must be: what is allowed changes then."""
        return self._started, [due for due, _ in self._due]

    @property
    def begins(self) -> float:
        """When the thing may first be seen."""
        return self._started[0] if self._started else _NEVER

    @property
    def gone(self) -> bool:
        """True if no read from now on may show it."""
        return self._least == len(self._values) - 1 and self._values[-1] is None

    def allowed(self, started: float, ended: float, least: int = 0) -> list[V | None]:
        """Return what a read may show; `started` never goes back from call to call.

        `least` is the first version, counted from 1, that will do in any case.
        """
        while self._next < len(self._due) and self._due[self._next][0] < started:
            self._least = max(self._least, self._due[self._next][1])
            self._next += 1
        most = bisect_left(self._started, ended)
        least = max(self._least, least)
        return self._values[least : max(most, least) + 1]


class Timelines:
    """All that one query shows, asked in the order of time."""

    def __init__(self, timelines: Sequence[Timeline[Any]]) -> None:
        self._waiting = sorted(timelines, key=lambda one: one.begins, reverse=True)
        self._active: dict[int, Timeline[Any]] = {}
        self._latest = 0.0
        moments = [one.moments for one in timelines]
        self._started = sorted(moment for started, _ in moments for moment in started)
        self._due = sorted(moment for _, due in moments for moment in due)

    def moment(self, started: float, ended: float) -> tuple[int, int]:
        """Name what is allowed to a read: the same for all reads that give the same name."""
        return bisect_left(self._due, started), bisect_left(self._started, ended)

    def allowed(
        self, started: float, ended: float, least: Mapping[int, int]
    ) -> dict[int, list[Any]]:
        """Return what a read may show, by name; `started` never goes back from call to call.

        `least` are, by name, the first versions that will do in any case.
        """
        self._latest = max(self._latest, ended)
        while self._waiting and self._waiting[-1].begins < self._latest:
            one = self._waiting.pop()
            self._active[one.name] = one
        found = {
            name: one.allowed(started, ended, least.get(name, 0))
            for name, one in self._active.items()
        }
        for name in [name for name, one in self._active.items() if one.gone]:
            del self._active[name]
        return found
