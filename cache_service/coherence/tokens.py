"""Tokens: what a read must have seen.

A token names the database and either a transaction or a snapshot of it, and whether the
transaction's events were applied when the token was given. Clients keep it as opaque
bytes: `1|<database>|x|<transaction id>|<applied>` or `1|<database>|s|<snapshot>|1`.
"""

from __future__ import annotations

from dataclasses import dataclass

from cache_service.coherence.snapshots import Snapshot

__all__ = ["Token", "parse_token", "snapshot_token", "transaction_token"]

_VERSION = "1"


@dataclass(frozen=True, slots=True)
class Token:
    """A transaction's (`xid`) or a snapshot's token; exactly one of both is set.

    `database` is the system identifier and the timeline that ids and snapshots belong to.
    """

    database: str
    xid: int | None = None
    snapshot: Snapshot | None = None
    applied: bool = False

    def satisfied_by(self, snapshot: Snapshot) -> bool:
        """Tell whether data of that snapshot of the same database has seen the token's."""
        if self.xid is not None:
            return snapshot.sees(self.xid)
        return self.snapshot is not None and snapshot.sees_all_of(self.snapshot)


def parse_token(raw: bytes) -> Token | None:
    """Read a token; None if it is damaged, of another version, or impossible."""
    try:
        version, database, kind, what, applied = raw.decode("ascii").split("|")
        if version != _VERSION or not database or applied not in {"0", "1"}:
            return None
        if kind == "x" and int(what) > 0:
            return Token(database, xid=int(what), applied=applied == "1")
        if kind == "s":
            return Token(database, snapshot=Snapshot.parse(what))
    except ValueError:
        return None
    return None


def transaction_token(database: str, xid: int, *, applied: bool) -> bytes:
    """Return the token of a committed mutation."""
    return f"{_VERSION}|{database}|x|{xid}|{int(applied)}".encode()


def snapshot_token(database: str, snapshot: str) -> bytes:
    """Return the token of all that a snapshot sees."""
    return f"{_VERSION}|{database}|s|{snapshot}|1".encode()
