"""Cached reads without a database: validation, keys, tags, cuts by now."""
