"""What compressing entries would save and what it would cost, by query.

The answers are those that a busy cache of a shop holds on a day, and the largest of their
kinds: a year by day, pages of 200. Each is compressed and decompressed by itself, as an
entry would be.
"""

import statistics
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg
import zstandard

from benchmarks.inside import loads
from benchmarks.report import Section
from benchmarks.servers import Stand, stand
from benchmarks.working_set import Entry, WorkingSet
from cache_service.edge.declared import by_rpc, discover
from cache_service.queries.list_appointments import AppointmentPage, list_appointments
from cache_service.queries.list_clients import ClientPage, list_clients
from chairside.cache.v1 import analytics_pb2
from chairside.cache.v1.cache_service_pb2 import GetAnalyticsRequest
from service_kit.values import to_date

__all__ = ["measure"]

_CLIENTS = 40
_SAMPLES = 30
"""Payloads of a query that are timed."""
_PAGE = 200
_COMPRESSORS: Mapping[str, Callable[[], "_Compressor"]] = {
    "zlib 1": lambda: _Compressor(lambda data: zlib.compress(data, 1), zlib.decompress),
    "zstd 1": lambda: _zstd(1),
    "zstd 3": lambda: _zstd(3),
}


@dataclass(frozen=True, slots=True)
class _Compressor:
    """One way to make bytes fewer, and back."""

    compress: Callable[[bytes], bytes]
    decompress: Callable[[bytes], bytes]


def _zstd(level: int) -> _Compressor:
    return _Compressor(
        zstandard.ZstdCompressor(level=level).compress, zstandard.ZstdDecompressor().decompress
    )


@dataclass(frozen=True, slots=True)
class _Figures:
    """Of a payload: how many times smaller, and microseconds each way."""

    smaller: float
    compress: float
    decompress: float


async def measure(rounds: int) -> list[Section]:
    """Time each payload so often; its best time counts."""
    payloads = defaultdict[str, list[bytes]](list)
    async with stand() as at, loads(at) as primary:
        for name, (query, arguments) in await _entries(at):
            loaded = await primary.load(query, [arguments])
            payloads[name].append(loaded.payloads[0])
    rows = []
    for name, all_of_it in sorted(payloads.items(), key=lambda one: _middle(one[1])):
        print(f"compressing {name}", flush=True)
        some = all_of_it[:: max(1, len(all_of_it) // _SAMPLES)]
        row = [name, f"{len(all_of_it):,}", f"{_middle(all_of_it):,.0f}"]
        for make in _COMPRESSORS.values():
            row += _cells([_figures(make(), payload, rounds) for payload in some])
        rows.append(row)
    return [_section(rows, rounds)]


def _middle(payloads: Sequence[bytes]) -> float:
    return statistics.median(map(len, payloads))


def _figures(how: _Compressor, payload: bytes, rounds: int) -> _Figures:
    small = how.compress(payload)
    assert how.decompress(small) == payload
    return _Figures(
        len(payload) / len(small),
        _best(lambda: how.compress(payload), rounds),
        _best(lambda: how.decompress(small), rounds),
    )


def _best(work: Callable[[], object], rounds: int) -> float:
    """Return the least microseconds of many goes: what is more was somebody else's."""
    least = float("inf")
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        least = min(least, time.perf_counter() - begun)
    return least * 1e6


def _cells(figures: Sequence[_Figures]) -> list[str]:
    smaller, compress, decompress = (
        statistics.median(getattr(one, name) for one in figures)
        for name in ("smaller", "compress", "decompress")
    )
    return [f"{smaller:.1f}", f"{compress:.0f} + {decompress:.0f}"]


async def _entries(at: Stand) -> list[tuple[str, Entry]]:
    """List what is held, and the largest of their kinds, by name."""
    connection = await asyncpg.connect(at.url)
    offers = await connection.fetch(
        "SELECT barber_id, service_id FROM barber_services JOIN barbers b ON b.id = barber_id "
        "WHERE b.organization_id = $1 AND offered AND active ORDER BY 1, 2",
        at.organization_id,
    )
    clients = await connection.fetch(
        "SELECT client_id FROM appointments WHERE organization_id = $1 AND client_id IS NOT NULL "
        "GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT $2",
        at.organization_id,
        _CLIENTS,
    )
    await connection.close()
    barbers = sorted({barber for barber, _ in offers})
    held = WorkingSet(
        at.organization_id,
        barbers,
        [(barber, service) for barber, service in offers],
        [client for (client,) in clients],
    ).on(datetime.now(UTC).date())
    return [*((query.name, (query, arguments)) for query, arguments in held), *_large(at, barbers)]


def _large(at: Stand, barbers: Sequence[int]) -> Iterator[tuple[str, Entry]]:
    today = datetime.now(UTC).date()
    shop, year = at.organization_id, today - timedelta(days=365)
    revenue = by_rpc(discover())["revenue"]
    assert revenue.rpc is not None
    for barber in (0, *barbers):
        request = GetAnalyticsRequest(
            organization_id=shop,
            barber_id=barber,
            start_date=to_date(year),
            end_date=to_date(today),
            revenue=analytics_pb2.RevenueOptions(group_by=analytics_pb2.GROUP_BY_DAY),
        )
        for arguments in revenue.rpc.arguments(request, today):
            yield "revenue, a year by day", (revenue, arguments)
    for barber in (0, *barbers):
        page = AppointmentPage(shop, barber, 0, 0, (), None, None, _PAGE, ())
        yield f"appointments, {_PAGE}", (list_appointments, page)
    clients = ClientPage(shop, "", include_deleted=False, page_size=_PAGE, after=0)
    yield f"clients, {_PAGE}", (list_clients, clients)


def _section(rows: Sequence[Sequence[str]], rounds: int) -> Section:
    times = [head for name in _COMPRESSORS for head in (f"{name}, times smaller", "µs")]
    return Section(
        title="What compressing entries would save",
        command=f"python -m benchmarks compression --rounds {rounds}",
        about=(
            "Payloads of the answers that a busy cache of a generated shop holds on a day, and\n"
            "the largest of their kinds. Bytes, ratios and microseconds (to compress and to\n"
            f"decompress, the best of {rounds} goes) are medians over up to {_SAMPLES} of each."
        ),
        columns=("Query", "Held", "Bytes", *times),
        rows=rows,
        bounds=(),
    )
