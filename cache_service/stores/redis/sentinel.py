"""Where the primary is, as Sentinel says: asked before each connecting."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import MasterNotFoundError, Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from cache_service.coherence.ports import StoreUnavailableError
from cache_service.stores.redis.address import Address, Fixed, Locate, Tls, hosts_of

__all__ = ["SentinelAddress", "locate_by"]

_SCHEMES = {"redis+sentinel": "redis", "rediss+sentinel": "rediss"}
_PORT = 26379
_SECONDS = 0.2
"""For each sentinel to answer; a frozen one must not keep us from the next."""
_TLS_SECONDS = 1.0
"""Over TLS, for which redis-py reads the usual authorities first, at 50 ms of a whole core."""


def locate_by(url: str) -> Locate:
    """Read the setting: a server's URL, or that of its sentinels.

    `redis+sentinel://user:password@host:port,host:port/name/database` names sentinels (port
    26379 unless given), the primary by its `name` there, and how to greet that;
    `?sentinel_username=` and `?sentinel_password=` are for the sentinels themselves, TLS is as
    of the primary. Raises ValueError.
    """
    scheme, _, rest = url.partition("://")
    if scheme not in _SCHEMES:
        return Fixed(Address.from_url(url))
    parts = urlsplit(f"//{rest}")
    credentials, _, hosts = parts.netloc.rpartition("@")
    name, _, database = parts.path.strip("/").partition("/")
    if not name or not hosts:
        message = "must be redis+sentinel://host:port,host:port/name"
        raise ValueError(message)
    at = f"{credentials}@" if credentials else ""
    query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    primary = Address.from_url(f"{_SCHEMES[scheme]}://{at}primary/{database or 0}?{parts.query}")
    return SentinelAddress(
        hosts_of(hosts, _PORT),
        name,
        primary,
        username=query.get("sentinel_username"),
        password=query.get("sentinel_password"),
    )


class SentinelAddress:
    """The address of the primary called `name`, asked of the first sentinel that answers."""

    fixed = False

    def __init__(
        self,
        sentinels: list[tuple[str, int]],
        name: str,
        primary: Address,
        *,
        username: str | None = None,
        password: str | None = None,
    ) -> None:
        self._name = name
        self._primary = primary
        seconds = _SECONDS if primary.tls is None else _TLS_SECONDS
        self._sentinel = Sentinel(  # type: ignore[no-untyped-call]
            sentinels,
            sentinel_kwargs={
                "socket_timeout": seconds,
                "socket_connect_timeout": seconds,
                "retry": Retry(NoBackoff(), 0),
                "username": username,
                "password": password,
                **_tls(primary.tls),
            },
        )

    async def __call__(self) -> Address:
        """Return the address now. Raises StoreUnavailableError if no sentinel knows it."""
        try:
            host, port = await self._sentinel.discover_master(self._name)
        except MasterNotFoundError:
            message = f"no sentinel knows a primary called {self._name}"
            raise StoreUnavailableError(message) from None
        except (RedisError, OSError, TimeoutError) as error:
            message = f"no sentinel answers: {type(error).__name__}"
            raise StoreUnavailableError(message) from error
        return replace(self._primary, host=str(host), port=int(port))

    async def close(self) -> None:
        """Close the connections to the sentinels."""
        await asyncio.gather(*(one.aclose() for one in self._sentinel.sentinels))


def _tls(tls: Tls | None) -> dict[str, Any]:
    if tls is None:
        return {}
    files = {"ssl_ca_certs": tls.ca, "ssl_certfile": tls.certificate, "ssl_keyfile": tls.key}
    return {"ssl": True, **{name: str(path) for name, path in files.items() if path is not None}}
