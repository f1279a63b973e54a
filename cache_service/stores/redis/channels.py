"""The channels on which the members tell each other things, and what they say there."""

from __future__ import annotations

from collections.abc import Sequence

from cache_service.coherence.peers import Peers, Publication
from cache_service.coherence.pushes import Pushes
from cache_service.stores.redis.identity import tag_of

__all__ = ["Channels"]


class Channels:
    """One of invalidations for all, one of pushes, and one of acknowledgements for each member.

    Each server has its own. They are sharded channels, of the slots that the server has: it
    tells of what it does itself, to those who are connected to it, in order with its replies.
    A plain PUBLISH would go around a cluster, unordered and unacknowledged, and make each
    server carry the invalidations of all.

    An invalidation is `publisher number organization`, then a tag a line; an
    acknowledgement is `number member`. Neither channel carries an era: to forget too much
    costs a miss. A push is the full key of an entry whose load has ended.
    """

    def __init__(self, publisher: str, slots: str = "") -> None:
        self._publisher = publisher
        self._prefix = f"chairside:{{{tag_of(slots)}}}"
        self.invalidated = f"{self._prefix}:invalidated"
        self.loaded = f"{self._prefix}:loaded"
        self.probe = f"{self._prefix}:probe"
        """No channel but a key of these slots, that nothing is ever stored under."""

    @property
    def mine(self) -> tuple[str, ...]:
        """The channels that this process listens to."""
        return self.invalidated, self.acknowledged_to(self._publisher), self.loaded

    def acknowledged_to(self, publisher: str) -> str:
        """Return the channel of a publisher's acknowledgements."""
        return f"{self._prefix}:acknowledged:{publisher}"

    def publication(self, number: int, organization_id: int, tags: Sequence[str]) -> str:
        """Write an invalidation of this process's own."""
        return "\n".join((f"{self._publisher} {number} {organization_id}", *tags))

    @staticmethod
    def acknowledgement(number: int, member: str) -> str:
        """Write an acknowledgement."""
        return f"{number} {member}"

    def read(self, channel: bytes, text: bytes, peers: Peers, pushes: Pushes) -> None:
        """Give on what was published; what cannot be read is not ours."""
        try:
            if channel == self.invalidated.encode():
                head, *tags = text.decode().split("\n")
                publisher, number, organization = head.split(" ")
                peers.heard(Publication(publisher, int(number), int(organization), tuple(tags)))
            elif channel == self.loaded.encode():
                pushes.heard(text.decode())
            else:
                number, member = text.decode().split(" ")
                peers.acknowledged(int(number), member)
        except ValueError:
            return
