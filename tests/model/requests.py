"""What the shared cache does with each request that comes over a wire."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from cache_service.coherence.peers import Publication
from cache_service.coherence.ports import StoreUnavailableError
from tests.model.valkey import Refused, Server
from tests.model.wires import Wire

__all__ = [
    "Entry",
    "acknowledge",
    "claim",
    "fail",
    "fetch",
    "greet",
    "identity",
    "invalidate",
    "put",
    "release",
    "renew",
    "serve",
    "take",
]

Entry = tuple[str, bytes, Sequence[str]]
"""An entry to be loaded: its name, the mark of the one seen, its guards."""


def serve(  # noqa: PLR0917 - what a request is made of
    server: Server,
    wire: Wire,
    future: asyncio.Future[Any],
    run_id: str,
    history: str | None,
    command: Callable[..., Any],
    arguments: tuple[Any, ...],
) -> None:
    """Do what is asked of the server that is meant, and reply."""
    try:
        if history is not None:
            server.check(run_id, history)
        result = command(server, *arguments)
    except Refused as refused:
        result = refused
    wire.reply(_answer, future, result)


def greet(server: Server, wire: Wire, greeted: Callable[[Wire], None], _wire: Wire) -> None:
    """Let a process be connected."""
    server.wires.append(wire)
    wire.reply(greeted, wire)


def acknowledge(server: Server, _wire: Wire, publisher: str, number: int, member: str) -> None:
    """Give on an acknowledgement."""
    for wire in server.wires:
        if wire.publisher == publisher:
            wire.reply(wire.heard, (number, member))


def identity(server: Server) -> str | None:
    """Tell the history of a primary that takes writes."""
    if not server.primary:
        return None
    server.write("probe", b"")
    return server.replid


def fetch(
    server: Server, entries: Sequence[str], guards: Sequence[str]
) -> tuple[list[bytes | None], list[bytes | None]]:
    """Give entries and guards."""
    data = server.data
    return [data.get(name) for name in entries], [data.get(name) for name in guards]


def claim(server: Server, guards: Sequence[str]) -> list[bytes]:
    """Give guards, made where they were missing."""
    return server.claim(guards)


def take(
    server: Server, entries: Sequence[Entry], token: bytes
) -> list[tuple[list[bytes], bytes | bool]]:
    """Claim guards and take locks."""
    taken = []
    for name, seen, guards in entries:
        nonces = server.claim(guards)
        taken.append((nonces, server.begin(name, seen, b"".join(nonces), token)))
    return taken


def put(  # noqa: PLR0917 - what a put is made of
    server: Server,
    entry: str,
    raw: bytes,
    guards: Sequence[str],
    nonces: Sequence[bytes],
    token: bytes,
) -> bool:
    """Release the lock, and store the entry if every guard has its nonce."""
    if token:
        release(server, [entry], token)
    return server.put(entry, raw, guards, nonces)


def renew(server: Server, entries: Sequence[str], token: bytes) -> None:
    """Let locks last."""
    for entry in entries:
        server.locks.renew(entry, token)


def release(server: Server, entries: Sequence[str], token: bytes) -> None:
    """Release locks, and tell those who may wait."""
    for entry in entries:
        if server.locks.release(entry, token):
            for wire in server.wires:
                wire.reply(wire.heard, entry)


def invalidate(server: Server, guards: Sequence[str], publication: Publication) -> None:
    """Delete guards and publish it."""
    server.invalidate(guards)
    server.publish(publication)


def fail(future: asyncio.Future[Any], why: str) -> None:
    """Let a request have failed."""
    if not future.done():
        future.set_exception(StoreUnavailableError(why))


def _answer(future: asyncio.Future[Any], result: Any) -> None:
    if isinstance(result, Refused):
        fail(future, "refused")
    elif not future.done():
        future.set_result(result)
