"""What the cache service counts."""
