"""How many writes to Redis a read takes that finds everything there, counted exactly."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from cache_service.cached_reads import CachedReads
from cache_service.coherence.authority import Standing, bound
from cache_service.coherence.expiry import Expiry
from cache_service.coherence.filler import Filler
from cache_service.coherence.lease import Lease
from cache_service.coherence.load_gate import LoadGate
from cache_service.coherence.memory import Memory
from cache_service.coherence.ports import Loaded
from cache_service.coherence.pushes import Pushes
from cache_service.coherence.reader import Reader
from cache_service.edge.batch import Batches
from cache_service.edge.kinds import kinds
from cache_service.edge.near import NearResponses
from cache_service.edge.reads import Reads
from cache_service.queries.availability import DaySlots, slot_bytes
from cache_service.queries.roster import roster
from cache_service.queries.shop import shop_settings
from cache_service.telemetry.counts import Counts
from chairside.cache.v1 import cache_service_pb2 as pb
from devstack.valkey import ValkeyServer
from service_kit.clock import Clock
from service_kit.values import to_date
from tests.integration.cache.stores import Opened, open_store

ORGANIZATION, SERVICE, BARBERS = 7, 3, (1, 2, 3, 4, 5)
MONDAY = date(2025, 3, 10)
NOW = datetime(2025, 3, 10, 5, tzinfo=UTC)


class _Primary:
    """A database whose every day has one slot at noon."""

    def __init__(self) -> None:
        self.loads = 0

    async def load(self, query: Any, arguments: Sequence[Any]) -> Loaded:
        """Answer days, rosters and shops."""
        self.loads += 1
        return Loaded("1:1:", [self._payload(query, one) for one in arguments])

    @staticmethod
    def _payload(query: Any, one: Any) -> bytes:
        if query is roster:
            return json.dumps({SERVICE: BARBERS}).encode()
        if query is shop_settings:
            return json.dumps({"time_zone": "America/New_York", "horizon_days": 60}).encode()
        noon = int(
            datetime(one.date.year, one.date.month, one.date.day, 16, tzinfo=UTC).timestamp()
        )
        wire = slot_bytes(noon, noon + 3600)
        return DaySlots("America/New_York", 0, 60, (noon,), wire, ()).encode()


@dataclass
class _Process:
    """The reads of one process over a real Redis, and how often it wrote to that."""

    opened: Opened
    batches: Batches
    availability: Any
    primary: _Primary
    writes: int = 0

    async def writes_of(self, read: Any) -> int:
        """Await a read that must load nothing; return how many writes it took."""
        writes, loads = self.writes, self.primary.loads
        await read
        assert self.primary.loads == loads
        return self.writes - writes


async def _process(opened: Opened) -> _Process:
    primary, counts = _Primary(), Counts()
    era = await opened.store.era()
    lease = Lease(lambda: 0.0)
    store = bound(era.store, era.database)
    lease.renew(Standing(era.database, era.epoch, store, 1, {}, "1:1:"), 0.0)
    memory = Memory(10_000_000, lambda: 0.0)
    gate = LoadGate(8, share=8, queue=1000, patience=5.0)
    expiry = Expiry(lambda: 0.0, lambda: 0.5, 0.0)
    filler = Filler(opened.unbound, memory, counts, gate, expiry, Pushes())
    reader = Reader(
        store=opened.unbound,
        memory=memory,
        lease=lease,
        observer=counts,
        filler=filler,
        expiry=expiry,
    )
    cached = CachedReads(reader, primary, {})  # type: ignore[arg-type]
    clock: Clock = SimpleNamespace(now=lambda: NOW)  # type: ignore[assignment]
    known = kinds(cached, clock)
    near = NearResponses(cached, 0, clock, lambda: 0.0)
    batches = Batches(Reads(known, near, lambda: 0.0), "me", asyncio.Event())
    process = _Process(opened, batches, known["get_availability"].compose, primary)
    flush = opened.connection._flush

    def counted() -> None:
        process.writes += 1
        flush()

    opened.connection._flush = counted  # type: ignore[method-assign]
    return process


@pytest.fixture
async def process(own_valkey: ValkeyServer) -> AsyncIterator[_Process]:
    """Give a process with nothing in its memory, over a Redis that another has filled."""
    async with open_store(own_valkey.url) as first, open_store(own_valkey.url) as second:
        other = await _process(first)
        for week in (MONDAY, MONDAY + timedelta(days=7)):
            await other.availability(_week(week))
        await other.availability(pb.GetAvailabilityRequest(organization_id=7, service_id=SERVICE))
        yield await _process(second)


def _week(start: date, **fields: Any) -> pb.GetAvailabilityRequest:
    """Ask for a week of the whole shop."""
    return pb.GetAvailabilityRequest(
        organization_id=ORGANIZATION,
        service_id=SERVICE,
        start_date=to_date(start),
        end_date=to_date(start + timedelta(days=7)),
        **fields,
    )


async def test_a_week_of_a_whole_shop_is_one_round_trip(process: _Process) -> None:
    """Thirty-five entries at once; who works there is known since the week before."""
    await process.availability(_week(MONDAY))
    assert await process.writes_of(process.availability(_week(MONDAY + timedelta(days=7)))) == 1
    assert await process.writes_of(process.availability(_week(MONDAY))) == 0  # in memory by now


async def test_it_is_two_where_nothing_is_known_of_the_shop(process: _Process) -> None:
    """What to ask for depends on who works there: so that comes first, with the shop's zone."""
    assert await process.writes_of(process.availability(_week(MONDAY))) == 2


async def test_today_of_a_whole_shop_is_two_at_first_and_then_one(process: _Process) -> None:
    """The roster and the shop's zone come together."""
    today = pb.GetAvailabilityRequest(organization_id=ORGANIZATION, service_id=SERVICE)
    assert await process.writes_of(process.availability(today)) == 2
    named = _week(MONDAY, barber_ids=BARBERS)
    assert await process.writes_of(process.availability(named)) == 1


async def test_a_batch_is_one_round_trip(process: _Process) -> None:
    """However many entries its reads have."""
    reads = [
        pb.BatchRead(
            get_availability=pb.GetAvailabilityRequest(
                organization_id=ORGANIZATION,
                service_id=SERVICE,
                barber_ids=[barber],
                start_date=to_date(MONDAY + timedelta(days=day)),
            )
        )
        for barber in BARBERS
        for day in range(14)
    ]
    context: Any = SimpleNamespace(time_remaining=lambda: 5.0)
    asked = pb.BatchGetRequest(reads=reads)
    assert await process.writes_of(process.batches.batch_get(asked, context)) == 1
    one_by_one = [  # the control: the same, once more, not together
        await process.writes_of(process.batches.batch_get(pb.BatchGetRequest(reads=[one]), context))
        for one in (
            pb.BatchRead(get_availability=_week(MONDAY + timedelta(days=7 * n))) for n in (0, 1)
        )
    ]
    assert one_by_one == [1, 0]
