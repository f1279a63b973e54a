"""The edge of the cache service over reads of the tests' own."""
