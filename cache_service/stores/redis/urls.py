"""The setting: one server, that of its sentinels, or a cluster."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

from cache_service.stores.redis.address import Address, Tls, hosts_of
from cache_service.stores.redis.cluster import Cluster
from cache_service.stores.redis.sentinel import locate_by
from cache_service.stores.redis.servers import Changed, Connect, OneServer, Servers

__all__ = ["servers_of", "tls_of"]

_CLUSTERS = {"redis+cluster": "redis", "rediss+cluster": "rediss"}
_PORT = 6379


def servers_of(url: str, connect: Connect, changed: Changed) -> Servers:
    """Read the setting; nothing is connected yet.

    `redis+cluster://user:password@host:port,host:port` names some servers of a cluster (port
    6379 unless given), of which any tells the others; user, password and TLS are the same
    for all, and there is no database but 0. For what else it may be see `locate_by`. Raises
    ValueError.
    """
    scheme, _, rest = url.partition("://")
    if scheme not in _CLUSTERS:
        return OneServer(locate_by(url), connect, changed)
    parts = urlsplit(f"//{rest}")
    credentials, _, hosts = parts.netloc.rpartition("@")
    at = f"{credentials}@" if credentials else ""
    first = Address.from_url(f"{_CLUSTERS[scheme]}://{at}cluster?{parts.query}")
    seeds = [replace(first, host=host, port=port) for host, port in hosts_of(hosts, _PORT)]
    return Cluster(seeds, connect, changed)


def tls_of(url: str) -> Tls:
    """Return the files that the setting names. Raises ValueError for one that cannot be read."""
    servers_of(url, Connect("", 1.0), lambda _why: None)
    return Tls.of(dict(parse_qsl(url.partition("?")[2])))
