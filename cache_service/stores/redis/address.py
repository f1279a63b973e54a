"""Where Redis is, and how to greet it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, cast

from redis.connection import parse_url

__all__ = ["Address", "Command", "Fixed", "Locate", "hosts_of"]

Command = tuple[str | bytes | int, ...]


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server is, and how to greet it."""

    host: str
    port: int
    path: str | None
    tls: bool
    greeting: tuple[Command, ...]

    @classmethod
    def from_url(cls, url: str) -> Address:
        """Read `redis://`, `rediss://` or `unix://`, with user, password and database.

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
            tls=url.startswith("rediss://"),
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
