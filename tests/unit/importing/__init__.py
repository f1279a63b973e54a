"""Bringing shops in, without a database."""
