# ruff: noqa: INP001 - alembic loads this file by its path
"""Keep the totals of clients by day and of all time, in the transaction of each change."""

from booking_service.postgres.migrations.online import read, run_apart

revision = "0003"
down_revision = "0002"

# Table: when its rows happen, what they are of visits, paid, refunded, and which count.
_COUNTED = {
    "appointments": ("starts_at", ("1", "0", "0"), "status = 'completed'"),
    "payments": ("paid_at", ("0", "amount", "0"), "status = 'completed'"),
    "refunds": ("refunded_at", ("0", "0", "amount"), "true"),
}

# Operation: its transition tables with the sign of their rows, and how they are named.
_OPERATIONS = {
    "insert": ({"new_rows": ""}, "NEW TABLE AS new_rows"),
    "update": (
        {"old_rows": "-", "new_rows": ""},
        "OLD TABLE AS old_rows NEW TABLE AS new_rows",
    ),
    "delete": ({"old_rows": "-"}, "OLD TABLE AS old_rows"),
}

_ZONE = """
CREATE OR REPLACE TRIGGER total_zone AFTER UPDATE OF time_zone ON organizations
    FOR EACH ROW WHEN (old.time_zone IS DISTINCT FROM new.time_zone)
    EXECUTE FUNCTION total_zone();
"""
_TRUNCATE = """
CREATE OR REPLACE TRIGGER total_truncate AFTER TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION total_truncate();
"""


def upgrade() -> None:
    """Make tables and triggers: what changes from now on is counted, what is there by 0003b."""
    for script in ("tables", "tidying", "counting"):
        run_apart(read(f"totals/{script}"))
    run_apart(_ZONE)
    for table in _COUNTED:
        keepers = [_keeper(table, operation) for operation in _OPERATIONS]
        run_apart("".join((*keepers, _TRUNCATE.format(table=table))))


def _keeper(table: str, operation: str) -> str:
    sides, referencing = _OPERATIONS[operation]
    changes = " UNION ALL ".join(_changes(table, rows, sign) for rows, sign in sides.items())
    return read(
        "totals/keeper",
        changes=changes,
        tidy=_tidy(table) if "old_rows" in sides else "",
        referencing=referencing,
        table=table,
        operation=operation,
    )


def _changes(table: str, rows: str, sign: str) -> str:
    """Select what counts of a transition table: whose, when, and how much of what."""
    moment, amounts, counted = _COUNTED[table]
    visits, paid, refunded = (f"{sign}{amount}" for amount in amounts)
    return (
        f"SELECT organization_id, barber_id, client_id, {moment} AS moment, "  # noqa: S608 - constants
        f"{visits} AS visits, {paid} AS paid, {refunded} AS refunded FROM {rows} "
        f"WHERE {counted} AND client_id IS NOT NULL"
    )


def _tidy(table: str) -> str:
    old = _changes(table, "old_rows", "-")
    return (
        f"IF EXISTS ({old}) THEN "  # noqa: S608 - constants
        f"PERFORM tidy_client_totals(ARRAY(SELECT DISTINCT client_id FROM ({old}) c)); "
        "END IF;"
    )
