"""Which of the things that are kept is the next to go, by "second chance".

To note a use costs a hit nothing then but a flag, where least recently used moves it in a list.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol, TypeVar

__all__ = ["next_to_go"]


class Usable(Protocol):
    """What is kept."""

    used: bool
    """Whether it was used since it was put or last looked at to go."""


_Key = TypeVar("_Key")
_Kept = TypeVar("_Kept", bound=Usable)


def next_to_go(kept: OrderedDict[_Key, _Kept]) -> _Key:
    """Return the key of what was put longest ago and not used since it was last looked at.

    What was used is the last in turn then. StopIteration: nothing is kept.
    """
    while True:
        key = next(iter(kept))
        if not kept[key].used:
            return key
        kept[key].used = False
        kept.move_to_end(key)
