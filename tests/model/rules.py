"""Which classes a history runs: the real ones, unless a rule is left out on purpose."""

from __future__ import annotations

from dataclasses import dataclass

from cache_service.coherence.filler import Filler
from cache_service.coherence.invalidator import Invalidator
from cache_service.coherence.keeper import Keeper
from cache_service.coherence.lease import Lease
from cache_service.coherence.memory import Memory
from cache_service.coherence.peers import Peers
from cache_service.coherence.reader import Reader
from tests.model.relay import Relay
from tests.model.shared_cache import SharedCache
from tests.model.valkey import Server

__all__ = ["Rules"]


@dataclass(frozen=True)
class Rules:
    """The parts of a process and of the shared cache."""

    filler: type[Filler] = Filler
    invalidator: type[Invalidator] = Invalidator
    keeper: type[Keeper] = Keeper
    lease: type[Lease] = Lease
    memory: type[Memory] = Memory
    peers: type[Peers] = Peers
    reader: type[Reader] = Reader
    relay: type[Relay] = Relay
    server: type[Server] = Server
    shared_cache: type[SharedCache] = SharedCache
    forgets_when_disconnected: bool = True
