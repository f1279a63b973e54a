"""Callers who mean harm, one kind at a time, from a process of its own.

    python -m benchmarks.attackers '{"kind": "resets", "address": "127.0.0.1:50051", ...}'

They write HTTP/2 themselves, since a library would not let them. An attacker goes on until
its time is over, opens a new connection for each that the server ends, and prints what it
came to. It leaves its core to whoever else wants it, such as the victim: what that one waits
for is to be the service.
"""

import json
import os
import selectors
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import count, cycle

from benchmarks.attacks import ATTACKS, Attack
from benchmarks.peer import Peer

__all__ = ["Came", "run"]

_TICK = 0.002
_NICE = 19
_AT_ONCE = 20
"""Connections opened before one looks at the others again."""


@dataclass(frozen=True, slots=True)
class Came:
    """What an attacker came to: things done, connections that it opened and that were ended."""

    done: int
    opened: int
    ended: int
    seconds: float


class _Attacker:
    def __init__(self, attack: Attack, stack: ExitStack) -> None:
        make, self._greeting = ATTACKS[attack.kind]
        self._attack = attack
        self._strike = make(attack)
        self._selector = stack.enter_context(selectors.DefaultSelector())
        self._stack = stack
        self.opened = self.ended = self.done = 0
        self.peers: list[Peer] = []

    def open(self) -> None:
        """Open one more connection, if the server takes it."""
        try:
            peer = Peer(self._attack.address, self._greeting)
            peer.send()
        except OSError:
            return
        self._stack.callback(peer.socket.close)
        self._selector.register(peer.socket, selectors.EVENT_READ, peer)
        self.peers.append(peer)
        self.opened += 1

    def hear(self, seconds: float) -> None:
        """Listen for so long."""
        for key, _ in self._selector.select(seconds):
            try:
                key.data.hear()
            except OSError:
                self._close(key.data)

    def strike(self, peer: Peer) -> None:
        """Do one thing, unless the server takes nothing now."""
        try:
            if peer.full:
                peer.send()
            else:
                peer.send(self._strike(peer))
                self.done += 1
        except OSError:
            self._close(peer)

    def _close(self, peer: Peer) -> None:
        if peer in self.peers:
            self._selector.unregister(peer.socket)
            peer.socket.close()
            self.peers.remove(peer)
            self.ended += 1


def run(attack: Attack) -> Came:
    """Attack in real time."""
    began = time.perf_counter()
    with ExitStack() as stack:
        attacker = _Attacker(attack, stack)
        turns: Iterator[int] = cycle(range(attack.connections))
        due = count(1)
        following = next(due)
        while (now := time.perf_counter() - began) < attack.seconds:
            if len(attacker.peers) < attack.connections:
                for _ in range(min(_AT_ONCE, attack.connections - len(attacker.peers))):
                    attacker.open()
            while attacker.peers and following <= now * attack.rate:
                attacker.strike(attacker.peers[next(turns) % len(attacker.peers)])
                following = next(due)
            attacker.hear(_TICK)
        return Came(attacker.done, attacker.opened, attacker.ended, time.perf_counter() - began)


def main() -> None:
    """Run the attack given as JSON, and print what it came to."""
    os.nice(_NICE)
    print(json.dumps(asdict(run(Attack(**json.loads(sys.argv[1]))))))


if __name__ == "__main__":
    main()
