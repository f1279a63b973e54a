"""Recorded histories of real processes under faults, checked afterwards."""
