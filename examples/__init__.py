"""Services that are not ours, and tell the cache what they changed."""
