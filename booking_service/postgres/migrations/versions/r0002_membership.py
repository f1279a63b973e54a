# ruff: noqa: INP001 - alembic loads this file by its path
"""Let a member be expelled: it may have a lease for a while yet, so its row stays."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Change the table that no version has used before."""
    op.execute("ALTER TABLE members DROP COLUMN epoch, ADD COLUMN expelled_at timestamptz")
