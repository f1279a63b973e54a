"""What a snapshot of Postgres has seen.

A snapshot is written `xmin:xmax:xip,...` (see `pg_snapshot` in the manual): every
transaction below xmin has ended, none from xmax on has begun, and those listed between
were in progress. What it sees is what ended: whether by commit or not does not matter
here, since a token stands for a transaction that committed.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Snapshot"]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A parsed snapshot."""

    xmin: int
    xmax: int
    in_progress: frozenset[int]

    @classmethod
    def parse(cls, text: str) -> Snapshot:
        """Read `xmin:xmax:xip,...`; ValueError for anything else."""
        xmin, xmax, listed = text.split(":")
        in_progress = frozenset(map(int, listed.split(","))) if listed else frozenset[int]()
        snapshot = cls(int(xmin), int(xmax), in_progress)
        if not 0 < snapshot.xmin <= snapshot.xmax:
            message = "a snapshot's xmin is positive and not above its xmax"
            raise ValueError(message)
        return snapshot

    def sees(self, xid: int) -> bool:
        """Tell whether the transaction had ended."""
        return xid < self.xmin or (xid < self.xmax and xid not in self.in_progress)

    def sees_all_of(self, other: Snapshot) -> bool:
        """Tell whether every transaction that the other sees is seen here, too."""
        if any(other.sees(xid) for xid in self.in_progress):
            return False
        # Those from our xmax on must all be in progress there, too: cheap, since a
        # snapshot lists no more than the server has connections.
        gap = range(self.xmax, other.xmax)
        return len(gap) <= len(other.in_progress) and other.in_progress.issuperset(gap)
