"""The gRPC face of the cache service: thin methods between messages and cached reads."""
