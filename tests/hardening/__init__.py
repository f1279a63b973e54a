"""Hostile and broken callers, as many as there are, against real processes."""
