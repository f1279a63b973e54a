"""The channels on which the members tell each other things, and what they say there."""

from __future__ import annotations

from collections.abc import Sequence

from cache_service.coherence.peers import Peers, Publication
from cache_service.coherence.pushes import Pushes

__all__ = ["Channels"]


class Channels:
    """One channel of invalidations for all, one of pushes, and of acknowledgements one for each.

    An invalidation is `publisher number organization`, then a tag a line; an
    acknowledgement is `number member`. Neither channel carries an era: to forget too much
    costs a miss. A push is the full key of an entry whose load has ended.
    """

    invalidated = "chairside:invalidated"
    loaded = "chairside:loaded"

    def __init__(self, publisher: str) -> None:
        self._publisher = publisher

    @property
    def mine(self) -> tuple[str, ...]:
        """The channels that this process listens to."""
        return self.invalidated, self.acknowledged_to(self._publisher), self.loaded

    @staticmethod
    def acknowledged_to(publisher: str) -> str:
        """Return the channel of a publisher's acknowledgements."""
        return f"chairside:acknowledged:{publisher}"

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
