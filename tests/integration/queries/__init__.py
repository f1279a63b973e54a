"""Cached reads against a real Postgres."""
