"""What a use case works with: one transaction, and the time at which it is decided."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["Contended", "Transaction"]


class Contended(Exception):
    """Ask for the transaction to be run anew: what it was based on changed meanwhile."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """An open READ COMMITTED transaction and `now`, an instant of the process's own clock."""

    connection: AsyncConnection
    now: datetime
