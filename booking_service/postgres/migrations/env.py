"""Run the migrations on the connection that `booking_service.postgres.migrate` opened."""

from alembic import context
from sqlalchemy import text

from booking_service.postgres.tables import metadata

# Two processes that migrate at once take turns; the number means nothing else.
_MIGRATING = 7_241_990_145

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=False)
with context.begin_transaction():
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATING})
    context.run_migrations()
