"""Tests, from pure functions up to real processes."""
