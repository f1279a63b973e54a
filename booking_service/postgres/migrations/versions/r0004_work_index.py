# ruff: noqa: INP001 - alembic loads this file by its path
"""Find money by its appointment's start: a month's sales of services need no look at each."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Index the copies that payments and refunds carry of their appointment's start."""
    for table in ("payments", "refunds"):
        op.execute(
            f"CREATE INDEX {table}_by_appointment_start"
            f" ON {table} (organization_id, appointment_starts_at)"
            " WHERE appointment_starts_at IS NOT NULL"
        )
