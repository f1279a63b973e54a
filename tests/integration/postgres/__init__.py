"""The schema, its triggers and the transaction, on a real Postgres."""
