"""How fresh a read must be."""

from __future__ import annotations

from enum import Enum

__all__ = ["Consistency"]


class Consistency(Enum):
    """The demand of one read.

    A read with a token asks for FULL as long as no entry is compared with tokens: the
    primary has seen every transaction that a token can stand for. One that allows
    staleness is served as DEFAULT, which is fresher than it must be.
    """

    DEFAULT = "default"
    FULL = "full"
