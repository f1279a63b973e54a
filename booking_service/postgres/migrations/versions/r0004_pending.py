# ruff: noqa: INP001 - alembic loads this file by its path
"""Let a mutation find what its shop has pending; a change of zone then needs no mark."""

from pathlib import Path

from alembic import op

revision = "0004"
down_revision = "0003"

_SQL = Path(__file__).parent.parent / "sql" / "pending.sql"


def upgrade() -> None:
    """Change the outbox and its triggers, in alembic's transaction."""
    raw = op.get_bind().connection.dbapi_connection
    if raw is None:  # pragma: no cover
        message = "alembic closed the connection that it migrates"
        raise RuntimeError(message)
    # A script of several statements, which a prepared statement cannot hold.
    raw.run_async(lambda connection: connection.execute(_SQL.read_text(encoding="utf-8")))
