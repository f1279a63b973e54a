"""Which answers the auditor takes; what it makes of them is tested on real servers."""

import asyncio
import random
from collections.abc import Sequence
from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cache_service.auditor import Auditor
from cache_service.coherence.audit import Hits
from cache_service.coherence.era import Era
from cache_service.coherence.lease import Lease
from cache_service.coherence.load_gate import LoadGate
from cache_service.coherence.outcome import Answer, Outcome
from cache_service.coherence.ports import Loaded
from cache_service.queries.availability import AvailabilityDay, availability

DAY = AvailabilityDay(7, 1, 2, date(2018, 5, 24))


class Audited:
    """An auditor, what it counts, and which payloads it compared."""

    def __init__(self, every: int, choose: Any = None) -> None:
        self.counts = SimpleNamespace(audits_checked=0, audits_mismatched=0, audits_dropped=0)
        self.loads = 0
        self.era: Era | None = Era("1-1", "e", "s")
        self.auditor = Auditor(
            every=every,
            hits=cast("Hits", None),
            lease=cast("Lease", SimpleNamespace(era=lambda: self.era)),
            load=self._load,
            gate=LoadGate(1, share=1, queue=1, patience=1.0),
            tally=self.counts,
            random=choose or random.Random(1).randrange,  # noqa: S311 - not cryptographic
            now=lambda: datetime.now(UTC),
            clock=lambda: 0.0,
            sleep=asyncio.sleep,
        )

    async def _load(self, _query: object, _arguments: Sequence[object]) -> Loaded:
        self.loads += 1
        return Loaded("1:2:", [b"payload"])

    def serve(self, *outcomes: Outcome, asked: Any = DAY) -> None:
        """Serve answers in one read."""
        answers = [Answer(b"payload", outcome, "1:2:", 0.0) for outcome in outcomes]
        self.auditor.left -= len(answers)
        if self.auditor.left <= 0:
            self.auditor.take(availability, 7, [asked] * len(answers), answers)

    async def judged(self) -> int:
        """Judge what was taken; return how many that were."""
        before, task = -1, asyncio.create_task(self.auditor.run())
        while before != self.counts.audits_checked:
            before = self.counts.audits_checked
            for _ in range(20):
                await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return int(self.counts.audits_checked)


@pytest.mark.parametrize("at_once", [1, 7, 250])
async def test_every_answer_is_taken_at_a_share_of_one(at_once: int) -> None:
    """However many are served by one read."""
    audited = Audited(1)
    served = 0
    while served + at_once <= 250:
        audited.serve(*[Outcome.HIT] * at_once)
        served += at_once
    assert await audited.judged() == served
    assert audited.loads == served
    assert audited.counts.audits_dropped == 0


async def test_a_share_is_taken_whatever_the_rhythm_of_reads() -> None:
    """One of ten on average, also of those that always come second in a read of two."""
    audited = Audited(10)
    for _ in range(1000):
        audited.serve(Outcome.MISS, Outcome.NEAR)
    assert 70 <= await audited.judged() <= 130


async def test_only_hits_are_taken() -> None:
    """What was loaded or allowed to be stale is not compared; the same as hits is."""
    audited = Audited(1)
    audited.serve(*(one for one in Outcome if one not in {Outcome.HIT, Outcome.NEAR}))
    assert await audited.judged() == 0
    audited.serve(Outcome.HIT, Outcome.NEAR)
    assert await audited.judged() == 2


async def test_an_answer_may_be_named_by_its_key() -> None:
    """Its arguments are read out of it; a key that cannot be read is dropped."""
    audited = Audited(1)
    audited.serve(Outcome.NEAR, asked=availability.key(DAY))
    assert await audited.judged() == 1
    audited.serve(Outcome.NEAR, asked="availability:barber:x")
    assert audited.counts.audits_dropped == 1


async def test_what_cannot_be_audited_is_dropped_and_counted() -> None:
    """Above 256 waiting ones, and without a lease."""
    audited = Audited(1)
    audited.serve(*[Outcome.HIT] * 300)
    assert audited.counts.audits_dropped == 44
    audited.era = None
    audited.serve(Outcome.HIT)
    assert audited.counts.audits_dropped == 45
    assert await audited.judged() == 256
