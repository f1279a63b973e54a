"""Tokens: what a read must have seen.

A token names the database and either a transaction or a snapshot of it, and whether the
transaction's events were applied when the token was given. Clients keep it as opaque
bytes: `1|<database>|x|<transaction id>|<applied>` or `1|<database>|s|<snapshot>|1`.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Token", "snapshot_token", "transaction_token"]

_VERSION = "1"


@dataclass(frozen=True, slots=True)
class Token:
    """A transaction's (`xid`) or a snapshot's token; exactly one of both is set.

    `database` is the system identifier and the timeline that ids and snapshots belong to.
    """

    database: str
    xid: int | None = None
    snapshot: str | None = None
    applied: bool = False

    def encode(self) -> bytes:
        """Return the bytes that clients keep."""
        kind, what = ("x", self.xid) if self.snapshot is None else ("s", self.snapshot)
        return f"{_VERSION}|{self.database}|{kind}|{what}|{int(self.applied)}".encode()


def transaction_token(database: str, xid: int, *, applied: bool) -> bytes:
    """Return the token of a committed mutation."""
    return Token(database, xid=xid, applied=applied).encode()


def snapshot_token(database: str, snapshot: str) -> bytes:
    """Return the token of all that a snapshot sees."""
    return Token(database, snapshot=snapshot, applied=True).encode()
