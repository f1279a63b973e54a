"""See what a database is asked: for tests and benchmarks that count statements."""

import re
from collections import defaultdict
from collections.abc import Collection
from typing import Self

import asyncpg

from devstack.postgres import PostgresServer

__all__ = ["StatementLog"]

# "time [process] LOG:  statement: text"; further lines of a statement begin with a tab.
_STATEMENT = re.compile(r"\[(\d+)\] LOG:  (?:statement|execute [^:\n]*): (.*(?:\n\t.*)*)")
_ENDS = ("COMMIT", "ROLLBACK")
_BEHIND = (" outbox ", " authority ", " members ")


class StatementLog:
    """The transactions of one database, as lists of statements from BEGIN to COMMIT."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._seen = 0

    @classmethod
    async def start(cls, server: PostgresServer, database: str) -> Self:
        """Log the statements of all sessions of `database` that begin from now on."""
        connection = await asyncpg.connect(server.url())
        try:
            await connection.execute(f"ALTER DATABASE \"{database}\" SET log_statement = 'all'")
        finally:
            await connection.close()
        log = cls(server)
        log.take()
        return log

    def take(self, *, but: Collection[str] = _BEHIND) -> list[list[str]]:
        """Return the transactions since the last call, but those with such a text in a statement.

        Those are the relay's and the leases', which go on whatever is asked. Postgres logs a
        statement before it executes it, so all that was answered is there.
        """
        output = self._server.output()
        new, self._seen = output[self._seen :], len(output)
        transactions: dict[str, list[list[str]]] = defaultdict(lambda: [[]])
        for process, text in _STATEMENT.findall(new):
            statement = " ".join(text.split()).rstrip(";")
            mine = transactions[process]
            mine[-1].append(statement)
            if statement.startswith(_ENDS):
                mine.append([])
        return [
            one
            for mine in transactions.values()
            for one in mine
            if one and not any(text in statement for statement in one for text in but)
        ]
