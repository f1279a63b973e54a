"""Load locks as the shared cache keeps them: under nonces, with a token, until they run out."""

from __future__ import annotations

import struct
from typing import Protocol

from cache_service.coherence.ports import LOCK_SECONDS
from tests.model.clockwork import World

__all__ = ["Locks"]

_UNTIL = struct.Struct("<d")
_WAITED = b"+"


class Kept(Protocol):
    """Where locks are kept: among all other data, and so they come back with it."""

    world: World
    data: dict[str, bytes]

    def write(self, key: str, value: bytes | None) -> None:
        """Set a key, or delete it."""


class Locks:
    """The locks of one server, by the names of their entries."""

    def __init__(self, server: Kept) -> None:
        self._server = server

    def take(self, entry: str, nonces: bytes, token: bytes) -> bool:
        """Take a lock; if another has it under these nonces, let it be known that one waits."""
        until, held = self._held(entry)
        if held.startswith(nonces):
            self._set(entry, until, held if held.endswith(_WAITED) else held + _WAITED)
            return False
        self._set(entry, self._server.world.now + LOCK_SECONDS, nonces + token)
        return True

    def renew(self, entry: str, token: bytes) -> None:
        """Let a lock last from now on, if it is this token's."""
        _, held = self._held(entry)
        if token in held:
            self._set(entry, self._server.world.now + LOCK_SECONDS, held)

    def release(self, entry: str, token: bytes) -> bool:
        """Have a lock no more, if it is this token's; tell whether anybody may wait for it."""
        _, held = self._held(entry)
        if token not in held:
            return True
        self._server.write(_name(entry), None)
        return held.endswith(_WAITED)

    def _held(self, entry: str) -> tuple[float, bytes]:
        """Return until when a lock lasts and what it holds; nothing if it has run out."""
        kept = self._server.data.get(_name(entry), bytes(_UNTIL.size))
        (until,) = _UNTIL.unpack_from(kept)
        return until, kept[_UNTIL.size :] if until > self._server.world.now else b""

    def _set(self, entry: str, until: float, held: bytes) -> None:
        self._server.write(_name(entry), _UNTIL.pack(until) + held)


def _name(entry: str) -> str:
    return f"{entry}/load"
