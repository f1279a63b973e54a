"""Where Redis is, and how to greet it."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from redis.connection import parse_url

__all__ = ["Address", "Command", "Fixed", "Locate", "Tls", "hosts_of"]

Command = tuple[str | bytes | int, ...]


@dataclass(frozen=True, slots=True)
class Tls:
    """Whom a connection trusts and what it shows, in PEM files; unset: the usual, and nothing."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> Tls:
        """Read the parameters of a URL, named as redis-py names them."""
        names = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
        return cls(*(Path(parameters[name]) if name in parameters else None for name in names))

    def context(self) -> ssl.SSLContext:
        """Read the files, anew for each connection: they may have been renewed. Raises OSError."""
        context = ssl.create_default_context(cafile=self.ca)
        if self.certificate is not None:
            context.load_cert_chain(self.certificate, self.key, password="")
        return context


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server is, and how to greet it."""

    host: str
    port: int
    path: str | None
    tls: Tls | None
    greeting: tuple[Command, ...]

    @classmethod
    def from_url(cls, url: str) -> Address:
        """Read `redis://`, `rediss://` or `unix://`, with user, password and database.

        `?ssl_ca_certs=`, `&ssl_certfile=` and `&ssl_keyfile=` of `rediss://` are PEM files.
        Raises ValueError for anything else.
        """
        parts = cast("dict[str, Any]", parse_url(url))  # type: ignore[no-untyped-call]
        # Protocol 3, in which what is published comes on the same connection as replies.
        hello: Command = ("HELLO", 3, "SETNAME", "chairside")
        if password := parts.get("password"):
            hello += ("AUTH", parts.get("username") or "default", password)
        greeting: list[Command] = [hello]
        if database := parts.get("db"):
            greeting.append(("SELECT", database))
        return cls(
            host=parts.get("host", "localhost"),
            port=int(parts.get("port", 6379)),
            path=parts.get("path"),
            tls=Tls.of(parts) if url.startswith("rediss://") else None,
            greeting=tuple(greeting),
        )


class Locate(Protocol):
    """Says where the primary is; `fixed` if that cannot change."""

    fixed: bool

    async def __call__(self) -> Address:
        """Return the address now. Raises StoreUnavailableError."""

    async def close(self) -> None:
        """Close what it asks."""


class Fixed:
    """One address for good."""

    fixed = True

    def __init__(self, address: Address) -> None:
        self._address = address

    async def __call__(self) -> Address:
        """Return the address."""
        return self._address

    async def close(self) -> None:
        """There is nothing to close."""


def hosts_of(text: str, port: int) -> list[tuple[str, int]]:
    """Read `host,host:port,[v6]:port`, with `port` where none is given. Raises ValueError."""
    return [_host_port(one, port) for one in text.split(",")]


def _host_port(text: str, default: int) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, str(default)
    if not host or not port.isdigit():
        message = "must be host:port,host:port"
        raise ValueError(message)
    return host.strip("[]"), int(port)
