"""`audit`: compare every live entry of an organization with the database, once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cache_service.auditor import Load, digest, load_or_refusal, read_of
from cache_service.coherence.audit import SECOND_LOOK_SECONDS, Hits, Served
from cache_service.coherence.authority import Authority, AuthorityUnavailableError
from cache_service.coherence.entry import decode, nonces_in
from cache_service.coherence.era import Era
from cache_service.coherence.outcome import Answer, Outcome
from cache_service.coherence.ports import Store, StoreUnavailableError
from cache_service.commands.audit_report import AuditReport, Found
from cache_service.commands.tools import (
    CommandError,
    open_authority,
    open_primary,
    open_shared,
)
from cache_service.edge.declared import discover
from cache_service.queries.declare import CachedQuery
from cache_service.settings import Settings
from cache_service.stores.redis.scan import entry_keys
from service_kit.clock import SystemClock
from service_kit.errors import ServiceError

__all__ = ["EntryAudit", "run_audit"]

_AT_ONCE = 50
"""Entries of one query that are fetched and loaded together."""


@dataclass(frozen=True, slots=True)
class _Case:
    """An entry that hits; `nonces` are those under which it does."""

    query: CachedQuery[Any]
    arguments: Any
    served: Served
    nonces: tuple[bytes, ...]


class EntryAudit:
    """Looks at each entry once, and at those that differ twice.

    `now` is the shop's time; `time` gives seconds since the epoch, for ages.
    """

    def __init__(
        self,
        *,
        store: Store,
        authority: Authority,
        load: Load,
        queries: Sequence[CachedQuery[Any]],
        now: Callable[[], datetime],
        time: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._store = store
        self._hits = Hits(store)
        self._authority = authority
        self._load = load
        self._queries = queries
        self._now = now
        self._time = time
        self._sleep = sleep

    async def run(self, era: Era, organization_id: int, keys: AsyncIterator[str]) -> AuditReport:
        """Audit the entries of these keys of an era.

        Raises StoreUnavailableError, ServiceError, AuthorityUnavailableError; CommandError if
        another era is in force in the end.
        """
        report = AuditReport(organization_id, era.name)
        groups: dict[str, list[tuple[CachedQuery[Any], Any]]] = {}
        suspects: list[_Case] = []
        async for key in keys:
            query, arguments = self._parse(organization_id, key)
            if query is None:
                report.unknown += 1
                continue
            group = groups.setdefault(query.name, [])
            group.append((query, arguments))
            if len(group) >= _AT_ONCE:
                suspects += await self._first_look(era, groups.pop(query.name), report)
        for group in groups.values():
            suspects += await self._first_look(era, group, report)
        if suspects:
            await self._sleep(SECOND_LOOK_SECONDS)
        for case in suspects:
            await self._second_look(case, report)
        if (await self._authority.look()).era != era:
            message = "the cache was turned off or on meanwhile: run the audit again"
            raise CommandError(message)
        return report

    def _parse(self, organization_id: int, key: str) -> tuple[CachedQuery[Any] | None, Any]:
        """Find the query that a key is of, and its arguments."""
        for query in self._queries:
            arguments = query.parse(organization_id, key)
            if arguments is not None:
                return query, arguments
        return None, None

    async def _first_look(
        self, era: Era, group: Sequence[tuple[CachedQuery[Any], Any]], report: AuditReport
    ) -> list[_Case]:
        """Compare entries of one query; return those that differ."""
        tally = report.of(group[0][0].name)
        cases = []
        for query, arguments in group:
            tally.entries += 1
            case, why = await self._case(era, query, arguments)
            if case is None:
                tally.skipped[why] += 1
            else:
                cases.append(case)
        if not cases:
            return []
        loaded = await self._load_all(cases)
        differing = [
            case
            for case, payload in zip(cases, loaded, strict=True)
            if self._differs(case, payload)
        ]
        tally.matching += len(cases) - len(differing)
        return differing

    async def _case(
        self,
        era: Era,
        query: CachedQuery[Any],
        arguments: Any,  # noqa: ANN401 - of any query
    ) -> tuple[_Case | None, str]:
        """Fetch an entry; without a hit say why there is none."""
        read, organization_id = read_of(query, arguments), arguments.organization_id
        raws, guards = await self._store.fetch(era, organization_id, (read.key,), read.tags)
        raw = raws[0]
        if raw is None:
            return None, "expired"
        entry = decode(self._store.full_key(era, organization_id, read.key), None, raw)
        carried = nonces_in(raw) if entry is not None else ()
        if entry is None or len(carried) != len(guards):
            return None, "unreadable"
        if carried != tuple(guards):
            return None, "invalidated"
        if entry.expires_at <= self._time():
            return None, "expired"
        answer = Answer(entry.payload, Outcome.HIT, entry.snapshot, entry.filled_at)
        return _Case(query, arguments, Served(era, organization_id, read, answer), carried), ""

    async def _load_all(self, cases: Sequence[_Case]) -> list[bytes | None]:
        """Load entries in one snapshot, or each by itself where the database refuses one."""
        query = cases[0].query
        try:
            return list((await self._load(query, [case.arguments for case in cases])).payloads)
        except ServiceError:
            return [await load_or_refusal(self._load, query, case.arguments) for case in cases]

    def _differs(self, case: _Case, loaded: bytes | None) -> bool:
        payload = case.served.answer.payload
        return loaded is None or not case.query.same(payload, loaded, self._now())

    async def _second_look(self, case: _Case, report: AuditReport) -> None:
        """Judge what differed; the load comes first, so that it must hit after that."""
        tally = report.of(case.query.name)
        loaded = await load_or_refusal(self._load, case.query, case.arguments)
        if not self._differs(case, loaded):
            tally.matching += 1
        elif await self._hits.nonces(case.served) != case.nonces:
            tally.skipped["invalidated"] += 1
        else:
            tally.mismatched += 1
            report.mismatches.append(
                Found(
                    key=case.served.read.key,
                    nonces=[nonce.hex() for nonce in case.nonces],
                    snapshot=case.served.answer.snapshot,
                    entry=digest(case.served.answer.payload),
                    loaded=digest(loaded),
                )
            )


async def run_audit(settings: Settings, organization_id: int) -> AuditReport:
    """Audit an organization of the system that the settings name; CommandError."""
    async with AsyncExitStack() as stack:
        store = await open_shared(settings, stack)
        authority = open_authority(settings, stack)
        audit = EntryAudit(
            store=store,
            authority=authority,
            load=open_primary(settings, stack).load,
            queries=discover(),
            now=SystemClock(settings.clock_start).now,
            time=time.time,
            sleep=asyncio.sleep,
        )
        try:
            era = (await authority.look()).era
            if era is None:
                return AuditReport(organization_id, None)
            keys = entry_keys(store, era, organization_id)
            return await audit.run(era, organization_id, keys)
        except StoreUnavailableError as error:
            message = f"Redis does not answer, or is not the one in force: {error}"
            raise CommandError(message) from error
        except (AuthorityUnavailableError, ServiceError) as error:
            raise CommandError(str(error)) from error
