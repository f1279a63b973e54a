"""Bringing shops in, into a real database."""
