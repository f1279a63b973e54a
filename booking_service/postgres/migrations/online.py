"""How migrations run their SQL while bookings go on.

Every migration has a transaction of its own and waits for no lock longer than
`LOCK_SECONDS`, since all who come later wait behind it; `migrate` then begins it anew.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import op
from sqlalchemy import text

__all__ = ["LOCK_SECONDS", "index", "read", "run", "run_apart", "run_in_steps"]

LOCK_SECONDS = 0.5
"""Less than Postgres's deadlock_timeout: it is not the booking that is ended then."""

_SQL = Path(__file__).parent / "sql"


def read(name: str, **values: str) -> str:
    """Return a file of sql/ with what it leaves open, `{{name}}`, filled in."""
    script = (_SQL / f"{name}.sql").read_text(encoding="utf-8")
    for key, value in values.items():
        script = script.replace("{{" + key + "}}", value)
    return script


def run(script: str) -> None:
    """Run a script of several statements, which a prepared statement cannot hold."""
    bind = op.get_bind()
    # Begins the transaction, if there is to be one: the driver, asked directly, begins none.
    bind.exec_driver_sql("SELECT 1")
    raw = bind.connection.dbapi_connection
    if raw is None:  # pragma: no cover
        message = "alembic closed the connection that it migrates"
        raise RuntimeError(message)
    raw.run_async(lambda connection: connection.execute(script))


def run_in_steps(script: str) -> None:
    """Run one statement that commits what it has done, again and again.

    It may be run twice. It takes locks of rows only, and so waits for them.
    """
    with _patiently():
        run(script)


def run_apart(script: str) -> None:
    """Run a script in a transaction of its own, as it may be run twice.

    For the second table that is locked whole: who has the one and waits for the other would
    else wait for whoever has them the other way round, as bookings may.
    """
    with op.get_context().autocommit_block():
        run(script)


def index(name: str, definition: str) -> None:
    """Make an index on a table that is in use, unless there is one; definition: `ON table (...)`.

    What was left of one that failed is made anew.
    """
    with _patiently():
        broken = "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(:name) AND NOT indisvalid"
        if op.get_bind().scalar(text(broken), {"name": name}):
            op.execute(f"DROP INDEX CONCURRENTLY {name}")
        op.execute(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} {definition}")


@contextmanager
def _patiently() -> Iterator[None]:
    """Run statements outside of a transaction that may wait, as nobody waits behind them."""
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        yield
        op.execute("RESET lock_timeout")
