"""Readers, memory and keys with one rule left out each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from cache_service.coherence.consistency import Consistency
from cache_service.coherence.entry import Entry
from cache_service.coherence.era import Era
from cache_service.coherence.filler import Found
from cache_service.coherence.keeper import Keeper
from cache_service.coherence.memory import Memory
from cache_service.coherence.outcome import Answer
from cache_service.coherence.ports import Load, Read
from cache_service.coherence.question import Question
from cache_service.coherence.reader import Reader
from cache_service.coherence.snapshots import Snapshot
from cache_service.coherence.tokens import Token
from tests.model.shared_cache import SharedCache

__all__ = [
    "AnyEraMemory",
    "EpochlessKeys",
    "IgnoresTokens",
    "NeverForgets",
    "RecallsByTheEntryAlone",
    "TakesAnyMemory",
    "TakesAnySharedLoad",
    "TakesFullAsDefault",
    "TakesXmaxAlone",
]


class IgnoresTokens(Reader):
    """Reads with a token as without one."""

    async def read(
        self,
        organization_id: int,
        reads: Sequence[Read],
        load: Load,
        consistency: Consistency = Consistency.DEFAULT,
    ) -> list[Answer]:
        """Read without the token."""
        tokenless = replace(consistency, token=None)
        return await super().read(organization_id, reads, load, tokenless)


class _ByTheEntryAlone(Question):
    def recall(
        self, era: Era, raw: bytes | None, nonces: Sequence[bytes | None]
    ) -> tuple[Entry, Answer] | None:
        return super().recall(era, raw, nonces if self._reply is None else self._reply[2])


class RecallsByTheEntryAlone(Reader):
    """Takes the same entry for the same reply, whatever the guards are."""

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self._asked: dict[Read, _ByTheEntryAlone] = {}

    async def hit(self, question: Question) -> Answer | None:
        """Ask with a question that forgets the guards."""
        careless = _ByTheEntryAlone(question.organization_id, question.read, question.load)
        return await super().hit(self._asked.setdefault(question.read, careless))


class TakesFullAsDefault(Reader):
    """Reads from the cache what should come from the database."""

    async def read(
        self,
        organization_id: int,
        reads: Sequence[Read],
        load: Load,
        consistency: Consistency = Consistency.DEFAULT,
    ) -> list[Answer]:
        """Read as if nothing were demanded."""
        demanded = replace(consistency, full=False)
        return await super().read(organization_id, reads, load, demanded)


class TakesAnyMemory(Reader):
    """Does not compare with a token what is in memory."""

    async def read(
        self,
        organization_id: int,
        reads: Sequence[Read],
        load: Load,
        consistency: Consistency = Consistency.DEFAULT,
    ) -> list[Answer]:
        """Answer from memory if all is there."""
        near = [self.near(organization_id, read.key) for read in reads]
        found = [kept.value.answer for kept in near if kept is not None]
        if len(found) == len(reads) and not consistency.full:
            return found
        return await super().read(organization_id, reads, load, consistency)


class TakesAnySharedLoad(Reader):
    """Takes what another's load gave, whatever that has seen."""

    async def _fill(
        self,
        organization_id: int,
        reads: Sequence[Read],
        load: Load,
        found: Found,
        _consistency: Consistency,
    ) -> list[Answer]:
        return await self._filler.fill(organization_id, reads, load, found)


class TakesXmaxAlone(Reader):
    """Takes every transaction that had begun before the snapshot for seen by it."""

    async def read(
        self,
        organization_id: int,
        reads: Sequence[Read],
        load: Load,
        consistency: Consistency = Consistency.DEFAULT,
    ) -> list[Answer]:
        """Read with a token that asks for less."""
        token = consistency.token
        if token is not None and token.xid is not None:
            less = _Begun(token.database, xid=token.xid, applied=token.applied)
            consistency = replace(consistency, token=less)
        return await super().read(organization_id, reads, load, consistency)


@dataclass(frozen=True, slots=True)
class _Begun(Token):
    """A token that is satisfied by snapshots in which its transaction is in progress."""

    def satisfied_by(self, snapshot: Snapshot) -> bool:
        """Compare with xmax alone."""
        return (self.xid or 0) < snapshot.xmax


class AnyEraMemory(Memory):
    """Gives what it has, of whatever era."""

    def get(self, _era: Era, organization_id: int, key: str) -> Answer | None:
        """Take the era to be that of the answer."""
        kept = self._kept.get((organization_id, key))
        return None if kept is None else super().get(kept.era, organization_id, key)


class NeverForgets(Keeper):
    """Leaves in memory what is there when another era comes."""

    async def turn(self) -> bool:
        """Renew, and forget nothing."""
        memory, self._memory = self._memory, _Unforgetting()  # type: ignore[assignment]
        try:
            return await super().turn()
        finally:
            self._memory = memory


class _Unforgetting:
    """A memory that is told to forget."""

    @staticmethod
    def forget() -> None:
        """Keep everything."""


class EpochlessKeys(SharedCache):
    """Names entries and guards alike in every era."""

    def full_key(self, _era: Era, _organization_id: int, key: str) -> str:
        """Leave the era out."""
        return f"any/{key}"
