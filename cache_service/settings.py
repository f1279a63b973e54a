"""The settings of the cache service: `CHAIRSIDE_CACHE_*`."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field

from service_kit.settings import DatabaseUrl, HostPort, Listen, RedisUrl, WorkerSettings

__all__ = ["Settings"]


def _ttls(value: object) -> object:
    """Read `{"availability": 300}`, in seconds."""
    if not isinstance(value, str):
        return value
    try:
        found = json.loads(value)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(map(_is_span, found.values())):
        message = 'must be a JSON object of seconds by query, e.g. {"availability": 300}'
        raise ValueError(message)
    return {name: timedelta(seconds=seconds) for name, seconds in found.items()}


def _is_span(seconds: object) -> bool:
    """Tell whether it is a number that a timedelta can hold; Ttl then bounds it."""
    return type(seconds) in {int, float} and abs(float(str(seconds))) < 1e9  # noqa: PLR2004


Ttl = Annotated[timedelta, Field(ge=timedelta(seconds=1), le=timedelta(days=1))]


class Settings(WorkerSettings):
    """What the process is told; spans are in seconds."""

    prefix: ClassVar[str] = "CHAIRSIDE_CACHE_"

    listen: Listen = "127.0.0.1:50051"
    metrics_listen: HostPort = "127.0.0.1:9101"
    database_url: DatabaseUrl
    redis_url: RedisUrl = "redis://127.0.0.1:6379/0"
    # A call that Redis has not answered by then is answered from the database.
    redis_timeout: Annotated[float, Field(ge=0.01, le=5)] = 0.25
    # The answers that the process keeps itself; 0: none, every hit is a round trip to Redis.
    # Three tenths are for responses that were made of them, and for what no count knows.
    memory_bytes: Annotated[int, Field(ge=0, le=2**40)] = 64 * 1024 * 1024
    # Entries in Redis above that many bytes are compressed; 0: none.
    compress_above: Annotated[int, Field(ge=0, le=2**30)] = 4096
    # Loads at once; those above wait at most `pool_timeout`, and only while somebody wants their
    # answer. Refused with RESOURCE_EXHAUSTED are those that could not be served in time, and
    # those above `load_queue` waiting ones of an organization.
    load_pool: Annotated[int, Field(ge=1, le=200)] = 8
    load_queue: Annotated[int, Field(ge=0, le=100_000)] = 200
    pool_timeout: Annotated[float, Field(gt=0, le=60)] = 2.0
    statement_timeout: Annotated[float, Field(gt=0, le=600)] = 10.0
    # The share of hits that are compared with the database, behind them; 0: none.
    audit_share: Annotated[float, Field(ge=0, le=1)] = 0.01
    # How long entries are kept past their time to live, for reads with max_staleness; 0: not.
    keep_stale: Annotated[float, Field(ge=0, le=86_400)] = 600.0
    # What reads whose `consistency` is unset are taken to say; 0: nothing, they are exact (G1).
    default_max_staleness: Annotated[float, Field(ge=0, le=86_400)] = 0.0
    # Times to live by query, in place of the defaults: they bound memory, not freshness.
    ttls: Annotated[dict[str, Ttl], BeforeValidator(_ttls)] = Field(default_factory=dict)

    @property
    def response_bytes(self) -> int:
        """How many of `memory_bytes` are for responses that were made of answers."""
        return self.memory_bytes * 3 // 10

    @property
    def answer_bytes(self) -> int:
        """How many are for the answers."""
        return self.memory_bytes - self.response_bytes
