"""Run the migrations on the connection that `booking_service.postgres.migrate` opened."""

from typing import Any

from alembic import context

from booking_service.postgres.tables import metadata

connection = context.config.attributes["connection"]
tell = context.config.attributes["tell"]


def _applied(*, step: Any, **_: Any) -> None:  # noqa: ANN401 - alembic's own
    """Say which one is done, in the words of its file."""
    tell(f"{step.up_revision_id} done: {step.up_revision.doc}")


context.configure(
    connection=connection,
    target_metadata=metadata,
    # What is done stays done, and no lock is held longer than one migration needs it.
    transaction_per_migration=True,
    on_version_apply=_applied,  # type: ignore[arg-type] # it is given keywords, as documented
)
with context.begin_transaction():
    context.run_migrations()
