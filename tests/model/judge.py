"""What a read must have seen, and whether it had."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from cache_service.coherence.consistency import Consistency
from cache_service.coherence.outcome import Answer, Outcome
from cache_service.coherence.ports import Read
from tests.model.postgres import Database

__all__ = ["BOUND", "Demand", "Judge"]

BOUND = 1.0
"""Seconds within which a committed change is applied that nobody acknowledged (G2)."""


class Demand(NamedTuple):
    """The least versions that a read may answer: where it is fresh, and where it is stale."""

    started_at: float
    fresh: dict[str, int]
    stale: dict[str, int]


class Judge:
    """Knows what is acknowledged, and judges answers by it.

    `healed_at` is since when everybody can talk to everybody, None while that is not so.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._acknowledged = dict.fromkeys(database.versions, 0)
        self.healed_at: float | None = None

    def acknowledge(self, changed: dict[str, int]) -> None:
        """Take note that a change is acknowledged."""
        for tag, version in changed.items():
            self._acknowledged[tag] = max(self._acknowledged[tag], version)

    def demand(self, reads: Iterable[Read], consistency: Consistency, now: float) -> Demand:
        """Return what a read that starts now must have seen."""
        tags = {tag for read in reads for tag in read.tags}
        database = self._database
        fresh = {tag: self._acknowledged[tag] for tag in tags}
        stale = dict.fromkeys(tags, 0)
        if self.healed_at is not None and now > self.healed_at + BOUND:
            _raise(fresh, {tag: database.version_at(tag, now - BOUND) for tag in tags})
        if consistency.full:
            _raise(fresh, {tag: database.versions[tag] for tag in tags})
        if consistency.token is not None and consistency.token.xid is not None:
            _raise(fresh, database.changed_by(consistency.token.xid))
        if consistency.token is not None and consistency.token.snapshot is not None:
            _raise(fresh, database.seen_by(consistency.token.snapshot))
        if consistency.max_staleness:
            since = now - consistency.max_staleness
            stale = {tag: database.version_at(tag, since) for tag in tags}
        return Demand(now, fresh, stale)

    @staticmethod
    def violations(reads: Sequence[Read], answers: Sequence[Answer], demand: Demand) -> list[str]:
        """Return what is wrong with the answers, in words."""
        wrong = []
        for read, answer in zip(reads, answers, strict=True):
            least = demand.stale if answer.outcome is Outcome.STALE else demand.fresh
            got = dict(zip(read.tags, map(int, answer.payload.split(b",")), strict=True))
            older = {tag: (version, least[tag]) for tag, version in got.items()
                     if version < least[tag]}  # fmt: skip
            if older:
                told = ", ".join(f"{tag} is {was} and not {must}"
                                 for tag, (was, must) in sorted(older.items()))  # fmt: skip
                wrong.append(
                    f"{read.key} read since {demand.started_at:.4f}, {answer.outcome.value}: {told}"
                )
        return wrong


def _raise(least: dict[str, int], other: dict[str, int]) -> None:
    for tag, version in other.items():
        if tag in least:
            least[tag] = max(least[tag], version)
