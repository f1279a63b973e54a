"""The protocol by which the cache never lies; it knows no grpc, no SQL and no Redis."""
