# ruff: noqa: INP001 - alembic loads this file by its path
"""Make the booking tables, the triggers that write the outbox, and the two roles."""

from pathlib import Path

from alembic import op

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
    _run(_read("tables"))
    _run(_read("functions"))
    for table in _EVENTS:
        for operation in _OPERATIONS:
            _run(_recorder(table, operation))
        _run(
            f"CREATE TRIGGER record_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION record_truncate()"
        )
    _run(_read("zones"))
    _run(_read("copies"))
    _run(_read("roles"))


def _recorder(table: str, operation: str) -> str:
    source, details = _EVENTS[table]
    old, join, new, rows, referencing = _OPERATIONS[operation]
    own = f"events/{source}_{operation}"
    events = own if (_SQL / f"{own}.sql").exists() else f"events/{source}"
    return _fill(
        _read("recorder"),
        events=_read(events).strip(),
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


def _fill(template: str, **values: str) -> str:
    for name, value in values.items():
        template = template.replace("{{" + name + "}}", value)
    return template


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
