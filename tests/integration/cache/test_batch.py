"""BatchGet: what each read's own method would have answered, in one call."""

from collections.abc import Mapping
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import grpc
import pytest
from google.rpc import status_pb2

from cache_service.invalidation import tags
from chairside.cache.v1 import analytics_pb2
from chairside.cache.v1 import cache_service_pb2 as pb
from service_kit.status import DETAILS_KEY
from service_kit.values import to_date
from tests.integration.cache.each_read import each_read
from tests.integration.cache.holding import read_while_held
from tests.integration.cache.pair import everything_of
from tests.integration.cache.running import Cache, refused, source, starts
from tests.integration.cache.shops import Shop, open_shop
from tests.support.grpc_server import details_of
from tests.support.waiting import eventually

MONDAY = date(2025, 3, 10)
REPORTS: dict[str, Any] = {
    "revenue": analytics_pb2.RevenueOptions(),
    "appointment_stats": analytics_pb2.AppointmentStatsOptions(),
    "six_figure": analytics_pb2.SixFigureOptions(target_annual_income=100_000),
    "retention": analytics_pb2.RetentionOptions(),
    "lifetime_value": analytics_pb2.LifetimeValueOptions(),
    "patterns": analytics_pb2.PatternsOptions(),
    "comparison": analytics_pb2.ComparisonOptions(against=analytics_pb2.AGAINST_MONTH),
    "barber_performance": analytics_pb2.BarberPerformanceOptions(),
    "dashboard": analytics_pb2.DashboardOptions(),
}
OVER_A_RANGE = {"revenue", "appointment_stats", "patterns", "barber_performance", "dashboard"}


@pytest.fixture
async def shop(shop: Shop) -> Shop:
    """Open a shop, and wait until the relay has told of that: it would empty the memory."""
    await shop.relayed()
    return shop


def day_of(shop: Shop, day: date = MONDAY, barber: int | None = None) -> pb.BatchRead:
    """Make the read of a barber's day."""
    return _read(
        "get_availability",
        shop,
        service_id=shop.services[0],
        barber_ids=[shop.barbers[0] if barber is None else barber],
        start_date=to_date(day),
    )


def _read(kind: str, shop: Shop, **fields: Any) -> pb.BatchRead:
    return pb.BatchRead(**{kind: {"organization_id": shop.organization_id, **fields}})


def every_read(shop: Shop, client_id: int) -> list[pb.BatchRead]:
    """Make at least one read of each kind, and each report, with today or without."""
    week = {"start_date": to_date(MONDAY), "end_date": to_date(MONDAY + timedelta(days=7))}
    reads = [
        *(pb.BatchRead(**{kind: fields}) for kind, fields in each_read(shop, client_id).items()),
        day_of(shop),
        _read(
            "get_availability", shop, service_id=shop.services[0], time_zone="Asia/Tokyo", **week
        ),
        _read("get_booked_slots", shop, barber_id=shop.barbers[0], **week),
        _read("list_clients", shop),
    ]
    for name, options in REPORTS.items():
        days = week if name in OVER_A_RANGE else {}
        reads.append(_read("get_analytics", shop, **days, **{name: options}))
    return reads


async def by_its_own(cache: Cache, read: pb.BatchRead) -> tuple[str, Any]:
    """Ask for a read by its own method; return the field of its outcome, and that."""
    name = str(read.WhichOneof("read"))
    method = getattr(cache.stub, name.title().replace("_", ""))
    try:
        return name, await method(getattr(read, name))
    except grpc.aio.AioRpcError as error:
        raw = dict(error.trailing_metadata() or ())[DETAILS_KEY]
        return "error", status_pb2.Status.FromString(raw)  # type: ignore[arg-type]


def outcome(result: pb.BatchResult) -> tuple[str, Any]:
    """Return the field of a result's outcome, and that."""
    name = str(result.WhichOneof("outcome"))
    return name, getattr(result, name)


async def ask(cache: Cache, *reads: pb.BatchRead, **fields: Any) -> list[pb.BatchResult]:
    """Ask for reads in one call."""
    answer = await cache.stub.BatchGet(pb.BatchGetRequest(reads=reads, **fields))
    assert len(answer.results) == len(reads)
    return list(answer.results)


def _bare(told: tuple[str, Any]) -> tuple[str, Any]:
    if told[0] != "error":
        told[1].ClearField("cache_info")
    return told


async def _client(shop: Shop) -> int:
    async with shop.acknowledged():
        client_id: int = await shop.connection.fetchval(
            "INSERT INTO clients (organization_id, name) VALUES ($1, 'C') RETURNING id",
            shop.organization_id,
        )
        await shop.book(shop.at("2025-03-10 10:00"))
        await shop.book(shop.at("2025-03-06 10:00"), hold_until=shop.at("2025-03-06 11:00"))
    return client_id


async def test_a_batch_says_what_each_method_says(near: Cache, shop: Shop) -> None:
    """Every kind and every report: from the database, from memory, and by their methods."""
    reads = every_read(shop, await _client(shop))
    kinds = {field.name for field in pb.BatchRead.DESCRIPTOR.fields}
    assert {read.WhichOneof("read") for read in reads} == kinds
    loaded = [outcome(one) for one in await ask(near, *reads)]
    kept = [outcome(one) for one in await ask(near, *reads)]
    own = [await by_its_own(near, read) for read in reads]
    assert {source(one) for _, one in loaded} == {"DATABASE"}
    for told in (kept, own):
        assert [(name, source(one)) for name, one in told] == [(name, "NEAR") for name, _ in kept]
    for first, second, third in zip(loaded, kept, own, strict=True):
        assert _bare(first) == _bare(second) == _bare(third)
    assert [name for name, _ in own] == [read.WhichOneof("read") for read in reads]


async def test_each_read_has_its_own_outcome(near: Cache, shop: Shop) -> None:
    """Good ones among bad ones, unknown ones and impossible ones; all as by their methods."""
    async with shop.acknowledged():
        inactive = await shop.add_barber(active=False, offers=shop.services)
    reads = [
        day_of(shop),
        day_of(shop, barber=-1),
        day_of(shop, MONDAY + timedelta(days=1)),
        day_of(shop, barber=10**15),
        day_of(shop, barber=inactive),
        _read("get_analytics", shop),
        _read("list_appointments", shop, page_size=501, barber_id=-1),
        _read("get_schedule", shop, barber_id=shop.barbers[0]),
    ]
    own = [await by_its_own(near, read) for read in reads]
    results = [outcome(one) for one in await ask(near, *reads)]
    assert [_bare(one) for one in results] == [_bare(one) for one in own]
    codes = [one.code if name == "error" else 0 for name, one in results]
    assert codes == [0, 3, 0, 5, 9, 3, 3, 0]
    (nothing,) = await ask(near, pb.BatchRead())
    assert nothing.error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]


@pytest.mark.parametrize("count", [0, 257])
async def test_a_batch_of_none_or_too_many_is_refused(near: Cache, shop: Shop, count: int) -> None:
    """INVALID_ARGUMENT names the field; 256 are answered, each."""
    error = await refused(near.stub.BatchGet(pb.BatchGetRequest(reads=[day_of(shop)] * count)))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert [one.field for one in details_of(error)["BadRequest"].field_violations] == ["reads"]  # type: ignore[attr-defined]
    days = [day_of(shop, MONDAY + timedelta(days=n)) for n in range(256)]
    results = await ask(near, *days)
    assert all(one.HasField("get_availability") for one in results)


async def test_a_batch_too_large_to_send_is_refused_with_a_reason(near: Cache, shop: Shop) -> None:
    """FAILED_PRECONDITION, ANSWER_TOO_LARGE, whether it is loaded or in memory; half is sent."""
    async with shop.acknowledged():
        await shop.connection.execute(
            "INSERT INTO clients (organization_id, name, notes) "
            "SELECT $1, 'C' || n, repeat('x', 1000) FROM generate_series(1, 500) n",
            shop.organization_id,
        )
    reads = [_read("list_clients", shop, page_size=500 - n) for n in range(12)]
    await ask(near, *reads[:6])
    for _ in range(2):
        error = await refused(near.stub.BatchGet(pb.BatchGetRequest(reads=reads)))
        assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert details_of(error)["ErrorInfo"].reason == "ANSWER_TOO_LARGE"  # type: ignore[attr-defined]


async def test_a_batch_is_never_older_than_a_change(near: Cache, shop: Shop) -> None:
    """Of two days in memory the one that changed is loaded, at once and with the change."""
    days = [day_of(shop), day_of(shop, MONDAY + timedelta(days=1))]
    for hour in range(9, 16):
        await ask(near, *days)
        before = await ask(near, *days)
        assert [source(one.get_availability) for one in before] == ["NEAR", "NEAR"]
        at = shop.at(f"{MONDAY} {hour:02}:00")
        async with shop.acknowledged():
            await shop.book(at)
        untold = await ask(near, *days)  # the control: nobody has invalidated yet
        assert at in starts(untold[0].get_availability)[shop.barbers[0]]
        tag = tags.day(shop.barbers[0], MONDAY)
        named = pb.Tag(organization_id=shop.organization_id, name=tag)
        await near.stub.Invalidate(pb.InvalidateRequest(tags=[named]))
        after = await ask(near, *days)
        assert [source(one.get_availability) for one in after] == ["DATABASE", "NEAR"]
        assert at not in starts(after[0].get_availability)[shop.barbers[0]]


async def test_every_entry_of_a_batch_is_counted_once(near: Cache, shop: Shop) -> None:
    """The same reads count the same in a batch as by their methods, missed or in memory."""

    async def counts() -> dict[str, tuple[int, ...]]:
        request = pb.GetStatsRequest(organization_id=shop.organization_id)
        stats = (await near.stub.GetStats(request)).queries
        return {one.query: (one.hits, one.misses, one.loads, one.errors) for one in stats}

    def less(now: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, list[int]]:
        return {
            query: [a - b for a, b in zip(now[query], before.get(query, (0,) * 4), strict=True)]
            for query in now
        }

    client_id = await _client(shop)
    reads = every_read(shop, client_id)
    told = [await counts()]
    await near.stub.Invalidate(everything_of(shop))
    for read in reads:
        await by_its_own(near, read)
    told.append(await counts())
    for read in reads:
        await by_its_own(near, read)
    told.append(await counts())
    await ask(near, *reads)
    told.append(await counts())
    for read in reads[:1] * 3:
        await ask(near, read, read)
    told.append(await counts())
    missed, hit, batch, one = (less(b, a) for a, b in pairwise(told))
    assert hit == batch
    assert sum(count[0] for count in hit.values()) == sum(a + b for a, b, _, _ in missed.values())
    assert one["availability"] == [6, 0, 0, 0]


async def test_an_answer_names_what_it_depends_on(near: Cache, shop: Shop) -> None:
    """The tags of all its entries, each once, and the organization's; loaded or in memory."""
    barber, service = shop.barbers[0], shop.services[0]
    two_days = _read(
        "get_availability",
        shop,
        service_id=service,
        barber_ids=[barber],
        start_date=to_date(MONDAY),
        end_date=to_date(MONDAY + timedelta(days=2)),
    )
    expected = {
        tags.SCOPE,
        tags.day(barber, MONDAY),
        tags.day(barber, MONDAY + timedelta(days=1)),
        tags.hours(barber),
        tags.barber(barber),
        tags.service(service),
    }
    roster = _read("get_availability", shop, service_id=service, start_date=to_date(MONDAY))
    for _ in range(3):
        days, whole, wrong = await ask(
            near, two_days, roster, day_of(shop, barber=0), with_tags=True
        )
        assert set(days.tags) == expected
        assert len(days.tags) == len(expected)
        assert {tags.BARBERS, tags.SERVICES, tags.day(barber, MONDAY)} <= set(whole.tags)
        assert (wrong.WhichOneof("outcome"), list(wrong.tags)) == ("error", [])
        assert not any(one.tags for one in await ask(near, two_days, roster))


async def test_a_response_out_of_memory_ends_with_its_time(near: Cache, shop: Shop) -> None:
    """A hold that ends is free, and no more busy, though no entry changed."""
    at = shop.at(f"{MONDAY} 10:00")
    reads = [
        day_of(shop),
        _read("get_booked_slots", shop, barber_id=shop.barbers[0], start_date=to_date(MONDAY)),
    ]
    _, (slots, busy) = await read_while_held(near, shop, at, lambda: ask(near, *reads))
    assert at not in starts(slots.get_availability)[shop.barbers[0]]
    assert len(busy.get_booked_slots.intervals) == 1

    async def over() -> bool:
        slots, busy = await ask(near, *reads)
        assert {source(outcome(one)[1]) for one in (slots, busy)} == {"NEAR"}
        free = at in starts(slots.get_availability)[shop.barbers[0]]
        return free and not busy.get_booked_slots.intervals

    await eventually(over)


async def test_another_shop_in_the_same_batch_is_another_shop(near: Cache, shop: Shop) -> None:
    """Reads of several organizations go together, each to its own."""
    other = await open_shop(shop.connection, hours="{[600,660)}")
    first, second = await ask(near, day_of(shop), day_of(other))
    assert len(starts(first.get_availability)[shop.barbers[0]]) == 8
    assert len(starts(second.get_availability)[other.barbers[0]]) == 1
