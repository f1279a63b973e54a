# ruff: noqa: INP001 - alembic loads this file by its path
"""Make the booking tables, the triggers that write the outbox, and the two roles."""

from pathlib import Path

from booking_service.postgres.migrations.online import read, run

revision = "0001"
down_revision = None

_SQL = Path(__file__).parent.parent / "sql"

# Table: the file under sql/events/ that tells its changes, and what that file leaves open.
# Beside it `<file>_<operation>.sql`, if there is one, goes first.
_EVENTS: dict[str, tuple[str, dict[str, str]]] = {
    "organizations": ("organizations", {}),
    "barbers": ("entity", {"kind": "barber"}),
    "services": ("entity", {"kind": "service"}),
    "barber_services": ("barber_services", {}),
    "clients": ("entity", {"kind": "client"}),
    "weekly_hours": ("weekly_hours", {}),
    "special_hours": ("special_hours", {}),
    "time_off": ("time_off", {}),
    "appointments": ("appointments", {}),
    "payments": ("money", {"moment": "paid_at"}),
    "refunds": ("money", {"moment": "refunded_at"}),
}

# Operation: its old rows, how they join its new rows, those, which of them it surely has,
# and its transition tables. A full join where one side is empty would cost a booking as
# much as all the rest of its trigger.
_NONE = "(SELECT * FROM {{table}} WHERE false)"
_OPERATIONS = {
    "insert": (_NONE, "RIGHT JOIN", "new_rows", "new_rows", "NEW TABLE AS new_rows"),
    "update": (
        "old_rows",
        "FULL JOIN",
        "new_rows",
        "new_rows",
        "OLD TABLE AS old_rows NEW TABLE AS new_rows",
    ),
    "delete": ("old_rows", "LEFT JOIN", _NONE, "old_rows", "OLD TABLE AS old_rows"),
}


def upgrade() -> None:
    """Make everything, in the transaction that alembic opened."""
    run(read("tables"))
    run(read("functions"))
    for table in _EVENTS:
        for operation in _OPERATIONS:
            run(_recorder(table, operation))
        run(
            f"CREATE TRIGGER record_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION record_truncate()"
        )
    run(read("zones"))
    run(read("copies"))
    run(read("roles"))


def _recorder(table: str, operation: str) -> str:
    source, details = _EVENTS[table]
    old, join, new, rows, referencing = _OPERATIONS[operation]
    own = f"events/{source}_{operation}"
    events = own if (_SQL / f"{own}.sql").exists() else f"events/{source}"
    return read(
        "recorder",
        events=read(events).strip(),
        shop="id" if table == "organizations" else "organization_id",
        operation=operation,
        join=join,
        old=old,
        new=new,
        rows=rows,
        referencing=referencing,
        table=table,
        **details,
    )
