"""The shared cache: a primary, its lagging replica, and all that happens to them.

A server keeps a journal of its writes; what a replica has, or a dump of some time ago, is
the journal up to then. So a promotion and a restart bring back what was deleted since.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from cache_service.coherence.entry import NONCE_BYTES, mark
from cache_service.coherence.peers import Publication
from tests.model.clockwork import World
from tests.model.locks import Locks
from tests.model.wires import Wire

__all__ = ["Cluster", "Refused", "Server"]

Command = Callable[..., Any]


class Refused(Exception):
    """The server refuses the command."""


class Server:
    """One process of the shared cache, with its data and those who are connected."""

    def __init__(self, world: World, run_id: str, replid: str, data: dict[str, bytes]) -> None:
        self.world = world
        self.run_id = run_id
        self.replid = replid
        self.data = dict(data)
        self.primary = True
        self.dead = False
        self.frozen = False
        self.full = False
        self.read_only = False
        self.wires: list[Wire] = []
        self.locks = Locks(self)
        self._base = dict(data)
        self._journal: list[tuple[float, str, bytes | None]] = []
        self._waiting: list[tuple[Wire, Command, tuple[Any, ...]]] = []

    def take(self, wire: Wire, request: Command, *arguments: Any) -> None:
        """Do what was asked; a frozen server does it when it goes on."""
        if self.dead:
            return
        if self.frozen:
            self._waiting.append((wire, request, arguments))
        else:
            request(self, wire, *arguments)

    def thaw(self) -> None:
        """Go on after having been frozen."""
        self.frozen = False
        waiting, self._waiting = self._waiting, []
        for wire, request, arguments in waiting:
            self.take(wire, request, *arguments)

    def kill(self) -> None:
        """End, and with it every connection."""
        self.dead = True
        self.cut_all()

    def cut_all(self) -> None:
        """Close every connection."""
        wires, self.wires = self.wires, []
        for wire in wires:
            wire.cut()

    def was(self, ago: float) -> dict[str, bytes]:
        """Return the data as it was so many seconds ago."""
        data = dict(self._base)
        for when, key, value in self._journal:
            if when > self.world.now - ago:
                break
            if value is None:
                data.pop(key, None)
            else:
                data[key] = value
        return data

    def become(self, data: dict[str, bytes]) -> None:
        """Take over another's data, as in a resync."""
        self.data, self._base, self._journal = dict(data), dict(data), []

    def check(self, run_id: str, replid: str) -> None:
        """Raise Refused if this is not the primary with the history meant.

        The first is looked at by the connection, the second by every script.
        """
        if run_id != self.run_id or replid != self.replid or not self.primary:
            raise Refused

    def write(self, key: str, value: bytes | None) -> None:
        """Set a key, or delete it. A full server deletes, but does not set."""
        if self.read_only or not self.primary or (self.full and value is not None):
            raise Refused
        if value is None:
            self.erase(key)
        else:
            self.data[key] = value
            self._journal.append((self.world.now, key, value))

    def erase(self, key: str) -> None:
        """Have a key no more."""
        if self.data.pop(key, None) is not None:
            self._journal.append((self.world.now, key, None))

    def claim(self, guards: Sequence[str]) -> list[bytes]:
        """Make what is missing; return all."""
        for guard in guards:
            if guard not in self.data:
                self.write(guard, self.fresh_nonce())
        return [self.data[guard] for guard in guards]

    def fresh_nonce(self) -> bytes:
        """Return a nonce that nobody ever had."""
        return self.world.random.randbytes(NONCE_BYTES)

    def begin(self, entry: str, seen: bytes, nonces: bytes, token: bytes) -> bytes | bool:
        """Take the load lock of an entry; False if another has it, or the entry if it is new."""
        raw = self.data.get(entry)
        if raw is not None and mark(raw) != seen and nonces in raw:
            return raw
        return self.locks.take(entry, nonces, token)

    def put(self, entry: str, raw: bytes, guards: Sequence[str], nonces: Sequence[bytes]) -> bool:
        """Store the entry if every guard has its nonce."""
        if [self.data.get(guard) for guard in guards] != list(nonces):
            return False
        self.write(entry, raw)
        return True

    def invalidate(self, guards: Sequence[str]) -> None:
        """Delete the guards."""
        for guard in guards:
            self.write(guard, None)

    def publish(self, publication: Publication) -> None:
        """Tell everybody who is connected, whatever was there to delete."""
        for wire in self.wires:
            wire.reply(wire.heard, publication)


class Cluster:
    """Who is the primary now; `fixed` if processes know only one address."""

    def __init__(self, world: World, server: type[Server] = Server) -> None:
        self.world = world
        self._server = server
        self.fixed = world.random.random() < 0.5
        self._names = count(1)
        self.primary = server(world, self._name("run"), self._name("repl"), {})
        self.former: Server | None = None

    def identity(self) -> str:
        """Return the identity of the primary."""
        return f"{self.primary.run_id}:{self.primary.replid}"

    def located(self) -> Server:
        """Return whom a new connection reaches."""
        former = self.former
        if former is not None and not former.dead and self.world.random.random() < 0.2:
            return former
        return self.primary

    def restart(self, ago: float | None) -> None:
        """Kill the primary, and start it anew with an old dump or with nothing."""
        old = self.primary
        old.kill()
        data = {} if ago is None else old.was(ago)
        # The dump may keep the history's name: the process's own is what tells.
        replid = old.replid if self.world.random.random() < 0.5 else self._name("repl")
        self.primary = self._server(self.world, self._name("run"), replid, data)

    def promote(self, ago: float, *, split: bool) -> None:
        """Make the replica the primary; with `split` the old one does not know it yet."""
        old = self.primary
        self.end_split()
        self.primary = self._server(self.world, self._name("run"), self._name("repl"), old.was(ago))
        if split:
            self.former = old
        else:
            old.kill()

    def end_split(self) -> None:
        """Let the old primary know that it is a replica now."""
        former, self.former = self.former, None
        if former is not None:
            former.primary = False
            former.replid = self.primary.replid
            former.become(self.primary.data)
            self.world.at(self.world.now + 0.3, former.kill)

    def resync(self, ago: float) -> None:
        """Let the same process have been a replica for a moment, and be the primary again."""
        self.primary.become(self.primary.was(ago))
        self.primary.replid = self._name("repl")

    def _name(self, what: str) -> str:
        return f"{what}{next(self._names)}"
