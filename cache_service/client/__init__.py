"""The Python client of the cache service, and the tokens that a mutation gives."""

from cache_service.client.client import CacheClient
from cache_service.coherence.tokens import snapshot_token, transaction_token

__all__ = ["CacheClient", "snapshot_token", "transaction_token"]
