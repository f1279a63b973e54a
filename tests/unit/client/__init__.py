"""Tests of the Python client, over a fake cache service and a clock of their own."""
