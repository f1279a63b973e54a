"""The auditor: compares a share of the hits that are served with the database, behind them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any, Protocol

import structlog

from cache_service.coherence.audit import SECOND_LOOK_SECONDS, Hits, Served
from cache_service.coherence.lease import Lease
from cache_service.coherence.load_gate import LoadGate, LoadsExhaustedError
from cache_service.coherence.outcome import Answer, Outcome
from cache_service.coherence.ports import Loaded, Read, StoreUnavailableError
from cache_service.invalidation.tags import SCOPE
from cache_service.queries.declare import CachedQuery
from cache_service.queries.keys import without_texts
from service_kit.errors import ServiceError

__all__ = ["AuditTally", "Auditor", "digest", "load_or_refusal", "read_of"]

_MOST_WAITING = 256
"""Hits that wait to be compared, and suspects that wait for their second look."""
_GONE = frozenset({"NOT_FOUND", "FAILED_PRECONDITION"})
_AUDITED = frozenset({Outcome.NEAR, Outcome.HIT})

Load = Callable[[CachedQuery[Any], Sequence[Any]], Awaitable[Loaded]]


class AuditTally(Protocol):
    """Counts of the process."""

    audits_checked: int
    audits_mismatched: int
    audits_dropped: int


@dataclass(slots=True)
class _Case:
    """A served answer under audit; `nonces` and `due` once it is a suspect."""

    query: CachedQuery[Any]
    arguments: Any
    served: Served
    nonces: tuple[bytes, ...] = ()
    due: float = 0.0


class Auditor:
    """Takes one hit of `every` on average, and judges them one after another.

    At most two of its loads run at once, one for first and one for second looks; each needs a
    place as a caller's load does, and none begins while a caller's waits for one. `random(n)`
    gives an integer below n. `now` is the shop's time; `clock` only goes forward. Every case
    ends as checked or as dropped; a mismatch is logged as an error, too.
    """

    def __init__(
        self,
        *,
        every: int,
        hits: Hits,
        lease: Lease,
        load: Load,
        gate: LoadGate,
        tally: AuditTally,
        random: Callable[[int], int],
        now: Callable[[], datetime],
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._every = every
        self._hits = hits
        self._lease = lease
        self._load = load
        self._gate = gate
        self._tally = tally
        self._random = random
        self._log = structlog.get_logger("cache.audit")
        self._now = now
        self._clock = clock
        self._sleep = sleep
        self._cases = asyncio.Queue[_Case](_MOST_WAITING)
        self._suspects = asyncio.Queue[_Case](_MOST_WAITING)
        self.left = 1 + random(every)
        """Answers until one is taken: whoever serves n of them takes n off, and calls `take`
        if that leaves none."""

    def take(
        self,
        query: CachedQuery[Any],
        organization_id: int,
        asked: Sequence[Any],
        answers: Sequence[Answer],
    ) -> None:
        """Take those answers on which the countdown fell; it begins anew by itself.

        `asked` are their arguments, or their keys.
        """
        while self.left <= 0:
            at = len(answers) - 1 + self.left
            # Uneven steps: else reads that repeat in step with them were never taken.
            self.left += 1 + self._random(2 * self._every - 1)
            one, answer = asked[at], answers[at]
            if answer.outcome not in _AUDITED:
                continue
            arguments = query.parse(organization_id, one) if isinstance(one, str) else one
            era = self._lease.era()
            if era is None or arguments is None or self._cases.full():
                self._tally.audits_dropped += 1
                continue
            served = Served(era, organization_id, read_of(query, arguments), answer)
            self._cases.put_nowait(_Case(query, arguments, served))

    async def run(self) -> None:
        """Judge until cancelled."""
        await asyncio.gather(
            self._each(self._cases, self._first_look),
            self._each(self._suspects, self._second_look),
        )

    async def _each(
        self, cases: asyncio.Queue[_Case], look: Callable[[_Case], Awaitable[bool]]
    ) -> None:
        """Look at each case; one that cannot be judged, whatever the reason, is dropped."""
        while True:
            case = await cases.get()
            judged = False
            try:
                judged = await look(case)
            except (ServiceError, LoadsExhaustedError, StoreUnavailableError):
                pass
            except Exception:  # noqa: BLE001 - logged; one case must not end the audit of others
                self._log.exception("a hit cannot be audited", query=case.query.name)
            if not judged:
                self._tally.audits_dropped += 1

    async def _first_look(self, case: _Case) -> bool:
        """Let go of what the database says, too, and of what hits no more."""
        if self._gate.waiting:
            return False
        if (await self._differing(case))[0]:
            nonces = await self._hits.nonces(case.served)
            if nonces is not None:
                if self._suspects.full():
                    return False
                case.nonces, case.due = nonces, self._clock() + SECOND_LOOK_SECONDS
                self._suspects.put_nowait(case)
                return True
        self._tally.audits_checked += 1
        return True

    async def _second_look(self, case: _Case) -> bool:
        """Judge a suspect: the load comes first, so that it must hit after that."""
        await self._sleep(max(0.0, case.due - self._clock()))
        differs, loaded = await self._differing(case)
        served = case.served
        nonces = await self._hits.nonces(served) if differs else None
        if self._lease.era() != served.era:
            return False
        near = served.answer.outcome is Outcome.NEAR
        if nonces is not None and (near or nonces == case.nonces):
            self._tally.audits_mismatched += 1
            self._log.error(
                "a hit is not what the database says",
                organization_id=served.organization_id,
                key=without_texts(served.read.key),
                key_digest=digest(served.read.key.encode()),
                source=served.answer.outcome.value,
                era=served.era.name,
                nonces=[nonce.hex() for nonce in nonces],
                snapshot=served.answer.snapshot,
                served=digest(served.answer.payload),
                loaded=digest(loaded),
            )
        self._tally.audits_checked += 1
        return True

    async def _differing(self, case: _Case) -> tuple[bool, bytes | None]:
        """Load the entry; tell whether it says something else than what was served."""
        async with self._gate.admit(case.served.organization_id):
            loaded = await load_or_refusal(self._load, case.query, case.arguments)
        payload = case.served.answer.payload
        same = loaded is not None and case.query.same(payload, loaded, self._now())
        return not same, loaded


def read_of(query: CachedQuery[Any], arguments: Any) -> Read:  # noqa: ANN401 - of any query
    """Return what is asked of the caches; the time to live is the declared one."""
    tags = (SCOPE, *query.tags(arguments))
    return Read(query.name, query.key(arguments), tags, query.ttl.total_seconds())


async def load_or_refusal(
    load: Load,
    query: CachedQuery[Any],
    arguments: Any,  # noqa: ANN401 - of any query
) -> bytes | None:
    """Load one entry; None if the database says that there is no such answer.

    Raises ServiceError where it says nothing.
    """
    try:
        return (await load(query, [arguments])).payloads[0]
    except ServiceError as error:
        if error.status in _GONE:
            return None
        raise


def digest(payload: bytes | None) -> str:
    """Return 16 hex digits that tell payloads apart and say nothing of what is in them."""
    return "" if payload is None else blake2b(payload, digest_size=8).hexdigest()
