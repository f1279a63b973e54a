# ruff: noqa: INP001 - alembic loads this file by its path
"""Keep the totals of clients by day and of all time, in the transaction of each change."""

from pathlib import Path

from alembic import op

revision = "0003"
down_revision = "0002"

_SQL = Path(__file__).parent.parent / "sql" / "totals"

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


def upgrade() -> None:
    """Make tables and triggers, and count what is there, in alembic's transaction."""
    _run(_read("tables"))
    _run(_read("tidying"))
    for table in _COUNTED:
        for operation in _OPERATIONS:
            _run(_keeper(table, operation))
    _run(_read("counting"))


def _keeper(table: str, operation: str) -> str:
    sides, referencing = _OPERATIONS[operation]
    changes = " UNION ALL ".join(_changes(table, rows, sign) for rows, sign in sides.items())
    values = {
        "changes": changes,
        "tidy": _tidy(table) if "old_rows" in sides else "",
        "referencing": referencing,
        "table": table,
        "operation": operation,
    }
    template = _read("keeper")
    for name, value in values.items():
        template = template.replace("{{" + name + "}}", value)
    return template


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


def _read(name: str) -> str:
    return (_SQL / f"{name}.sql").read_text(encoding="utf-8")


def _run(script: str) -> None:
    """Run a script of several statements, which a prepared statement cannot hold."""
    bind = op.get_bind()
    raw = bind.connection.dbapi_connection
    if raw is None:  # pragma: no cover
        message = "alembic closed the connection that it migrates"
        raise RuntimeError(message)
    raw.run_async(lambda connection: connection.execute(script))
