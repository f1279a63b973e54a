# ruff: noqa: INP001 - alembic loads this file by its path
"""Count the totals of what was there before them, while bookings go on."""

from booking_service.postgres.migrations.online import index, read, run_in_steps

revision = "0003b"
down_revision = "0003"


def upgrade() -> None:
    """Make the indexes on money, and count some clients at a time."""
    # What services earned is found by the start of the appointments, which money carries a
    # copy of: else each appointment of a range would be looked up among payments and refunds.
    for table in ("payments", "refunds"):
        index(
            f"{table}_by_appointment_start",
            f"ON {table} (organization_id, appointment_starts_at)"
            " WHERE appointment_starts_at IS NOT NULL",
        )
    run_in_steps(read("totals/backfill"))
