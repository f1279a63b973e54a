# ruff: noqa: INP001 - alembic loads this file by its path
"""Let a mutation find what its shop has pending; a change of zone then needs no mark."""

from booking_service.postgres.migrations.online import index, read, run_apart

revision = "0004"
down_revision = "0003b"


def upgrade() -> None:
    """Change the outbox and its triggers, once it has the index."""
    # A mutation is acknowledged together with all that its shop has pending, found by this.
    index("outbox_by_organization", "ON outbox (organization_id, xid)")
    run_apart(read("pending"))
    run_apart(
        "DROP TRIGGER IF EXISTS record_zone ON organizations;DROP FUNCTION IF EXISTS record_zone();"
    )
    run_apart("ALTER TABLE outbox DROP COLUMN IF EXISTS zone_changed")
