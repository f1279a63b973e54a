"""The database: versions of facts, transactions with an outbox, and the authority."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from cache_service.coherence.authority import Standing
from cache_service.coherence.snapshots import Snapshot
from tests.model.clockwork import World

__all__ = ["NEWEST", "Database", "OutboxRow"]

NEWEST = 2
"""The version of the rules of all processes but those that are older on purpose."""


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A committed change that nobody has applied yet, for all the database knows."""

    xid: int
    tags: tuple[str, ...]
    committed_at: float


class Database:
    """The primary. Each method is what one statement does, at one moment."""

    def __init__(self, world: World, tags: Iterable[str]) -> None:
        self.world = world
        self.timeline = 1
        self.versions = dict.fromkeys(tags, 0)
        self.outbox: dict[int, OutboxRow] = {}
        self.epoch = "epoch0"
        self.store: str | None = None
        self.rules_version = NEWEST
        self.members: dict[str, bool] = {}
        self.held = False
        self._epochs = 0
        self._next_xid = 10
        self._in_progress: set[int] = set()
        self._changes: dict[int, dict[str, int]] = {}
        self._history: dict[str, tuple[list[float], list[int]]] = {
            tag: ([0.0], [0]) for tag in self.versions
        }

    @property
    def name(self) -> str:
        """The identity: system and timeline."""
        return f"db:{self.timeline}"

    def begin(self) -> int:
        """Begin a transaction that has an id."""
        xid, self._next_xid = self._next_xid, self._next_xid + 1
        self._in_progress.add(xid)
        return xid

    def commit(self, xid: int, tags: tuple[str, ...]) -> None:
        """Change facts, with the events of it, and commit."""
        self._in_progress.discard(xid)
        for tag in tags:
            self.versions[tag] += 1
            times, versions = self._history[tag]
            times.append(self.world.now)
            versions.append(self.versions[tag])
        self._changes[xid] = {tag: self.versions[tag] for tag in tags}
        self.outbox[xid] = OutboxRow(xid, tags, self.world.now)

    def changed_by(self, xid: int) -> dict[str, int]:
        """Return the versions that a transaction made."""
        return self._changes[xid]

    def seen_by(self, snapshot: Snapshot) -> dict[str, int]:
        """Return the versions that a snapshot sees."""
        seen = dict.fromkeys(self.versions, 0)
        for xid, changed in self._changes.items():
            if snapshot.sees(xid):
                for tag, version in changed.items():
                    seen[tag] = max(seen[tag], version)
        return seen

    def version_at(self, tag: str, when: float) -> int:
        """Return the version that was committed at that moment."""
        times, versions = self._history[tag]
        return versions[max(0, bisect_right(times, when) - 1)]

    def snapshot(self) -> str:
        """Return which transactions are seen now."""
        listed = ",".join(map(str, sorted(self._in_progress)))
        return f"{min(self._in_progress, default=self._next_xid)}:{self._next_xid}:{listed}"

    def older(self, seconds: float) -> list[OutboxRow]:
        """Return what has waited in the outbox for so long."""
        return [row for row in self.outbox.values() if row.committed_at <= self.world.now - seconds]

    def forget(self, xids: Iterable[int]) -> None:
        """Delete rows of the outbox."""
        for xid in xids:
            self.outbox.pop(xid, None)

    def look(self) -> Standing:
        """Return what is in force."""
        return Standing(
            self.name,
            self.epoch,
            self.store,
            self.rules_version,
            dict(self.members),
            self.snapshot(),
        )

    def turn_off(self, epoch: str) -> None:
        """Put another epoch without any store in that one's place."""
        if epoch == self.epoch and self.store is not None:
            self._change_epoch(None)

    def turn_on(self, epoch: str, store: str) -> None:
        """Put another epoch with this store in the place of that one, which has none."""
        if epoch == self.epoch and self.store is None:
            self._change_epoch(store)

    def demand_rules(self, version: int) -> None:
        """Turn off, and demand newer rules."""
        if self.rules_version < version:
            self.rules_version = version
            self._change_epoch(None)

    def register(self, member: str, former: str | None) -> None:
        """Make a process a member."""
        if former is not None:
            self.members.pop(former, None)
        self.members.setdefault(member, False)

    def expel(self, members: Collection[str]) -> None:
        """Expel those who are members."""
        for member in members:
            if member in self.members:
                self.members[member] = True

    def remove(self, members: Collection[str]) -> None:
        """Forget members."""
        for member in members:
            self.members.pop(member, None)

    def _change_epoch(self, store: str | None) -> None:
        self._epochs += 1
        self.epoch, self.store = f"epoch{self._epochs}", store
