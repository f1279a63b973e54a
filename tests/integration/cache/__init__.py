"""Tests of the cache service and its store, on real servers."""
